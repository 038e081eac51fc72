"""Each device's own account, from tick to tick: batteries, losses and balances.

A device that came to life again may have lost its memory: its birth breaks the chain, and a new one begins.
"""

from typing import Final

from broker.messages import ChargerState, ConsumerState, Correction, ProducerState, State, VehicleState
from dashboards.audit.findings import Tallies
from dashboards.audit.window import Births, Window

CHARGE_LOSS_PERCENT: Final = 10
DISCHARGE_LOSS_PERCENT: Final = 6
DISCHARGE_EFFICIENCY_PERCENT: Final = 94


class _Earnings:
    """What a producer's balance must be, given the corrections that its account may or may not hold yet."""

    __slots__ = ("balance_neur", "corrected")

    def __init__(self, balance_neur: int) -> None:
        self.balance_neur = balance_neur
        self.corrected: list[tuple[int, int]] = []
        """(tick in which the correction was heard, nEUR) not yet certain to be in the balance."""


class Accounts:
    """Checks the accounts of a tick against those of the tick before."""

    def __init__(self, tallies: Tallies, births: Births) -> None:
        self._tallies = tallies
        self._births = births
        self._before: dict[str, State] = {}
        self._earnings: dict[str, _Earnings] = {}
        self._earned: dict[tuple[str, int], int] = {}
        self._bookings: dict[int, dict[str, int]] = {}

    def booked(self, tick: int, *agents: str) -> None:
        """Count a meter reading that both sides may have booked: each rounds to a whole Wh."""
        bookings = self._bookings.setdefault(tick, {})
        for agent in agents:
            bookings[agent] = bookings.get(agent, 0) + 1

    def corrected(self, sender: str, correction: Correction, site_tick: int) -> None:
        """Take a producer's correction of an earlier tick into what its balance must be."""
        known = self._earned.get((sender, correction.tick))
        earnings = self._earnings.get(sender)
        if known is None or earnings is None:
            self._earnings.pop(sender, None)
            return
        more = correction.earned_neur - known
        if more > 0:
            self._earned[sender, correction.tick] = correction.earned_neur
            earnings.corrected.append((site_tick, more))

    def decide(self, tick: int, window: Window) -> None:
        """Check the accounts of a tick."""
        before, births = self._before, self._births
        for sender, state in window.states.items():
            last = before.get(sender)
            if last is not None and (type(last) is not type(state) or births.within(sender, last.tick, tick)):
                last = None
            before[sender] = state
            if isinstance(state, VehicleState):
                self._vehicle(state, last, sender)
            elif isinstance(state, ChargerState):
                self._charger(state, last if last is not None and last.tick == tick - 1 else None, sender)
            elif isinstance(state, ConsumerState):
                if last is not None and last.tick == tick - 1:
                    self._balance(sender, state, last.balance_neur - state.paid_neur)
            elif isinstance(state, ProducerState):
                self._producer(state, last if last is not None and last.tick == tick - 1 else None, sender)
        self._bookings.pop(tick - 2, None)
        if self._earned:
            self._earned = {key: earned for key, earned in self._earned.items() if key[1] > tick - 16}

    def _balance(self, sender: str, state: State, expected_neur: int) -> None:
        self._tallies.balances.checked += 1
        if state.balance_neur != expected_neur:
            self._tallies.balances.fail(
                f"tick {state.tick}: {sender} has {state.balance_neur} nEUR, by its accounts {expected_neur}"
            )

    def _producer(self, state: ProducerState, last: State | None, sender: str) -> None:
        self._earned[sender, state.tick] = state.earned_neur
        earnings = self._earnings.get(sender)
        if last is None or earnings is None:
            self._earnings[sender] = _Earnings(state.balance_neur)
            return
        tally, tick = self._tallies.balances, state.tick
        tally.checked += 1
        floor = earnings.balance_neur + state.earned_neur
        # A correction of this very tick comes after the account; one of the tick before may be in either.
        sure = sum(more for heard, more in earnings.corrected if heard < tick)
        possible = sum(more for _, more in earnings.corrected)
        if not floor <= state.balance_neur <= floor + possible or (state.balance_neur < floor + sure):
            tally.fail(
                f"tick {tick}: {sender} has {state.balance_neur} nEUR, by its accounts {floor + sure}"
                + (f" to {floor + possible}" if possible != sure else "")
            )
        seen = state.balance_neur - floor
        earnings.balance_neur = state.balance_neur
        rest: list[tuple[int, int]] = []
        for heard, more in earnings.corrected:
            part = min(more, max(seen, 0))
            seen -= part
            if part < more and heard >= tick - 1:
                rest.append((heard, more - part))
        earnings.corrected = rest

    def _charger(self, state: ChargerState, last: State | None, sender: str) -> None:
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
        bookings = self._bookings_of(sender, state.tick) if state.delivered_wh else 0
        if not 0 <= excess < 100 or abs(drained) > DISCHARGE_EFFICIENCY_PERCENT * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.bought_wh} bought "
                f"and {state.discharge_loss_wh} Wh for {state.delivered_wh} delivered"
            )

    def _vehicle(self, state: VehicleState, last: State | None, sender: str) -> None:
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
        bookings = self._bookings_of(sender, state.tick) if state.drawn_wh else 0
        if abs(excess) > 100 * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.drawn_wh} drawn"
            )

    def _bookings_of(self, sender: str, tick: int) -> int:
        """Return how many readings an account of the tick may hold: it ends a little before the tick does."""
        return sum(self._bookings.get(each, {}).get(sender, 0) for each in (tick - 1, tick))
