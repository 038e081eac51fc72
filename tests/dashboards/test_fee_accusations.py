"""Fees for not coming, and what is booked of them: who lies about either is named, and nobody else."""

from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import (
    Bill,
    ChargerState,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Presence,
    Release,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from tests.dashboards.test_accusations import (
    ARRIVED,
    CAR,
    CHARGER,
    LEASE,
    PRICE,
    ROLES,
    Said,
    Site,
    reservation,
)

FEE = 5_000_000_000
WITH_FEE = Offer(1, 20_000, PRICE, 9_000, FEE)
FEE_BILL = Bill(1, 0, 0, FEE)
ON_THE_WAY = Heartbeat(1, 2_000, arrived=False, drawn_wh=0)


@pytest.mark.parametrize(
    ("said", "lie"),
    [
        ([(CAR, CHARGER, LEASE), (CAR, CHARGER, Bill(1, 0, 0, 1))], "fee beyond offer"),
        (
            [
                (CAR, CHARGER, WITH_FEE),
                (CAR, CHARGER, Lease(1, 20_000, PRICE, 9_000, 1)),
                (CAR, CHARGER, FEE_BILL),
            ],
            "fee without no-show",
        ),
        (
            [
                (CAR, CHARGER, WITH_FEE),
                (CAR, CHARGER, Lease(1, 20_000, PRICE, TICK_MS * 9)),
                (CAR, CHARGER, FEE_BILL),
            ],
            "fee without no-show",
        ),
    ],
    ids=["beyond the offer", "after charging", "before the end"],
)
@pytest.mark.parametrize("exact", [True, False])
def test_a_charger_that_contradicts_its_own_fee_is_named(said: list[Said], lie: str, exact: bool) -> None:
    kept: list[Said] = [(CHARGER, CAR, ON_THE_WAY)]
    assert Site(exact=exact).run(reservation(*said[:-1], *kept, said[-1])).named()[0] == (CHARGER, lie)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("said", "proves"),
    [
        ([], False),
        ([(CHARGER, CAR, ON_THE_WAY)], None),
        ([(CHARGER, CAR, ON_THE_WAY), (CHARGER, CAR, replace(ON_THE_WAY, arrived=True))], False),
        ([(CHARGER, CAR, ON_THE_WAY), (CHARGER, CAR, Release(1, 2_000, 0, "cancelled"))], False),
    ],
    ids=["no heartbeat", "owed", "has come", "has cancelled"],
)
def test_a_fee_that_is_not_owed_is_a_lie_where_no_message_can_be_lost(
    said: list[Said], proves: bool | None, exact: bool
) -> None:
    site = Site(exact=exact)
    lease = Lease(1, 20_000, PRICE, 2 * TICK_MS)
    site.run(reservation((CAR, CHARGER, WITH_FEE), (CAR, CHARGER, lease), *said))
    site.run(lambda _: [], ticks=4)
    named = site.run(lambda _: [(CAR, CHARGER, FEE_BILL)]).named()
    assert named == ([(CHARGER, "fee without no-show")] if proves is False and exact else [])


def billed(site: Site, ticks: int, *answers: Said) -> Site:
    """A vehicle keeps a lease by a heartbeat and does not come; the fee is billed in some ticks."""
    lease = Lease(1, 20_000, PRICE, 2 * TICK_MS)
    site.run(reservation((CAR, CHARGER, WITH_FEE), (CAR, CHARGER, lease), (CHARGER, CAR, ON_THE_WAY))).run(
        lambda _: [], ticks=4
    )
    return site.run(lambda _: [(CAR, CHARGER, FEE_BILL), *answers], ticks=ticks)


@pytest.mark.parametrize(("exact", "ticks"), [(True, 2), (False, 4)])
def test_a_vehicle_that_answers_no_bill_of_a_fee_is_named(exact: bool, ticks: int) -> None:
    assert billed(Site(exact=exact), ticks - 1).named() == []
    assert billed(Site(exact=exact), ticks).named() == [(CAR, "fee not paid")]
    assert billed(Site(exact=exact), ticks + 3).named() == [(CAR, "fee not paid")]


