"""Leases of charging ports: each follows an offer and an acceptance, ends, fits the ports and is billed as metered."""

from typing import Final

from gridfleet.broker.protocol.messages import Bill, ChargerState, Decline, Heartbeat, Lease, Offer, Release
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.meters import CallKey, MeterAudit
from gridfleet.dashboards.audit.window import LifecycleLog

DISCHARGE_EFFICIENCY_PERCENT: Final = 94
MAX_LEASE_MS: Final = 3_600_000
"""A lease is given for an hour at most; otherwise nothing would show that it ends."""
UNCERTAIN_TICKS: Final = 16
"""After a gap, a reservation may begin or end for so many ticks of which a part was not received."""
BILLED_TICKS: Final = 96
"""After a gap, a lease of which nothing was received may be billed so many ticks later: a device was cut off."""
ACCEPTED_TICKS: Final = 96
"""An accepted offer may become a lease so many ticks later: the charger may have been cut off."""
LATE_ACCOUNT_MS: Final = 3 * TICK_MS
"""An account is compared with offers that ended so long ago: it is judged up to three ticks after its own."""
AHEAD_MS: Final = TICK_MS
"""A sender's time is ahead of the recorder's by a tick at most: the recorder's stands still until the next phase is
received, and then it is the end of the phase or later."""
KEPT_MS: Final = 24 * 3_600_000
"""An expired lease is kept this long: its bill may still come."""


class AuditedLease:
    """One reservation as its charger's messages describe it."""

    __slots__ = (
        "booked_wh",
        "certain",
        "drawn_wh",
        "ended_ms",
        "energy_wh",
        "metered",
        "price_ueur_per_kwh",
        "until_ms",
    )

    def __init__(self, lease: Lease) -> None:
        self.energy_wh = lease.energy_wh
        self.price_ueur_per_kwh = lease.price_ueur_per_kwh
        self.until_ms = lease.until_ms
        self.ended_ms: int | None = None
        self.metered = lease.metered
        """Whether the charger has a meter of its own."""
        self.drawn_wh = lease.drawn_wh if lease.metered else 0
        """Energy drawn, by the charger's meter or the vehicle."""
        self.booked_wh = lease.drawn_wh
        """Energy drawn, as the charger itself has stated."""
        self.certain = True
        """False since the charger restarted: it may have forgotten the lease."""

    @property
    def outstanding_wh(self) -> int:
        """Battery energy still set aside for it, Wh: what was reserved less what was drawn, with discharge losses."""
        drawn_wh = min(max(self.drawn_wh, self.booked_wh), self.energy_wh)
        return -(-self.energy_wh * 100 // DISCHARGE_EFFICIENCY_PERCENT) + (
            -drawn_wh * 100 // DISCHARGE_EFFICIENCY_PERCENT
        )


