"""What each device has, tick by tick: its money, and what the energy is worth to it that it used or stored.

Two runs of one scenario are compared by it: what a lie took from the honest, and what it brought the liar. Prices are
assumptions: what is served is worth more to a device than it pays, so that a device that is not served loses.
"""

from typing import Final

from gridfleet.broker.protocol.messages import (
    BuyerState,
    ChargerState,
    ConsumerState,
    State,
    StorageState,
    VehicleState,
)
from gridfleet.broker.protocol.units import UEUR_PER_EUR, cost_neur

MAX_DRAWN_WH: Final = 100_000
"""More than any vehicle draws in a tick: what a false meter counts beyond that is no energy."""
NEED_UEUR: Final = 2_000_000
"""What energy is worth to a consumer: twice what it bids. µEUR/kWh."""
DRAWN_UEUR: Final = 1_010_000
"""What energy is worth to a vehicle: its usual price limit. µEUR/kWh."""
STORED_UEUR: Final = 400_000
"""What energy is worth in a storage: its usual bid, with what it loses in charging. µEUR/kWh."""


class Wealth:
    """What the accounts of a run say; `note` takes each."""

    def __init__(self) -> None:
        self.balance_neur: dict[int, dict[str, int]] = {}
        """Tick -> device -> money earned less money paid since the start, nEUR."""
        self.bought_wh: dict[int, dict[str, int]] = {}
        """Tick -> device -> energy bought in the market, Wh."""
        self.drawn_wh: dict[int, dict[str, int]] = {}
        """Tick -> vehicle -> energy drawn, Wh."""
        self._worth_neur: dict[int, dict[str, int]] = {}
        """Tick -> device -> worth of the energy used since the start, or of that in its battery, nEUR."""

    def note(self, device: str, account: State) -> None:
        """Note an account."""
        tick = account.tick
        self.balance_neur.setdefault(tick, {})[device] = account.balance_neur
        if isinstance(account, BuyerState):
            self.bought_wh.setdefault(tick, {})[device] = account.bought_wh
        if isinstance(account, VehicleState):
            self.drawn_wh.setdefault(tick, {})[device] = min(account.drawn_wh, MAX_DRAWN_WH)
        self.note_energy(device, account)

    def note_energy(self, device: str, account: State) -> None:
        """Note only the energy of an account, as of a device whose money is known by what the others paid."""
        worth = self._worth_neur.setdefault(account.tick, {})
        before = self._worth_neur.get(account.tick - 1, {}).get(device, 0)
        if isinstance(account, ConsumerState):
            worth[device] = before + cost_neur(account.bought_wh, NEED_UEUR)
        elif isinstance(account, VehicleState):
            worth[device] = before + cost_neur(min(account.drawn_wh, MAX_DRAWN_WH), DRAWN_UEUR)
        elif isinstance(account, ChargerState):
            worth[device] = _charger_worth(account.stored_wh, account.capacity_wh)
        elif isinstance(account, StorageState):
            worth[device] = cost_neur(account.stored_wh, STORED_UEUR)
        else:
            worth[device] = 0

    def worth_neur(self, device: str, tick: int) -> int:
        """Return what a device's energy is worth at the end of a tick, nEUR; 0 where it has no account."""
        return self._worth_neur.get(tick, {}).get(device, 0)

    def change_neur(self, device: str, first: int, last: int) -> int:
        """Return by how much a device is better off at the end of a tick than at that of an earlier one, nEUR."""
        before, after = (
            self.balance_neur.get(tick, {}).get(device, 0) + self.worth_neur(device, tick)
            for tick in (first, last)
        )
        return after - before


def _charger_worth(stored_wh: int, capacity_wh: int) -> int:
    """Return what the energy in a charger cost, nEUR: it bids 1 EUR/kWh less its state of charge."""
    if not capacity_wh:
        return 0
    return cost_neur(stored_wh, UEUR_PER_EUR) * (2 * capacity_wh - stored_wh) // (2 * capacity_wh)
