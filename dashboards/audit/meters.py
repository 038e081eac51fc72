"""Energy delivered to vehicles: meter readings, and the accounts that chargers and vehicles give of them."""

from typing import Final

from gridfleet.broker.protocol.messages import Bill, ChargerState, Heartbeat, Lease, Release, VehicleState
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, TickWindow

KEPT_TICKS: Final = 8
"""Readings are kept so many ticks after the last one."""

CallKey = tuple[str, str, int]
"""Charger, vehicle and the number of the vehicle's call."""


class MeterAudit:
    """Follows the cumulative readings of every call, and compares accounts with them."""

    def __init__(self, tallies: Tallies, lifecycle: LifecycleLog, gaps: GapLog, *, exact: bool) -> None:
        self._tallies = tallies
        self._lifecycle = lifecycle
        self._gaps = gaps
        self._exact = exact
        self._readings: dict[CallKey, tuple[int, int]] = {}
        """(last tick, highest cumulative Wh)."""
        self._read_ms: dict[CallKey, int] = {}
        """When a vehicle made its last reading, by its own clock."""
        self._stated: dict[CallKey, tuple[int, int]] = {}
        """(last tick, highest cumulative Wh) that a vehicle has stated, also before it restarted."""
        self._charger_metered: set[CallKey] = set()
        """Calls at chargers that have a meter of their own."""
        self._released: dict[CallKey, tuple[int, int]] = {}
        """(last tick, lowest Wh) that a vehicle's releases stated."""
        self._metered_wh: dict[str, int] = {}
        """Device -> Wh in all, by the readings."""
        self._booked_wh: dict[str, int] = {}
        """Device -> Wh in all, by its own accounts."""
        self._joined = False
        """Whether there may be readings that were not received, and that a device's first account has."""

    def on_vehicle(self, tick: int, vehicle: str, charger: str, message: Heartbeat | Release) -> None:
        """Take a vehicle's reading; it must not fall.

        A copy of an earlier message, of a lost connection, may come after a later one: its own time says so.
        """
        key = (charger, vehicle, message.call)
        _, before_wh = self._readings.get(key, (tick, 0))
        drawn_wh = message.drawn_wh
        if key in self._charger_metered:
            pass  # the charger's meter counts, and the vehicle repeats it
        elif isinstance(message, Heartbeat):
            self._tallies.reservations.checked += 1
            again = message.simulated_ms < self._read_ms.get(key, message.simulated_ms)
            if drawn_wh < before_wh and not again and not self._lifecycle.changed(vehicle, 0, tick):
                self._tallies.reservations.fail(
                    f"tick {tick}: {vehicle} has drawn {drawn_wh} Wh from {charger}, after {before_wh}"
                )
        else:
            _, least_wh = self._released.get(key, (tick, drawn_wh))
            self._released[key] = (tick, min(least_wh, drawn_wh))
        self._stated[key] = (tick, max(drawn_wh, self.drawn_wh(key)))
        self._read_ms[key] = max(message.simulated_ms, self._read_ms.get(key, 0))
        self._read(tick, key, drawn_wh)

    def on_charger(self, tick: int, vehicle: str, charger: str, message: Lease | Bill) -> None:
        """Take the reading of a charger that has a meter of its own."""
        key = (charger, vehicle, message.call)
        if isinstance(message, Lease):
            if message.metered:
                self._charger_metered.add(key)
                self._read(tick, key, message.drawn_wh)
        elif key in self._charger_metered:
            self._read(tick, key, message.energy_wh)

    def on_restart(self, device: str) -> None:
        """Drop the readings of a vehicle that came online or went offline: it may count from 0 again."""
        for key in [key for key in self._readings if key[1] == device]:
            del self._readings[key]
            self._read_ms.pop(key, None)

    def on_gap(self) -> None:
        """Drop everything: readings may be missing."""
        self._joined = True
        for table in (
            self._readings,
            self._read_ms,
            self._stated,
            self._released,
            self._metered_wh,
            self._booked_wh,
        ):
            table.clear()

    def released_wh(self, key: CallKey) -> int:
        """Return the lowest energy that the releases of a call stated, in Wh; 0 without a release."""
        return self._released.get(key, (0, 0))[1]

    def has_stated(self, key: CallKey) -> bool:
        """Return whether a vehicle has sent a heartbeat or a release for a call."""
        return key in self._stated

    def drawn_wh(self, key: CallKey) -> int:
        """Return the most energy that a vehicle has stated for a call so far, in Wh."""
        return self._stated.get(key, (0, 0))[1]

    def check_accounts(self, tick: int, window: TickWindow) -> None:
        """Compare what chargers and vehicles have booked with the readings, and with each other."""
        tally = self._tallies.delivery
        if tick <= self._gaps.latest:
            return
        delivered_wh = drawn_wh = earned_neur = paid_neur = 0
        for device, state in window.states.items():
            if isinstance(state, ChargerState):
                booked_wh = state.delivered_wh
                delivered_wh += booked_wh
                earned_neur += state.earned_neur
            elif isinstance(state, VehicleState):
                booked_wh = state.drawn_wh
                drawn_wh += booked_wh
                paid_neur += state.paid_neur
            else:
                continue
            self._book(tick, device, booked_wh)
        if self._exact and self._lifecycle.unchanged(tick - 1, tick + 1):
            tally.checked += 1
            if (delivered_wh, earned_neur) != (drawn_wh, paid_neur):
                tally.fail(
                    f"tick {tick}: chargers delivered {delivered_wh} Wh for {earned_neur} nEUR, "
                    f"vehicles drew {drawn_wh} Wh for {paid_neur}"
                )

    def _book(self, tick: int, device: str, booked_wh: int) -> None:
        """Compare what a device has booked in all with the readings."""
        known = device in self._booked_wh or not self._joined
        total_wh = self._booked_wh.setdefault(device, 0) + booked_wh
        if not booked_wh or not known:
            return
        tally, metered_wh = self._tallies.delivery, self._metered_wh.get(device, 0)
        tally.checked += 1
        if total_wh > metered_wh:
            tally.fail(
                f"tick {tick}: {device} has booked {total_wh} Wh in all, the meters counted {metered_wh}"
            )
        self._booked_wh[device] = min(total_wh, metered_wh)

    def prune(self, tick: int) -> None:
        """Drop the readings of calls that ended."""
        for table in (self._readings, self._stated, self._released):
            for key in [key for key, value in table.items() if value[0] < tick - KEPT_TICKS]:
                del table[key]
        self._charger_metered &= self._readings.keys()
        self._read_ms = {key: at_ms for key, at_ms in self._read_ms.items() if key in self._readings}

    def _read(self, tick: int, key: CallKey, drawn_wh: int) -> None:
        _, before_wh = self._readings.get(key, (tick, 0))
        if drawn_wh > before_wh:
            for device in key[:2]:
                self._metered_wh[device] = self._metered_wh.get(device, 0) + drawn_wh - before_wh
        self._readings[key] = (tick, max(drawn_wh, before_wh))
