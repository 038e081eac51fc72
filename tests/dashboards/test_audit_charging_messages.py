"""The audit of charging judges messages in the order of their times, whenever they arrive."""

from dataclasses import replace

from gridfleet.broker.protocol.messages import Accept, Bill, Decline, Heartbeat, Message
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.accounts import AccountAudit
from gridfleet.dashboards.audit.charging import ChargingAudit
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, TickWindow
from tests.dashboards.test_audit_charging import (
    CALL,
    CHARGER,
    LEASE,
    NOW_MS,
    OFFER,
    PRICE,
    STATE,
    TICK,
    VEHICLE,
)


class Messages:
    """The audit of all messages between one charger with one port and its vehicles."""

    def __init__(self, *, exact: bool = True) -> None:
        self.tallies = Tallies(exact=exact)
        self.lifecycle, self.gaps = LifecycleLog(), GapLog()
        self.accounts = AccountAudit(self.tallies, self.lifecycle, self.gaps, exact=exact)
        self.audit = ChargingAudit(
            self.tallies, self.lifecycle, self.gaps, self.accounts, exact=exact, slack_ms=0
        )

    @property
    def broken(self) -> set[str]:
        return {finding.name for finding in self.tallies.findings() if finding.breaches}

    def vehicle(
        self, message: Message, *, vehicle: str = VEHICLE, now_ms: int = NOW_MS, tick: int = TICK
    ) -> "Messages":
        self.audit.receive(now_ms, tick, CHARGER, vehicle, message)
        return self

    def charger(
        self, message: Message, *, vehicle: str = VEHICLE, now_ms: int = NOW_MS, tick: int = TICK
    ) -> "Messages":
        self.audit.receive(now_ms, tick, vehicle, CHARGER, message)
        return self

    def reserve(self, vehicle: str, *, now_ms: int = NOW_MS, tick: int = TICK) -> "Messages":
        self.charger(OFFER, vehicle=vehicle, now_ms=now_ms, tick=tick)
        self.vehicle(Accept(CALL, now_ms, CHARGER), vehicle=vehicle, now_ms=now_ms, tick=tick)
        return self.charger(LEASE, vehicle=vehicle, now_ms=now_ms, tick=tick)

    def judge(self, *, end_ms: int = NOW_MS + 60_000, tick: int = TICK) -> set[str]:
        self.audit.on_account(NOW_MS - 1, CHARGER, replace(STATE, ports=1, ports_reserved=0))
        self.audit.check_tick(tick, end_ms, TickWindow())
        return self.broken


def test_an_offer_may_be_accepted_in_the_next_tick() -> None:
    messages = Messages().charger(OFFER)
    assert messages.judge(end_ms=NOW_MS + 1) == set()
    late = Messages(exact=False).charger(OFFER).vehicle(Accept(CALL, NOW_MS, CHARGER))
    assert late.judge(end_ms=NOW_MS + 1) == set()
    late.charger(LEASE, now_ms=NOW_MS + 2, tick=TICK + 1)
    assert late.judge(tick=TICK + 1) == set()


def test_a_port_that_is_freed_and_leased_in_one_instant_is_leased_once() -> None:
    freed = Messages().reserve(VEHICLE).reserve("vehicle-2", now_ms=NOW_MS + 5)
    freed.charger(Bill(CALL, 0, 0), now_ms=NOW_MS + 5)
    assert freed.judge() == set()
    late = Messages().reserve(VEHICLE).reserve("vehicle-2", now_ms=NOW_MS + 5)
    late.charger(Bill(CALL, 0, 0), now_ms=NOW_MS + 6)
    assert late.judge() == {"ports"}


def test_messages_are_judged_with_the_tick_in_which_they_came() -> None:
    for now_ms, broken in ((NOW_MS, {"reservations"}), (NOW_MS + 1, set())):
        messages = Messages().charger(LEASE, now_ms=now_ms)
        assert messages.judge(end_ms=NOW_MS + 1) == broken
        assert messages.judge(end_ms=NOW_MS + 2) == {"reservations"}


def test_messages_are_judged_by_their_times_and_not_by_their_arrival() -> None:
    late = (
        Messages(exact=False)
        .charger(LEASE, now_ms=NOW_MS + 9)
        .charger(OFFER)
        .vehicle(Accept(CALL, NOW_MS, CHARGER))
    )
    late.charger(Bill(CALL, 5_000, cost_neur(5_000, PRICE)), now_ms=NOW_MS + 20)
    late.vehicle(Heartbeat(CALL, NOW_MS, arrived=True, drawn_wh=5_000), now_ms=NOW_MS + 15)
    assert late.judge() == set()


def test_after_a_gap_and_a_restart_leases_begin_again() -> None:
    gap = Messages().reserve(VEHICLE)
    gap.audit.on_gap(TICK)
    assert gap.reserve("vehicle-2", now_ms=NOW_MS + 5).judge() == set()
    restarted = Messages().reserve(VEHICLE)
    restarted.audit.on_restart(NOW_MS + 1, CHARGER)
    assert restarted.reserve("vehicle-2", now_ms=NOW_MS + 5).judge() == set()
    declined = Messages().reserve(VEHICLE).charger(Decline(CALL, "unknown"), now_ms=NOW_MS + 1)
    assert declined.reserve("vehicle-2", now_ms=NOW_MS + 5).judge() == set()
    other = Messages().reserve(VEHICLE).charger(Decline(CALL, "energy"), now_ms=NOW_MS + 1)
    assert other.reserve("vehicle-2", now_ms=NOW_MS + 5).judge() == {"ports"}