class LeaseAudit:
    """Follows offers, acceptances and leases; `slack_ms` is how far the clocks of two devices may differ.

    Unless `exact`, the time at which a message is received says little about the time at which its sender
    acted: device, network and recorder may each be slow. A charger's own statements are compared instead: until
    when its offers and leases last, and the phase of the tick that an account ends.
    """

    def __init__(
        self, tallies: Tallies, lifecycle: LifecycleLog, meters: MeterAudit, *, exact: bool, slack_ms: int
    ) -> None:
        self._tallies = tallies
        self._lifecycle = lifecycle
        self._meters = meters
        self._exact = exact
        self._slack_ms = slack_ms
        self._offers: dict[CallKey, tuple[int, Offer]] = {}
        self._accepted: dict[CallKey, int] = {}
        self._limits: dict[tuple[str, int], tuple[int, int]] = {}
        """(vehicle, call) -> (tick, price limit of the call)."""
        self._leases: dict[str, dict[tuple[str, int], AuditedLease]] = {}
        """Charger -> (vehicle, call) -> lease."""
        self._holds: dict[str, list[tuple[int, int]]] = {}
        """Charger -> (begin, end) of the times for which offers hold a port."""
        self._ports: dict[str, int] = {}
        self._gap_tick: int | None = None
        """When messages were missing last."""
        self._uncertain_until = -1
        """Until this tick there may be reservations of which nothing was received yet."""

    # --- received at once --------------------------------------------------------------------------------

    def on_offer(self, now_ms: int, tick: int, charger: str, vehicle: str, offer: Offer) -> None:
        """Note an offer; it holds a port until it expires."""
        self._offers[charger, vehicle, offer.call] = (tick, offer)
        self._holds.setdefault(charger, []).append((now_ms, offer.until_ms))

    def on_call(self, tick: int, vehicle: str, call: int, limit_ueur_per_kwh: int) -> None:
        """Note the price limit of a vehicle's call."""
        self._limits[vehicle, call] = (tick, limit_ueur_per_kwh)

    def on_accept(self, tick: int, key: CallKey) -> None:
        """Note that a vehicle accepted an offer."""
        self._accepted[key] = tick

    def on_ports(self, charger: str, ports: int) -> None:
        """Note how many ports a charger has."""
        self._ports[charger] = ports

    def on_gap(self, tick: int) -> None:
        """Drop everything: the next heartbeats show what is leased."""
        for each in (self._offers, self._accepted, self._limits, self._leases, self._holds):
            each.clear()
        self._gap_tick = tick
        self._uncertain_until = tick + UNCERTAIN_TICKS

    # --- judged in the order of time ---------------------------------------------------------------------

    def on_lease(self, now_ms: int, tick: int, charger: str, vehicle: str, lease: Lease) -> None:
        """Check a lease: it renews one that lasts, or is new and follows an offer."""
        tally, key = self._tallies.reservations, (charger, vehicle, lease.call)
        what = f"tick {tick}: {charger} leases to {vehicle}, call {lease.call}"
        tally.checked += 1
        self._tallies.leases.checked += 1
        if lease.until_ms > now_ms + MAX_LEASE_MS + self._slack_ms:
            if self._gap_tick is not None and tick <= self._gap_tick + 1:
                return  # the charger does not know yet that a new run has begun
            self._tallies.leases.fail(f"{what}: for {(lease.until_ms - now_ms) // 60_000} minutes")
        leases = self._leases_of(charger)
        known = leases.get((vehicle, lease.call))
        # A charger that was cut off may not know yet what time it is, and renew what would have expired by now.
        lasts = known is not None and (known.until_ms + self._slack_ms > now_ms or not self._exact)
        if known is not None and known.ended_ms is None and lasts:
            if (lease.energy_wh, lease.price_ueur_per_kwh) != (known.energy_wh, known.price_ueur_per_kwh):
                tally.fail(f"{what}: energy or price is not that of the lease it renews")
            known.until_ms = max(known.until_ms, lease.until_ms)
            known.booked_wh = max(known.booked_wh, lease.drawn_wh)
            if lease.metered:
                known.drawn_wh = max(known.drawn_wh, lease.drawn_wh)
            known.certain = True
            return
        leases[vehicle, lease.call] = AuditedLease(lease)
        if self._lifecycle.changed(charger, 0, tick) or self._lifecycle.changed(vehicle, 0, tick):
            return  # a device that restarted may use a call's number again
        if self._is_uncertain(tick, vehicle, lease.call):
            return
        self._check_new(key, tick, lease, what)

    def _check_new(self, key: CallKey, tick: int, lease: Lease, what: str) -> None:
        """Check that a new lease follows an offer and an acceptance.

        Its vehicle does not use one that it has not accepted: then a message was not received, unless `exact`.
        """
        tally = self._tallies.reservations
        _, offer = self._offers.get(key, (tick, None))
        _, limit = self._limits.get(key[1:], (tick, lease.price_ueur_per_kwh))
        if lease.price_ueur_per_kwh > limit:
            tally.fail(f"{what}: the price is above the call's limit")
        elif offer is None or key not in self._accepted:
            if self._exact or not self._meters.has_stated(key):
                tally.fail(f"{what}: without {'an offer' if offer is None else 'an acceptance'}")
        elif (offer.energy_wh, offer.price_ueur_per_kwh) != (lease.energy_wh, lease.price_ueur_per_kwh):
            tally.fail(f"{what}: energy or price is not that of the offer")

    def on_vehicle(self, charger: str, vehicle: str, message: Heartbeat | Release) -> None:
        """Note the energy that a vehicle reports as drawn."""
        lease = self._leases_of(charger).get((vehicle, message.call))
        if lease is not None:
            lease.drawn_wh = max(lease.drawn_wh, message.drawn_wh)

    def on_decline(self, now_ms: int, charger: str, vehicle: str, decline: Decline) -> None:
        """End a lease that the charger reports as unknown."""
        lease = self._leases_of(charger).get((vehicle, decline.call)) if decline.reason == "unknown" else None
        if lease is not None and lease.ended_ms is None:
            lease.ended_ms = now_ms

    def on_bill(self, now_ms: int, tick: int, charger: str, vehicle: str, bill: Bill) -> None:
        """Check a bill against lease and meter; it ends the lease."""
        tally, key = self._tallies.reservations, (charger, vehicle, bill.call)
        what = f"tick {tick}: {charger} bills {vehicle}, call {bill.call}"
        lease = self._leases_of(charger).get((vehicle, bill.call))
        if lease is None or lease.ended_ms is not None:
            after_gap = self._gap_tick is not None and tick <= self._gap_tick + BILLED_TICKS
            known = lease is not None or after_gap or self._lifecycle.changed(charger, 0, tick)
            if bill.energy_wh and not known:
                tally.fail(f"{what}: {bill.energy_wh} Wh without a lease")
            return
        lease.ended_ms = now_ms
        if self._is_uncertain(tick, vehicle, bill.call):
            return
        tally.checked += 1
        max_wh = lease.drawn_wh if self._exact else max(lease.drawn_wh, self._meters.drawn_wh(key))
        min_wh = self._meters.released_wh(key)
        if lease.metered:
            min_wh, max_wh = lease.drawn_wh, lease.energy_wh
        elif self._exact:
            min_wh = max_wh
        elif lease.until_ms - self._slack_ms <= now_ms:
            min_wh = 0  # it had expired: the bill is for what was metered before
        if not min(min_wh, lease.energy_wh) <= bill.energy_wh <= min(max_wh, lease.energy_wh):
            tally.fail(f"{what}: {bill.energy_wh} Wh, the vehicle reported {max_wh} Wh")
        elif bill.amount_neur != cost_neur(bill.energy_wh, lease.price_ueur_per_kwh):
            tally.fail(
                f"{what}: {bill.amount_neur} nEUR for {bill.energy_wh} Wh at {lease.price_ueur_per_kwh} µEUR/kWh"
            )

    def on_account(
        self, now_ms: int, charger: str, state: ChargerState, *, settle_ms: int | None = None
    ) -> None:
        """Compare a charger's account with its leases and offers.

        `settle_ms` is when the phase began in which devices make the accounts of that tick, simulated ms; None where it
        was not received. An account is not made before.
        """
        tallies, leases = self._tallies, self._leases_of(charger)
        what = f"tick {state.tick}: {charger}"
        tallies.ports.checked += 1
        if state.ports_reserved > state.ports:
            tallies.ports.fail(f"{what} has reserved {state.ports_reserved} of {state.ports} ports")
        made_ms = now_ms if self._exact else settle_ms
        if made_ms is not None:
            self._check_ended(now_ms, made_ms, charger, state)
        set_aside_wh = sum(
            lease.outstanding_wh for lease in leases.values() if self._is_active(lease, now_ms)
        )
        tallies.reserved.checked += 1
        if set_aside_wh > state.stored_wh:
            tallies.reserved.fail(f"{what} has reserved {set_aside_wh} Wh and stores {state.stored_wh}")

    def _check_ended(self, now_ms: int, made_ms: int, charger: str, state: ChargerState) -> None:
        """Check that an account counts only reservations that lasted when it was made, or later."""
        slack_ms = self._slack_ms
        possible = sum(
            lease.until_ms + slack_ms > made_ms and (lease.ended_ms is None or lease.ended_ms == now_ms)
            for lease in self._leases_of(charger).values()
        ) + sum(
            begun_ms <= now_ms and made_ms < until_ms + slack_ms
            for begun_ms, until_ms in self._holds.get(charger, ())
        )
        self._tallies.leases.checked += 1
        if state.ports_reserved > possible and state.tick > self._uncertain_until:
            self._tallies.leases.fail(
                f"tick {state.tick}: {charger} still counts {state.ports_reserved} reservations, "
                f"{possible} have not ended"
            )

    def on_restart(self, device: str) -> None:
        """Mark a charger's leases as uncertain: it came online or went offline, and may have forgotten them."""
        for lease in self._leases_of(device).values():
            lease.certain = False

    def check_ports(self, charger: str, now_ms: int, tick: int) -> None:
        """Count the ports that are certainly taken."""
        ports = self._ports.get(charger)
        if ports is None:
            return
        taken = sum(self._is_active(lease, now_ms) for lease in self._leases_of(charger).values())
        self._tallies.ports.checked += 1
        if taken > ports:
            self._tallies.ports.fail(f"tick {tick}: {charger} has leased {taken} of {ports} ports")

    def prune(self, tick: int, now_ms: int) -> None:
        """Drop what can no longer matter after a tick."""
        kept = tick if self._exact else tick - ACCEPTED_TICKS
        self._accepted = {key: received for key, received in self._accepted.items() if received >= kept}
        self._offers = {
            key: value for key, value in self._offers.items() if value[0] >= tick or key in self._accepted
        }
        self._limits = {key: value for key, value in self._limits.items() if value[0] >= tick}
        held_ms = now_ms if self._exact else now_ms - LATE_ACCOUNT_MS
        self._holds = {
            charger: recent
            for charger, holds in self._holds.items()
            if (recent := [hold for hold in holds if hold[1] + self._slack_ms > held_ms])
        }
        oldest_ms = now_ms - KEPT_MS
        for leases in self._leases.values():
            for key in [
                key for key, lease in leases.items() if (lease.ended_ms or lease.until_ms) < oldest_ms
            ]:
                del leases[key]

    def _leases_of(self, charger: str) -> dict[tuple[str, int], AuditedLease]:
        return self._leases.setdefault(charger, {})

    def _is_active(self, lease: AuditedLease, now_ms: int) -> bool:
        """Return whether a lease certainly lasted when its charger sent a message that was received at that time."""
        sent_ms = now_ms if self._exact else now_ms + AHEAD_MS
        return lease.certain and lease.ended_ms is None and lease.until_ms - self._slack_ms > sent_ms

    def _is_uncertain(self, tick: int, vehicle: str, call: int) -> bool:
        """Return whether the beginning of a reservation may not have been received."""
        return tick <= self._uncertain_until and (vehicle, call) not in self._limits
