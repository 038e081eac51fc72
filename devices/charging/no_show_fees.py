"""The fees of a charger for vehicles that kept a lease and neither came nor released it. Pure rules.

A vehicle that is cut off may report late, so a fee is billed some time after the end of the lease, and owed from then
on. The bill is repeated until the vehicle answers it.
"""

from dataclasses import dataclass
from typing import Final

from gridfleet.broker.protocol.messages import Bill
from gridfleet.broker.protocol.units import TICK_MS

GRACE_MS: Final = 2 * TICK_MS
"""So long after the end of its lease a vehicle may still report that it does not come, and owes nothing."""
MAX_BILLS: Final = 8
"""How often a fee is billed, once a tick, while the vehicle does not answer."""
MAX_FEES: Final = 256
"""The most fees that are remembered; of the oldest no more bills are sent."""


@dataclass(slots=True)
class _Fee:
    """One vehicle's fee: when it is billed first, and how often it was billed."""

    due_ms: int
    bills: int = 0
    answered: bool = False


class NoShowFees:
    """The fees of one charger, by vehicle and call.

    >>> fees = NoShowFees(5_000_000_000)
    >>> fees.note_no_show("vehicle-1", 7, lease_end_ms=0)
    >>> fees.bills(GRACE_MS - 1), fees.bills(GRACE_MS)
    ([], [('vehicle-1', Bill(call=7, energy_wh=0, amount_neur=0, no_show_fee_neur=5000000000), True)])
    """

    __slots__ = ("_fees", "amount_neur")

    def __init__(self, amount_neur: int) -> None:
        """`amount_neur` is what each offer states; 0 for none."""
        self.amount_neur = amount_neur
        self._fees: dict[tuple[str, int], _Fee] = {}

    def note_no_show(self, vehicle: str, call: int, lease_end_ms: int) -> None:
        """Note that a lease has ended without the vehicle."""
        if not self.amount_neur:
            return
        self._fees[vehicle, call] = _Fee(lease_end_ms + GRACE_MS)
        if len(self._fees) > MAX_FEES:
            del self._fees[next(iter(self._fees))]

    def cancel(self, vehicle: str, call: int) -> None:
        """Ask for no fee: the vehicle has reported in time, or did come."""
        self._fees.pop((vehicle, call), None)

    def bills(self, now_ms: int) -> list[tuple[str, Bill, bool]]:
        """Return the bills to send now: vehicle, bill, and whether it is the first one, by which the fee is earned."""
        found: list[tuple[str, Bill, bool]] = []
        for (vehicle, call), fee in self._fees.items():
            if fee.due_ms <= now_ms and fee.bills < MAX_BILLS and not fee.answered:
                fee.bills += 1
                found.append((vehicle, self._bill(call), fee.bills == 1))
        return found

    def billed(self, vehicle: str, call: int) -> Bill | None:
        """Return the bill that was sent for a call; None where none was."""
        fee = self._fees.get((vehicle, call))
        return self._bill(call) if fee is not None and fee.bills else None

    def note_answer(self, vehicle: str, call: int) -> bool:
        """Note that a vehicle has received the bill, and pays or denies it; return whether there was one."""
        fee = self._fees.get((vehicle, call))
        if fee is None or not fee.bills:
            return False
        fee.answered = True
        return True

    @property
    def unanswered(self) -> bool:
        """Whether a vehicle has not answered a bill that was sent."""
        return any(fee.bills and not fee.answered for fee in self._fees.values())

    def _bill(self, call: int) -> Bill:
        return Bill(call, 0, 0, self.amount_neur)
