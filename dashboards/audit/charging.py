"""Charging reservations: the messages between chargers and vehicles, judged in the order of their times.

Messages are kept with their time and judged when their tick is. Within one millisecond, ports are counted after all
messages. A charger's messages open a lease (Lease) and end it (Bill, Decline); otherwise it ends at its time.
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
)
from gridfleet.dashboards.audit.accounts import AccountAudit
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.leases import LeaseAudit
from gridfleet.dashboards.audit.meters import MeterAudit
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, TickWindow

SETTLES_KEPT: Final = 4
"""An account is judged up to three ticks after its own."""

_Event = tuple[int, str, str, Message | None]
"""Simulated ms, charger, vehicle and message; no message where a device came online or went offline."""


class ChargingAudit:
    """Follows every reservation from offer to bill; `slack_ms` is how far the clocks of two devices may differ."""

    def __init__(
        self,
        tallies: Tallies,
        lifecycle: LifecycleLog,
        gaps: GapLog,
        accounts: AccountAudit,
        *,
        exact: bool,
        slack_ms: int,
    ) -> None:
        self._accounts = accounts
        self._meters = MeterAudit(tallies, lifecycle, gaps, exact=exact)
        self._leases = LeaseAudit(tallies, lifecycle, self._meters, exact=exact, slack_ms=slack_ms)
        self._events: list[_Event] = []
        self._settles: dict[int, int] = {}
        """Tick -> when its last phase began, simulated ms."""

    def receive(self, now_ms: int, tick: int, scope: str, sender: str, message: Message) -> None:
        """Take a message of a reservation."""
        if isinstance(message, Offer):
            self._leases.on_offer(now_ms, tick, sender, scope, message)
        elif isinstance(message, Heartbeat | Release):
            self._meters.on_vehicle(tick, sender, scope, message)
            self._events.append((now_ms, scope, sender, message))
        elif isinstance(message, Call):
            self._leases.on_call(tick, sender, message.call, message.limit_ueur_per_kwh)
        elif isinstance(message, Accept):
            self._leases.on_accept(tick, (message.charger, sender, message.call))
        elif isinstance(message, Lease | Bill | Decline):
            if not isinstance(message, Decline):
                self._accounts.count_booking(tick, sender, scope)
                self._meters.on_charger(tick, scope, sender, message)
            self._events.append((now_ms, sender, scope, message))

    def on_settle(self, tick: int, simulated_ms: int) -> None:
        """Note when the last phase of a tick began: then devices make their accounts."""
        self._settles[tick] = simulated_ms

    def on_account(self, now_ms: int, sender: str, state: ChargerState) -> None:
        """Take a charger's account."""
        self._leases.on_ports(sender, state.ports)
        self._events.append((now_ms, sender, "", state))

    def on_restart(self, now_ms: int, device: str) -> None:
        """Note that a device came online or went offline: it may have forgotten its leases and readings."""
        self._meters.on_restart(device)
        self._events.append((now_ms, device, "", None))

    def on_gap(self, tick: int) -> None:
        """Note that messages may be missing: start again with what is received from now on."""
        self._events.clear()
        self._leases.on_gap(tick)
        self._meters.on_gap()

    def check_tick(self, tick: int, end_ms: int, window: TickWindow) -> None:
        """Judge the messages before the end of a tick, and the accounts of the tick."""
        events = [event for event in self._events if event[0] < end_ms]
        self._events = [event for event in self._events if event[0] >= end_ms]
        events.sort(key=_time)
        leasing: set[str] = set()
        instant_ms = -1
        for now_ms, charger, vehicle, message in events:
            if now_ms != instant_ms:
                self._check_ports(leasing, instant_ms, tick)
                instant_ms = now_ms
            self._judge(now_ms, tick, charger, vehicle, message)
            if isinstance(message, Lease):
                leasing.add(charger)
        self._check_ports(leasing, instant_ms, tick)
        self._meters.check_accounts(tick, window)
        self._leases.prune(tick, end_ms)
        self._meters.prune(tick)
        self._settles = {each: at_ms for each, at_ms in self._settles.items() if each > tick - SETTLES_KEPT}

    def _judge(self, now_ms: int, tick: int, charger: str, vehicle: str, message: Message | None) -> None:
        leases = self._leases
        match message:
            case Lease():
                leases.on_lease(now_ms, tick, charger, vehicle, message)
            case Heartbeat() | Release():
                leases.on_vehicle(charger, vehicle, message)
            case Bill():
                leases.on_bill(now_ms, tick, charger, vehicle, message)
            case Decline():
                leases.on_decline(now_ms, charger, vehicle, message)
            case ChargerState():
                leases.on_account(now_ms, charger, message, settle_ms=self._settles.get(message.tick))
            case _:
                leases.on_restart(charger)

    def _check_ports(self, leasing: set[str], now_ms: int, tick: int) -> None:
        for charger in leasing:
            self._leases.check_ports(charger, now_ms, tick)
        leasing.clear()


def _time(event: _Event) -> int:
    return event[0]