@pytest.mark.parametrize(
    ("answer", "exact", "named"),
    [
        (Release(1, 9_000, 0, "no-show"), True, False),
        (Release(1, 9_000, 0, "no-show"), False, False),
        (Release(1, 9_000, 0, "cancelled"), False, False),  # it may have lost its memory
        (Release(1, 9_000, 0, "cancelled"), True, True),
        (Heartbeat(1, 9_000, arrived=False, drawn_wh=0), False, False),  # it may not have received the bill
    ],
)
def test_what_a_vehicle_answers_to_the_bill_of_a_fee(answer: Message, exact: bool, named: bool) -> None:
    site = billed(Site(exact=exact), 6, (CHARGER, CAR, answer))
    assert site.named() == ([(CAR, "fee not paid")] if named else [])


def test_a_charger_bills_a_denied_fee_no_more_and_its_vehicle_is_named_all_the_same() -> None:
    denial = Release(1, 9_000, 0, "cancelled")
    assert billed(Site(), 1, (CHARGER, CAR, denial)).run(lambda _: [], ticks=2).named() == [
        (CAR, "fee not paid")
    ]
    assert billed(Site(exact=False), 1, (CHARGER, CAR, denial)).run(lambda _: [], ticks=9).named() == []


@pytest.mark.parametrize("device", [CAR, CHARGER])
def test_who_starts_again_is_not_named_for_a_fee(device: str) -> None:
    site = Site()
    billed(site, 1)
    site.accuser.on_presence(site.tick, device, Presence(True, ROLES[device], "north", 51.0, 9.0))
    assert site.run(lambda _: [(CAR, CHARGER, FEE_BILL)], ticks=6).named() == []


@pytest.mark.parametrize("missing", [0, 1])
def test_who_does_not_book_what_it_bills_or_pays_is_named(missing: int) -> None:
    def accounts(paid_neur: int, earned_neur: int) -> list[tuple[str, str]]:
        site = Site()
        acknowledged = Release(1, 9_000, 0, "no-show")
        billed(site, 1, (CHARGER, CAR, acknowledged))
        said: list[Said] = [
            ("vehicle", CAR, vehicle_account(site.tick, paid_neur)),
            ("charger", CHARGER, charger_account(site.tick, earned_neur)),
        ]
        for scope, sender, message in said:
            site.accuser.receive(site.tick, scope, sender, message)
        return site.named()

    lie = "account is not the bills"
    assert accounts(FEE - missing, FEE) == ([(CAR, lie)] if missing else [])
    assert accounts(FEE, FEE - missing) == ([(CHARGER, lie)] if missing else [])


def test_a_charger_that_does_not_book_what_its_leases_count_is_named() -> None:
    counted = Lease(1, 20_000, PRICE, 9_000, 5_000)
    due_neur = cost_neur(5_000, PRICE)
    for booked_neur, named in ((due_neur, []), (due_neur - 1, [(CHARGER, "account is not the bills")])):
        site = Site().run(
            reservation((CAR, CHARGER, LEASE), (CHARGER, CAR, ARRIVED), (CAR, CHARGER, counted))
        )
        site.accuser.receive(site.tick, "charger", CHARGER, charger_account(site.tick, booked_neur))
        assert site.named() == named


def vehicle_account(tick: int, paid_neur: int) -> VehicleState:
    return VehicleState(
        tick, 51.0, 9.0, False, "parked", 0, 0, {}, "vehicle", {}, (), "vehicle",
        "Script", 150.0, 10_000, 50_000, 0, 0, 0, paid_neur, 0.0, 0, None, None, None,
    )  # fmt: skip


def charger_account(tick: int, earned_neur: int) -> ChargerState:
    return ChargerState(
        tick, 51.0, 9.0, False, "free", 0, 0, {}, "charger", {}, (), "charger",
        0, 0, 0, 10_000, 50_000, 0, 0, 0, earned_neur, 2, 0, (), "none", "",
    )  # fmt: skip
