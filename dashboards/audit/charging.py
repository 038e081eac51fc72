"""Charging reservations: ports, leases, bills and meters, from what chargers and vehicles say to each other.

What is said is kept with its time and judged when the tick is decided, in the order of time; within one
millisecond, ports are counted when all has been said. A charger's word opens a lease (Lease) and ends it (Bill,
Decline), else its time does.
"""

from typing import Final

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    ChargerState,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Release,
    VehicleState,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.accounts import Accounts
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.leases import LeaseBook
from gridfleet.dashboards.audit.window import Gaps, LifecycleLog, Window

LONGEST_LEASE_MS: Final = 3_600_000
"""A lease may be given for an hour at most, or it could not be said to end."""
RENEWED_TICKS: Final = 16
"""For so many ticks a reservation may begin or end of which a part was missed."""
ACCEPTED_TICKS: Final = 96
"""So many ticks after it was accepted an offer may become a lease: the charger may have been cut off."""
KEPT_MS: Final = 24 * 3_600_000
"""So long a lapsed lease is remembered: its bill may still come."""

_Key = tuple[str, str, int]
"""Charger, vehicle, call."""


class Charging:
    """Follows every reservation from offer to bill."""

    def __init__(
        self,
        tallies: Tallies,
        births: LifecycleLog,
        gaps: Gaps,
        accounts: Accounts,
        *,
        exact: bool,
        slack_ms: int,
    ) -> None:
        self._tallies = tallies
        self._gaps = gaps
        self._births = births
        self._accounts = accounts
        self._exact = exact
        self._slack_ms = slack_ms
        self._events: list[tuple[int, str, str, Message | None]] = []
        self._offers: dict[_Key, tuple[int, Offer]] = {}
        self._accepted: dict[_Key, int] = {}
        self._limits: dict[tuple[str, int], tuple[int, int]] = {}
        self._leases: dict[str, dict[tuple[str, int], LeaseBook]] = {}
        self._holds: dict[str, list[tuple[int, int]]] = {}
        self._ports: dict[str, int] = {}
        self._meters: dict[_Key, tuple[int, int]] = {}
        self._own_meters: set[_Key] = set()
        """Calls at chargers that have a meter of their own."""
        """(last tick, highest cumulative Wh) that a vehicle said."""
        self._releases: dict[_Key, tuple[int, int]] = {}
        """(last tick, least Wh) that a vehicle's releases said."""
        self._metered: dict[str, int] = {}
        """Wh by the vehicles' words, in all, of each charger and vehicle."""
        self._unsure_until = -1
        """Until this tick there may be reservations of which nothing was heard yet."""
        self._booked: dict[str, int] = {}
        """Wh by their own accounts."""

    # --- hearing -----------------------------------------------------------------------------------------

    def hear(self, now_ms: int, tick: int, scope: str, sender: str, message: Message) -> None:
        """Take a message of a reservation."""
        if isinstance(message, Offer):
            self._offers[sender, scope, message.call] = (tick, message)
            self._holds.setdefault(sender, []).append((now_ms, message.until_ms))
        elif isinstance(message, Heartbeat | Release):
            self._meter(tick, sender, scope, message)
            self._events.append((now_ms, scope, sender, message))
        elif isinstance(message, Call):
            self._limits[sender, message.call] = (tick, message.limit_ueur_per_kwh)
        elif isinstance(message, Accept):
            self._accepted[scope, sender, message.call] = tick
        elif isinstance(message, Lease | Bill | Decline):
            if not isinstance(message, Decline):
                self._accounts.booked(tick, sender, scope)
                self._own_meter(tick, scope, sender, message)
            self._events.append((now_ms, sender, scope, message))

    def account(self, now_ms: int, sender: str, state: ChargerState) -> None:
        """Take a charger's account."""
        self._ports[sender] = state.ports
        self._events.append((now_ms, sender, "", state))

    def born(self, now_ms: int, agent: str) -> None:
        """A device came or went: what it leased, or how it counted, may be forgotten."""
        for key in [key for key in self._meters if key[1] == agent]:
            del self._meters[key]
        self._events.append((now_ms, agent, "", None))

    def note_gap(self, tick: int) -> None:
        """Something may have been said that was not heard: what is leased is known again by the next heartbeats."""
        for each in (self._events, self._offers, self._accepted, self._limits, self._leases, self._holds):
            each.clear()
        for table in (self._meters, self._releases, self._metered, self._booked):
            table.clear()
        self._unsure_until = tick + RENEWED_TICKS

    def _unsure(self, tick: int, vehicle: str, call: int) -> bool:
        """Tell whether the beginning of a reservation may have been missed."""
        return tick <= self._unsure_until and (vehicle, call) not in self._limits

    def _meter(self, tick: int, vehicle: str, charger: str, said: Heartbeat | Release) -> None:
        key = (charger, vehicle, said.call)
        _, before_wh = self._meters.get(key, (tick, 0))
        drawn_wh = said.drawn_wh
        if key in self._own_meters:
            pass  # the charger's meter rules, and the vehicle repeats it
        elif isinstance(said, Heartbeat):
            self._tallies.reservations.checked += 1
            if drawn_wh < before_wh and not self._births.within(vehicle, 0, tick):
                self._tallies.reservations.fail(
                    f"tick {tick}: {vehicle} has drawn {drawn_wh} Wh from {charger}, after {before_wh}"
                )
        else:
            _, least_wh = self._releases.get(key, (tick, drawn_wh))
            self._releases[key] = (tick, min(least_wh, drawn_wh))
        self._read(tick, key, drawn_wh)

    def _own_meter(self, tick: int, vehicle: str, charger: str, said: Lease | Bill) -> None:
        """Take the reading of a charger that has a meter of its own."""
        key = (charger, vehicle, said.call)
        if isinstance(said, Lease):
            if said.metered:
                self._own_meters.add(key)
                self._read(tick, key, said.drawn_wh)
        elif key in self._own_meters:
            self._read(tick, key, said.energy_wh)

    def _read(self, tick: int, key: tuple[str, str, int], drawn_wh: int) -> None:
        _, before_wh = self._meters.get(key, (tick, 0))
        if drawn_wh > before_wh:
            for agent in key[:2]:
                self._metered[agent] = self._metered.get(agent, 0) + drawn_wh - before_wh
        self._meters[key] = (tick, max(drawn_wh, before_wh))

    # --- judging -----------------------------------------------------------------------------------------

    def decide(self, tick: int, end_ms: int, window: Window) -> None:
        """Judge what was said before the end of a tick."""
        events = [event for event in self._events if event[0] < end_ms]
        self._events = [event for event in self._events if event[0] >= end_ms]
        events.sort(key=_time)
        touched: set[str] = set()
        instant = -1
        for now_ms, charger, vehicle, message in events:
            if now_ms != instant:
                self._count(touched, instant, tick)
                instant = now_ms
            self._play(now_ms, tick, charger, vehicle, message)
            if isinstance(message, Lease):
                touched.add(charger)
        self._count(touched, instant, tick)
        self._deliveries(tick, window)
        self._forget(tick, end_ms)

    def _play(self, now_ms: int, tick: int, charger: str, vehicle: str, message: Message | None) -> None:
        leases = self._leases.setdefault(charger, {})
        if isinstance(message, Lease):
            self._lease(now_ms, tick, charger, vehicle, message)
        elif isinstance(message, Heartbeat | Release):
            lease = leases.get((vehicle, message.call))
            if lease is not None:
                lease.said_wh = max(lease.said_wh, message.drawn_wh)
        elif isinstance(message, Bill):
            self._bill(now_ms, tick, charger, vehicle, message)
        elif isinstance(message, Decline) and message.reason == "unknown":
            lease = leases.get((vehicle, message.call))
            if lease is not None and lease.ended_ms is None:
                lease.ended_ms = now_ms
        elif isinstance(message, ChargerState):
            self._state(now_ms, charger, message)
        elif message is None:
            for lease in leases.values():
                lease.sure = False

    def _lease(self, now_ms: int, tick: int, charger: str, vehicle: str, lease: Lease) -> None:
        """A lease is new, and then follows an offer, or renews one that lasts."""
        tally, key = self._tallies.reservations, (charger, vehicle, lease.call)
        what = f"tick {tick}: {charger} leases to {vehicle}, call {lease.call}"
        tally.checked += 1
        self._tallies.leases.checked += 1
        if lease.until_ms > now_ms + LONGEST_LEASE_MS + self._slack_ms:
            self._tallies.leases.fail(f"{what}: for {(lease.until_ms - now_ms) // 60_000} minutes")
        known = self._leases[charger].get((vehicle, lease.call))
        # A charger that was cut off may not know yet what time it is, and renew what would have lapsed by now.
        lasts = known is not None and (known.until_ms + self._slack_ms > now_ms or not self._exact)
        if known is not None and known.ended_ms is None and lasts:
            if (lease.energy_wh, lease.price_ueur_per_kwh) != (known.energy_wh, known.price):
                tally.fail(f"{what}: energy or price is not that of the lease it renews")
            known.until_ms = max(known.until_ms, lease.until_ms)
            if lease.metered:
                known.said_wh = max(known.said_wh, lease.drawn_wh)
            known.sure = True
            return
        self._leases[charger][vehicle, lease.call] = LeaseBook(lease)
        if self._births.within(charger, 0, tick) or self._births.within(vehicle, 0, tick):
            return  # a call's number may be used again by who has forgotten it
        if self._unsure(tick, vehicle, lease.call):
            return
        _, offer = self._offers.get(key, (tick, None))
        _, limit = self._limits.get((vehicle, lease.call), (tick, lease.price_ueur_per_kwh))
        if offer is None or key not in self._accepted:
            tally.fail(f"{what}: without {'an offer' if offer is None else 'an acceptance'}")
        elif (offer.energy_wh, offer.price_ueur_per_kwh) != (lease.energy_wh, lease.price_ueur_per_kwh):
            tally.fail(f"{what}: energy or price is not that of the offer")
        elif lease.price_ueur_per_kwh > limit:
            tally.fail(f"{what}: dearer than the call's limit")

    def _bill(self, now_ms: int, tick: int, charger: str, vehicle: str, bill: Bill) -> None:
        tally, key = self._tallies.reservations, (charger, vehicle, bill.call)
        what = f"tick {tick}: {charger} bills {vehicle}, call {bill.call}"
        lease = self._leases[charger].get((vehicle, bill.call))
        if lease is None or lease.ended_ms is not None:
            known = lease is not None or self._births.within(charger, 0, tick)
            if bill.energy_wh and not known and not self._unsure(tick, vehicle, bill.call):
                tally.fail(f"{what}: {bill.energy_wh} Wh without a lease")
            return
        lease.ended_ms = now_ms
        if self._unsure(tick, vehicle, bill.call):
            return
        tally.checked += 1
        most_wh = lease.said_wh
        _, least_wh = self._releases.get(key, (tick, 0))
        if lease.metered:
            least_wh, most_wh = lease.said_wh, lease.energy_wh
        elif self._exact:
            least_wh = most_wh
        elif lease.until_ms - self._slack_ms <= now_ms:
            least_wh = 0  # it had lapsed: the bill is for what was metered before
        if not min(least_wh, lease.energy_wh) <= bill.energy_wh <= min(most_wh, lease.energy_wh):
            tally.fail(f"{what}: {bill.energy_wh} Wh, the vehicle said {most_wh} Wh")
        elif bill.amount_neur != cost_neur(bill.energy_wh, lease.price):
            tally.fail(f"{what}: {bill.amount_neur} nEUR for {bill.energy_wh} Wh at {lease.price} µEUR/kWh")

    def _count(self, touched: set[str], now_ms: int, tick: int) -> None:
        """Count the ports that are surely taken."""
        for charger in touched:
            ports = self._ports.get(charger)
            if ports is None:
                continue
            taken = self._taken(charger, now_ms)
            self._tallies.ports.checked += 1
            if taken > ports:
                self._tallies.ports.fail(f"tick {tick}: {charger} has leased {taken} of {ports} ports")
        touched.clear()

    def _taken(self, charger: str, now_ms: int) -> int:
        return sum(
            lease.sure and lease.ended_ms is None and lease.until_ms - self._slack_ms > now_ms
            for lease in self._leases[charger].values()
        )

    def _state(self, now_ms: int, charger: str, state: ChargerState) -> None:
        """Compare a charger's account with what it has leased and held."""
        tallies, leases = self._tallies, self._leases[charger]
        what = f"tick {state.tick}: {charger}"
        tallies.ports.checked += 1
        if state.ports_reserved > state.ports:
            tallies.ports.fail(f"{what} has reserved {state.ports_reserved} of {state.ports} ports")
        slack_ms = self._slack_ms
        holds = self._holds.get(charger, ())
        possible = sum(
            lease.until_ms + slack_ms > now_ms and (lease.ended_ms is None or lease.ended_ms == now_ms)
            for lease in leases.values()
        ) + sum(begun_ms <= now_ms < until_ms + slack_ms for begun_ms, until_ms in holds)
        tallies.leases.checked += 1
        if state.ports_reserved > possible and state.tick > self._unsure_until:
            tallies.leases.fail(
                f"{what} still counts {state.ports_reserved} reservations, {possible} have not ended"
            )
        set_aside_wh = sum(
            lease.outstanding_wh
            for lease in leases.values()
            if lease.sure and lease.ended_ms is None and lease.until_ms - slack_ms > now_ms
        )
        tallies.reserved.checked += 1
        if set_aside_wh > state.stored_wh:
            tallies.reserved.fail(f"{what} has reserved {set_aside_wh} Wh and stores {state.stored_wh}")

    # --- deliveries --------------------------------------------------------------------------------------

    def _deliveries(self, tick: int, window: Window) -> None:
        """Compare what chargers and vehicles have booked with what vehicles said, and with each other."""
        tally = self._tallies.delivery
        if tick <= self._gaps.latest:
            return
        delivered_wh = drawn_wh = earned_neur = paid_neur = 0
        for agent, state in window.states.items():
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
            if not booked_wh:
                continue
            self._booked[agent] = self._booked.get(agent, 0) + booked_wh
            tally.checked += 1
            if self._booked[agent] > self._metered.get(agent, 0):
                tally.fail(
                    f"tick {tick}: {agent} booked more than vehicles said they drew, by now {self._booked[agent]} Wh"
                )
                self._booked[agent] = self._metered.get(agent, 0)
        if self._exact and self._births.steady(tick - 1, tick + 1):
            tally.checked += 1
            if (delivered_wh, earned_neur) != (drawn_wh, paid_neur):
                tally.fail(
                    f"tick {tick}: chargers delivered {delivered_wh} Wh for {earned_neur} nEUR, "
                    f"vehicles drew {drawn_wh} Wh for {paid_neur}"
                )

    def _forget(self, tick: int, now_ms: int) -> None:
        """Drop what can no longer matter."""
        kept = tick if self._exact else tick - ACCEPTED_TICKS
        self._accepted = {key: heard for key, heard in self._accepted.items() if heard >= kept}
        self._offers = {
            key: value for key, value in self._offers.items() if value[0] >= tick or key in self._accepted
        }
        self._limits = {key: value for key, value in self._limits.items() if value[0] >= tick}
        self._holds = {
            charger: recent
            for charger, holds in self._holds.items()
            if (recent := [hold for hold in holds if hold[1] + self._slack_ms > now_ms])
        }
        gone = now_ms - KEPT_MS
        for leases in self._leases.values():
            for key in [key for key, lease in leases.items() if (lease.ended_ms or lease.until_ms) < gone]:
                del leases[key]
        for table in (self._meters, self._releases):
            for meter in [key for key, value in table.items() if value[0] < tick - 8]:
                del table[meter]
        self._own_meters &= self._meters.keys()


def _time(event: tuple[int, str, str, Message | None]) -> int:
    return event[0]
