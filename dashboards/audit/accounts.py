"""Each device's own account, from tick to tick: batteries, losses and balances.

A device that came to life again may have lost its memory: its birth breaks the chain, and a new one begins.
"""

from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ConsumerState,
    Correction,
    ProducerState,
    State,
    VehicleState,
)
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.window import Gaps, LifecycleLog, Window

CHARGE_LOSS_PERCENT: Final = 10
DISCHARGE_LOSS_PERCENT: Final = 6
DISCHARGE_EFFICIENCY_PERCENT: Final = 94
LATE_TICKS: Final = 96
"""An account may come so many ticks late, from whoever was cut off."""


class _Chain(NamedTuple):
    """A producer's last balance, and the tick in which it was said."""

    balance_neur: int
    said: int


class Accounts:
    """Checks the accounts of a tick against those of the tick before."""

    def __init__(self, tallies: Tallies, births: LifecycleLog, gaps: Gaps, *, exact: bool) -> None:
        self._tallies = tallies
        self._gaps = gaps
        self._births = births
        self._before: dict[str, State] = {}
        self._chains: dict[str, _Chain] = {}
        self._corrected: dict[str, list[tuple[int, int]]] = {}
        """(tick in which a correction was heard, its nEUR) not yet certain to be in the balance."""
        self._earned: dict[tuple[str, int], int] = {}
        self._kept_ticks = 2 if exact else LATE_TICKS
        self._bookings: dict[int, dict[str, int]] = {}
        self._corrections: list[tuple[str, Correction, int]] = []
        self._unsure: dict[str, int] = {}
        """Until which tick a producer's balance may yet change by an unknown amount."""

    def booked(self, tick: int, *agents: str) -> None:
        """Count a meter reading that both sides may have booked: each rounds to a whole Wh."""
        bookings = self._bookings.setdefault(tick, {})
        for agent in agents:
            bookings[agent] = bookings.get(agent, 0) + 1

    def corrected(self, sender: str, correction: Correction, site_tick: int) -> None:
        """Take a producer's correction of an earlier tick, heard in a tick of the site."""
        self._corrections.append((sender, correction, site_tick))

    def _apply_corrections(self, tick: int) -> None:
        """Take corrections of ticks before this one into what balances must be."""
        later: list[tuple[str, Correction, int]] = []
        for sender, correction, heard in self._corrections:
            if correction.tick >= tick:
                later.append((sender, correction, heard))
                continue
            known = self._earned.get((sender, correction.tick))
            if known is None:  # how much more it is cannot be told: the chain begins again after it
                self._chains.pop(sender, None)
                self._unsure[sender] = max(heard, self._unsure.get(sender, -1))
            elif correction.earned_neur > known:
                self._earned[sender, correction.tick] = correction.earned_neur
                self._corrected.setdefault(sender, []).append((heard, correction.earned_neur - known))
        self._corrections = later

    def decide(self, tick: int, window: Window) -> None:
        """Check the accounts of a tick."""
        if self._corrections:
            self._apply_corrections(tick)
        for sender, state in window.states.items():
            self._account(sender, state, window.late_states.get(sender, tick))
        self._bookings.pop(tick - self._kept_ticks, None)
        if self._earned:
            self._earned = {key: earned for key, earned in self._earned.items() if key[1] > tick - 16}

    def late(self, sender: str, state: State, site_tick: int) -> None:
        """Take an account of a tick that is decided: whoever was away gives it before that of the present tick."""
        last = self._before.get(sender)
        if last is None or last.tick < state.tick:
            self._account(sender, state, site_tick)

    def _account(self, sender: str, state: State, said: int) -> None:
        """Check a device's account against its last; `said` is in which tick it was heard."""
        tick = state.tick
        last = self._before.get(sender)
        if last is not None and (
            type(last) is not type(state)
            or self._births.within(sender, last.tick, tick)
            or self._gaps.within(last.tick, said)
        ):
            last = None
        self._before[sender] = state
        if isinstance(state, VehicleState):
            self._vehicle(state, last, sender, said)
            return
        if last is not None and last.tick != tick - 1:
            last = None
        if isinstance(state, ChargerState):
            self._charger(state, last, sender, said)
        elif isinstance(state, ConsumerState):
            if last is not None:
                self._balance(sender, state, last.balance_neur - state.paid_neur)
        elif isinstance(state, ProducerState):
            self._producer(state, last, sender, said)

    def _balance(self, sender: str, state: State, expected_neur: int) -> None:
        self._tallies.balances.checked += 1
        if state.balance_neur != expected_neur:
            self._tallies.balances.fail(
                f"tick {state.tick}: {sender} has {state.balance_neur} nEUR, by its accounts {expected_neur}"
            )

    def _producer(self, state: ProducerState, last: State | None, sender: str, said: int) -> None:
        """A producer's balance grows by what it earned in the tick, and by corrections of earlier ticks.

        A correction heard in the tick in which an account is `said` may have come before or after it.
        """
        tick, tally = state.tick, self._tallies.balances
        self._earned[sender, tick] = state.earned_neur
        chain = self._chains.get(sender)
        corrected = self._corrected.pop(sender, [])
        if self._unsure.get(sender, -1) < tick:
            self._chains[sender] = _Chain(state.balance_neur, said)
        rest = [each for each in corrected if each[0] >= said]
        if rest:
            self._corrected[sender] = rest
        if last is None or chain is None:
            return
        tally.checked += 1
        expected = chain.balance_neur + state.earned_neur
        sure = expected + sum(more for heard, more in corrected if chain.said < heard < said)
        possible = expected + sum(more for heard, more in corrected if chain.said <= heard <= said)
        if not sure <= state.balance_neur <= possible:
            tally.fail(
                f"tick {tick}: {sender} has {state.balance_neur} nEUR, by its accounts {sure}"
                + (f" to {possible}" if possible != sure else "")
            )

    def _charger(self, state: ChargerState, last: State | None, sender: str, said: int) -> None:
        tallies = self._tallies
        tallies.bounds.checked += 1
        if not 0 <= state.stored_wh <= state.capacity_wh:
            tallies.bounds.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} of {state.capacity_wh} Wh"
            )
        if not isinstance(last, ChargerState):
            return
        self._balance(sender, state, last.balance_neur - state.paid_neur + state.earned_neur)
        tallies.batteries.checked += 1
        expected_wh = (
            last.stored_wh
            + state.bought_wh
            - state.charge_loss_wh
            - state.delivered_wh
            - state.discharge_loss_wh
        )
        if state.stored_wh != expected_wh:
            tallies.batteries.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} Wh, by its accounts {expected_wh}"
            )
        tallies.losses.checked += 1
        excess = state.charge_loss_wh * 100 - state.bought_wh * CHARGE_LOSS_PERCENT
        drained = (
            state.discharge_loss_wh * DISCHARGE_EFFICIENCY_PERCENT
            - state.delivered_wh * DISCHARGE_LOSS_PERCENT
        )
        bookings = self._bookings_of(sender, state.tick, said) if state.delivered_wh else 0
        if not 0 <= excess < 100 or abs(drained) > DISCHARGE_EFFICIENCY_PERCENT * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.bought_wh} bought "
                f"and {state.discharge_loss_wh} Wh for {state.delivered_wh} delivered"
            )

    def _vehicle(self, state: VehicleState, last: State | None, sender: str, said: int) -> None:
        tallies = self._tallies
        tallies.bounds.checked += 1
        if not 0 <= state.stored_wh <= state.capacity_wh:
            tallies.bounds.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} of {state.capacity_wh} Wh"
            )
        if not isinstance(last, VehicleState):
            return
        self._balance(sender, state, last.balance_neur - state.paid_neur)
        tallies.batteries.checked += 1
        expected_wh = last.stored_wh + state.drawn_wh - state.charge_loss_wh - state.driven_wh
        if state.stored_wh != expected_wh:
            tallies.batteries.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} Wh, by its accounts {expected_wh}"
            )
        if last.tick != state.tick - 1:
            return
        tallies.losses.checked += 1
        excess = state.charge_loss_wh * 100 - state.drawn_wh * CHARGE_LOSS_PERCENT
        bookings = max(self._bookings_of(sender, state.tick, said), 1) if state.drawn_wh else 0
        if abs(excess) > 100 * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.drawn_wh} drawn"
            )

    def _bookings_of(self, sender: str, tick: int, said: int) -> int:
        """Return how many readings an account may hold that was said in that tick: it ends before the tick does."""
        return sum(self._bookings.get(each, {}).get(sender, 0) for each in range(tick - 1, said + 1))
