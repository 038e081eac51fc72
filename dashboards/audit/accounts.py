"""Each device's own accounts from tick to tick: batteries, losses and balances.

A device that restarted may have lost its memory: its birth ends the chain of accounts, and a new one begins.
"""

from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ConsumerState,
    Correction,
    ProducerState,
    SellerState,
    State,
    StorageState,
    VehicleState,
)
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, TickWindow

CHARGE_LOSS_PERCENT: Final = 10
DISCHARGE_LOSS_PERCENT: Final = 6
DISCHARGE_EFFICIENCY_PERCENT: Final = 94
LATE_TICKS: Final = 96
"""An account may come so many ticks late, from a device that was cut off."""


class _Balance(NamedTuple):
    """A producer's last balance, and the tick of the site in which it was received."""

    balance_neur: int
    received: int


class AccountAudit:
    """Checks each account of a device against its account of the tick before."""

    def __init__(self, tallies: Tallies, lifecycle: LifecycleLog, gaps: GapLog, *, exact: bool) -> None:
        self._tallies = tallies
        self._gaps = gaps
        self._lifecycle = lifecycle
        self._before: dict[str, State] = {}
        self._balances: dict[str, _Balance] = {}
        self._corrected: dict[str, list[tuple[int, int]]] = {}
        """Producer -> (tick in which a correction was received, its nEUR), not yet certain to be in the balance."""
        self._earned: dict[tuple[str, int], int] = {}
        """(producer, tick) -> nEUR."""
        self._exact = exact
        self._kept_ticks = 2 if exact else LATE_TICKS
        self._bookings: dict[int, dict[str, int]] = {}
        """Tick -> device -> meter readings."""
        self._corrections: list[tuple[str, Correction, int]] = []
        self._uncertain_until: dict[str, int] = {}
        """Producer -> the last tick in which its balance may still change by an unknown amount."""

    def count_booking(self, tick: int, *devices: str) -> None:
        """Count a meter reading that both devices may have booked: each rounds to a whole Wh."""
        bookings = self._bookings.setdefault(tick, {})
        for device in devices:
            bookings[device] = bookings.get(device, 0) + 1

    def on_correction(self, sender: str, correction: Correction, site_tick: int) -> None:
        """Take a producer's correction of an earlier tick, received in a tick of the site."""
        self._corrections.append((sender, correction, site_tick))

    def _apply_corrections(self, tick: int, producer: str = "") -> None:
        """Add the corrections of ticks before this one to what balances must be; of all producers, unless given."""
        later: list[tuple[str, Correction, int]] = []
        for sender, correction, received in self._corrections:
            if correction.tick >= tick or producer not in {"", sender}:
                later.append((sender, correction, received))
                continue
            known = self._earned.get((sender, correction.tick))
            if known is None:  # its amount is unknown: the chain begins again after it
                self._balances.pop(sender, None)
                self._uncertain_until[sender] = max(received, self._uncertain_until.get(sender, -1))
            elif correction.earned_neur > known:
                self._earned[sender, correction.tick] = correction.earned_neur
                self._corrected.setdefault(sender, []).append((received, correction.earned_neur - known))
        self._corrections = later

    def check_tick(self, tick: int, window: TickWindow) -> None:
        """Check the accounts of a tick."""
        if self._corrections:
            self._apply_corrections(tick)
        for sender, state in window.states.items():
            self._check(sender, state, window.late_states.get(sender, tick))
        self._bookings.pop(tick - self._kept_ticks, None)
        if self._earned:
            self._earned = {key: earned for key, earned in self._earned.items() if key[1] > tick - 16}

    def on_late_account(self, sender: str, state: State, site_tick: int) -> None:
        """Check an account of a tick that was judged before: a device that was cut off reports it late."""
        last = self._before.get(sender)
        if last is None or last.tick < state.tick:
            self._apply_corrections(state.tick, sender)
            self._check(sender, state, site_tick)

    def _check(self, sender: str, state: State, received: int) -> None:
        """Check a device's account against its last one; `received` is the tick of the site then."""
        tick = state.tick
        last = self._before.get(sender)
        if last is not None and (
            type(last) is not type(state)
            or self._lifecycle.changed(sender, last.tick, tick)
            or self._gaps.overlaps(last.tick, received)
        ):
            last = None
        self._before[sender] = state
        if isinstance(state, VehicleState):
            self._vehicle(state, last, sender, received)
            return
        if last is not None and last.tick != tick - 1:
            last = None
        if isinstance(state, ChargerState):
            self._charger(state, last, sender, received)
        elif isinstance(state, ConsumerState):
            if last is not None:
                self._balance(sender, state, last.balance_neur - state.paid_neur)
        elif isinstance(state, ProducerState):
            self._seller(state, 0, last, sender, received)
        elif isinstance(state, StorageState):
            self._seller(state, state.paid_neur, last, sender, received)
            self._storage(state, last, sender)

    def _balance(self, sender: str, state: State, expected_neur: int) -> None:
        self._tallies.balances.checked += 1
        if state.balance_neur != expected_neur:
            self._tallies.balances.fail(
                f"tick {state.tick}: {sender} has {state.balance_neur} nEUR, by its accounts {expected_neur}"
            )

    def _seller(
        self, state: SellerState, paid_neur: int, last: State | None, sender: str, received: int
    ) -> None:
        """A seller's balance grows by what it earned less what it paid, and by corrections of earlier ticks.

        A correction received in the same tick of the site as an account may have come before or after it.
        """
        tick, tally = state.tick, self._tallies.balances
        self._earned[sender, tick] = state.earned_neur
        before = self._balances.get(sender)
        corrected = self._corrected.pop(sender, [])
        if self._uncertain_until.get(sender, -1) < tick:
            self._balances[sender] = _Balance(state.balance_neur, received)
        rest = [each for each in corrected if each[0] >= received]
        if rest:
            self._corrected[sender] = rest
        if last is None or before is None:
            return
        tally.checked += 1
        expected = before.balance_neur + state.earned_neur - paid_neur
        certain = expected + sum(more for at, more in corrected if before.received < at < received)
        possible = expected + sum(more for at, more in corrected if before.received <= at <= received)
        if not certain <= state.balance_neur <= possible:
            tally.fail(
                f"tick {tick}: {sender} has {state.balance_neur} nEUR, by its accounts {certain}"
                + (f" to {possible}" if possible != certain else "")
            )

    def _storage(self, state: StorageState, last: State | None, sender: str) -> None:
        tallies = self._tallies
        tallies.bounds.checked += 1
        if not 0 <= state.stored_wh <= state.capacity_wh:
            tallies.bounds.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} of {state.capacity_wh} Wh"
            )
        fed_in_wh = state.sold_wh + state.unsettled_wh
        tallies.losses.checked += 1
        charging = state.charge_loss_wh * 100 - state.bought_wh * CHARGE_LOSS_PERCENT
        discharging = (
            state.discharge_loss_wh * DISCHARGE_EFFICIENCY_PERCENT - fed_in_wh * DISCHARGE_LOSS_PERCENT
        )
        if not 0 <= charging < 100 or not 0 <= discharging < DISCHARGE_EFFICIENCY_PERCENT:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.bought_wh} bought "
                f"and {state.discharge_loss_wh} Wh for {fed_in_wh} sold"
            )
        if not isinstance(last, StorageState):
            return
        tallies.batteries.checked += 1
        expected_wh = (
            last.stored_wh + state.bought_wh - state.charge_loss_wh - fed_in_wh - state.discharge_loss_wh
        )
        if state.stored_wh != expected_wh:
            tallies.batteries.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} Wh, by its accounts {expected_wh}"
            )

    def _charger(self, state: ChargerState, last: State | None, sender: str, received: int) -> None:
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
        bookings = self._bookings_of(sender, state.tick, received) if state.delivered_wh else 0
        if not 0 <= excess < 100 or abs(drained) > DISCHARGE_EFFICIENCY_PERCENT * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.bought_wh} bought "
                f"and {state.discharge_loss_wh} Wh for {state.delivered_wh} delivered"
            )

    def _vehicle(self, state: VehicleState, last: State | None, sender: str, received: int) -> None:
        tallies = self._tallies
        tallies.bounds.checked += 1
        if not 0 <= state.stored_wh <= state.capacity_wh:
            tallies.bounds.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} of {state.capacity_wh} Wh"
            )
        if not isinstance(last, VehicleState):
            return
        expected_neur = last.balance_neur - state.paid_neur
        expected_wh = last.stored_wh + state.drawn_wh - state.charge_loss_wh - state.driven_wh
        if not self._exact and last.tick != state.tick - 1:
            # An account that was not received may explain what is missing, and what was drawn if it was paid.
            expected_wh = (
                state.stored_wh if state.balance_neur < expected_neur else min(expected_wh, state.stored_wh)
            )
            expected_neur = min(expected_neur, state.balance_neur)
        self._balance(sender, state, expected_neur)
        tallies.batteries.checked += 1
        if state.stored_wh != expected_wh:
            tallies.batteries.fail(
                f"tick {state.tick}: {sender} stores {state.stored_wh} Wh, by its accounts {expected_wh}"
            )
        if last.tick != state.tick - 1:
            return
        tallies.losses.checked += 1
        excess = state.charge_loss_wh * 100 - state.drawn_wh * CHARGE_LOSS_PERCENT
        bookings = max(self._bookings_of(sender, state.tick, received), 1) if state.drawn_wh else 0
        if abs(excess) > 100 * bookings:
            tallies.losses.fail(
                f"tick {state.tick}: {sender} lost {state.charge_loss_wh} Wh of {state.drawn_wh} drawn"
            )

    def _bookings_of(self, sender: str, tick: int, received: int) -> int:
        """Return how many readings an account may include that was received in that tick: it ends before the tick."""
        return sum(self._bookings.get(each, {}).get(sender, 0) for each in range(tick - 1, received + 1))
