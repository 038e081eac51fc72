"""The totals of a tick as the live page computes them: the fields of `TickTotals` in console/src/model/tick-totals.ts.

The page continues with them where it has not received the messages itself, so both must agree to the last digit;
tests/console/test_history.py compares them.
"""

from collections.abc import Mapping
from math import asin, cos, inf, isfinite, radians, sin, sqrt
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Call,
    ChargerState,
    ConsumerState,
    Lease,
    ProducerState,
    Receipt,
    State,
    StorageState,
    VehicleState,
)

_EARTH_DIAMETER_KM: Final = 12_742


class TickTotals:
    """Sums over the messages of one tick. Energies in Wh, money in nEUR, prices in µEUR/kWh."""

    __slots__ = (
        "accepted",
        "accepted_km",
        "accepted_neur",
        "accepted_ueur",
        "balance",
        "bought",
        "charged",
        "curtailed",
        "declined",
        "demand",
        "generated",
        "grid_supply",
        "lowest",
        "ms",
        "receipts",
        "refused_awards",
        "reports",
        "sold_neur",
        "sold_wh",
        "storage_bought",
        "storage_sold",
        "stored",
        "whole",
    )

    def __init__(self, ms: int, *, whole: bool) -> None:
        """`ms` is the simulated time at its beginning; `whole` says that no message of it is missing."""
        self.ms, self.whole = ms, whole
        self.reports = self.generated = self.curtailed = self.grid_supply = 0
        self.demand = self.bought = self.charged = self.storage_bought = self.storage_sold = 0
        self.sold_wh = self.sold_neur = self.accepted = self.accepted_ueur = self.accepted_neur = 0
        self.lowest = inf
        self.accepted_km = 0.0
        self.stored: dict[str, int] = {}
        """What storages, chargers and vehicles hold, by the page's name of the sum."""
        self.balance: dict[str, int] = {}
        self.declined: dict[str, dict[str, int]] = {}
        self.refused_awards: dict[str, int] = {}
        self.receipts: set[tuple[str, str, int]] | None = set()
        """Receipts that are counted; None once late ones no longer count."""

    def add_state(self, sender: str, state: State) -> None:
        """Add a device's account."""
        self.reports += 1
        match state:
            case ProducerState():
                if state.role == "producer":
                    self.generated += state.generated_wh
                    self.curtailed += state.curtailed_wh
                else:
                    self.grid_supply += state.sold_wh
                self.balance[sender] = state.balance_neur
            case StorageState():
                self.storage_bought += state.bought_wh
                self.storage_sold += state.sold_wh
                self._store("storedStorages", state.stored_wh)
                self.balance[sender] = state.balance_neur
            case ConsumerState():
                self.demand += state.demand_wh
                self.bought += state.bought_wh
            case ChargerState():
                self.charged += state.bought_wh
                self._store("storedChargers", state.stored_wh)
            case VehicleState():
                self._store("storedVehicles", state.stored_wh)

    def add_receipt(self, seller: str, buyer: str, receipt: Receipt) -> None:
        """Add what a buyer took of an award; a repeated receipt changes nothing."""
        key = (seller, buyer, receipt.serial)
        if self.receipts is None or key in self.receipts:
            return
        self.receipts.add(key)
        if not receipt.lots:
            self.refused_awards[buyer] = self.refused_awards.get(buyer, 0) + 1
        for lot in receipt.lots:
            self.sold_wh += lot.energy_wh
            self.sold_neur += lot.energy_wh * lot.price_ueur_per_kwh
            self.lowest = min(self.lowest, lot.price_ueur_per_kwh)

    def add_lease(self, call: Call, lease: Lease, latitude: float, longitude: float) -> None:
        """Add a confirmed reservation at a charger's position, in degrees."""
        self.accepted += 1
        self.accepted_ueur += lease.price_ueur_per_kwh
        self.accepted_neur += lease.energy_wh * lease.price_ueur_per_kwh
        self.accepted_km += distance_km(call.latitude, call.longitude, latitude, longitude)

    def add_decline(self, charger: str, reason: str) -> None:
        """Count a charging request that a charger declined."""
        devices = self.declined.setdefault(reason, {})
        devices[charger] = devices.get(charger, 0) + 1

    def close(self) -> None:
        """Ignore further receipts, as the page does for ticks whose bids it has dropped."""
        self.receipts = None

    def as_json(self) -> Mapping[str, Any]:
        """Return the fields by the names that the page has for them."""
        return {
            "ms": self.ms,
            "whole": self.whole,
            "reports": self.reports,
            "generated": self.generated,
            "curtailed": self.curtailed,
            "gridSupply": self.grid_supply,
            "demand": self.demand,
            "bought": self.bought,
            "charged": self.charged,
            "storageBought": self.storage_bought,
            "storageSold": self.storage_sold,
            **self.stored,
            "soldWh": self.sold_wh,
            "soldNeur": self.sold_neur,
            **({"lowest": self.lowest} if isfinite(self.lowest) else {}),
            "accepted": self.accepted,
            "acceptedUeur": self.accepted_ueur,
            "acceptedKm": self.accepted_km,
            "acceptedNeur": self.accepted_neur,
            "balance": self.balance,
            "declined": self.declined,
            "refusedAwards": self.refused_awards,
        }

    def _store(self, name: str, energy_wh: int) -> None:
        self.stored[name] = self.stored.get(name, 0) + energy_wh


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Return the great-circle distance of two positions in degrees, as the page computes it.

    >>> round(distance_km(52.5, 13.4, 48.1, 11.6))
    505
    """
    a = (
        sin(radians(lat2 - lat1) / 2) ** 2
        + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2
    )
    return _EARTH_DIAMETER_KM * asin(sqrt(a))
