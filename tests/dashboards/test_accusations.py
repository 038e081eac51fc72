"""The accuser names who lies, with the evidence, and nobody else: one lie at a time in an honest tick's messages."""

from collections.abc import Callable

import pytest

from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ConsumerState,
    Facts,
    Heartbeat,
    Lease,
    Limits,
    Message,
    Mode,
    Offer,
    Package,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Registration,
    Role,
    Settings,
    Supply,
    Suspension,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import TICK_MS, cost_neur
from gridfleet.dashboards.audit.accusations.accuser import Accusation, Accuser
from gridfleet.dashboards.audit.accusations.judge import Judge
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.devices.market.clearing import supply_order
from tests.dashboards.runs import audit, message_log

TURBINE, HOME, SHOP, CHARGER, CAR = "turbine-1", "household-1", "household-2", "charger-1", "vehicle-1"
ROLES = {
    TURBINE: Role.PRODUCER,
    "turbine-2": Role.PRODUCER,
    HOME: Role.CONSUMER,
    SHOP: Role.CONSUMER,
    CHARGER: Role.CHARGER,
    CAR: Role.VEHICLE,
}
REGISTER = {
    "turbine": Limits(sells_wh=5_000),
    "household": Limits(buys_wh=2_000, price_ueur_per_kwh=1_000_000),
    "charger": Limits(buys_wh=50_000, capacity_wh=300_000, ports=2),
    "vehicle": Limits(capacity_wh=80_000, power_w=100_000),
}
PRICE = 500_000
LOTS = (Package(0, 1_000, PRICE),)
Said = tuple[str, str, Message]


def producer(tick: int, *, sold: int = 1_000, generated: int = 3_000) -> ProducerState:
    return ProducerState(
        tick, 51.0, 9.0, False, "running", 0, 0, {}, "turbine", {}, (), "producer",
        generated, sold, generated - sold, 0, cost_neur(sold, PRICE),
    )  # fmt: skip


def consumer(tick: int, *, bought: int = 1_000, demand: int = 1_000) -> ConsumerState:
    return ConsumerState(
        tick, 51.0, 9.0, False, "running", 0, 0, {}, "consumer", {}, (), "consumer",
        demand, bought, cost_neur(bought, PRICE),
    )  # fmt: skip


def honest(tick: int) -> list[Said]:
    """A tick in which a household buys from a turbine."""
    return [
        ("north", TURBINE, Supply(tick, 3_000)),
        ("north", HOME, Bid(tick, LOTS)),
        (HOME, TURBINE, Award(tick, 0, LOTS)),
        (TURBINE, HOME, Receipt(tick, 0, LOTS)),
        ("producer", TURBINE, producer(tick)),
        ("consumer", HOME, consumer(tick)),
    ]


def tick_message(tick: int) -> Tick:
    begins_ms = tick * 900_000
    return Tick(
        tick, Phase.TRADE, begins_ms, begins_ms + 1, Mode.SCALED, 0.5, 10, paused=False, settings=Settings()
    )


class Site:
    """An accuser that has received the births of a site and its register."""

    def __init__(self, *, exact: bool = True) -> None:
        self.accuser = Accuser(Tallies(exact=exact).honesty, exact=exact)
        for prefix, limits in REGISTER.items():
            self.accuser.receive(-1, prefix, CLOCK_ID, Registration(2, limits))
        for device, role in ROLES.items():
            self.accuser.on_presence(-5, device, Presence(True, role, "north", 51.0, 9.0))
        self.tick = -1

    def run(self, messages: Callable[[int], list[Said]] = honest, ticks: int = 1) -> "Site":
        for _ in range(ticks):
            self.tick += 1
            self.accuser.begin_tick(self.tick, self.tick * TICK_MS)
            self.accuser.judge(self.tick, waited=True)
            for scope, sender, message in messages(self.tick):
                self.accuser.receive(self.tick, scope, sender, message)
        return self

    def accusations(self) -> list[Accusation]:
        self.tick += 1
        self.accuser.begin_tick(self.tick, self.tick * TICK_MS)
        self.accuser.judge(self.tick, waited=True)
        return self.accuser.take()

    def named(self) -> list[tuple[str, str]]:
        return [(each.device, each.lie) for each in self.accusations()]


def test_an_honest_site_is_not_accused() -> None:
    for exact in (True, False):
        assert Site(exact=exact).run(ticks=40).named() == []


def changed(at: int, *replacements: Said) -> Callable[[int], list[Said]]:
    """Return the messages of a tick with some in place of the one at that place; tick numbers are those of tick 0."""

    def messages(tick: int) -> list[Said]:
        said = honest(tick)
        said[at : at + 1] = list(replacements)
        return said

    return messages


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (changed(0, ("north", TURBINE, Supply(0, 5_001))), (TURBINE, "supply beyond limits")),
        (changed(1, ("north", HOME, Bid(0, (Package(0, 2_001, PRICE),)))), (HOME, "bid beyond limits")),
        (changed(1, ("north", HOME, Bid(0, (Package(0, 1_000, 1_000_001),)))), (HOME, "bid beyond limits")),
        (changed(0), (TURBINE, "award without supply")),
        (changed(0, ("north", TURBINE, Supply(0, 999))), (TURBINE, "award beyond supply")),
        (
            changed(
                2, (HOME, TURBINE, Award(0, 0, LOTS)), (HOME, TURBINE, Award(0, 0, (Package(0, 999, PRICE),)))
            ),
            (TURBINE, "two awards with one number"),
        ),
        (changed(4, ("producer", TURBINE, producer(0, sold=1_001))), (TURBINE, "account is not the awards")),
        (
            changed(3, (TURBINE, HOME, Receipt(0, 0, (Package(0, 1_001, PRICE),)))),
            (HOME, "receipt beyond award"),
        ),
        (
            changed(3, (TURBINE, HOME, Receipt(0, 0, (Package(0, 1_000, 499_999),)))),
            (HOME, "receipt beyond award"),
        ),
        (
            changed(3, (TURBINE, HOME, Receipt(0, 0, ())), (TURBINE, HOME, Receipt(0, 0, LOTS))),
            (HOME, "two receipts for one award"),
        ),
        (changed(3), (HOME, "account is not the receipts")),
        (changed(5, ("consumer", HOME, consumer(0, bought=1_001))), (HOME, "false account")),
        (changed(4, ("producer", TURBINE, producer(0, generated=5_001))), (TURBINE, "false account")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_one_lie_names_its_liar(messages: Callable[[int], list[Said]], named: tuple[str, str]) -> None:
    found = Site().run(messages).named()
    assert named in found
    assert {device for device, _ in found} == {named[0]}


def oversold(tick: int) -> list[Said]:
    """All of a supply is awarded to two buyers, of which the second takes a part: together no more than there is."""
    lots = (Package(0, 2_000, PRICE), Package(1, 1_000, PRICE))
    part = (Package(1, 1_000, PRICE),)
    return [
        ("north", TURBINE, Supply(tick, 3_000)),
        (HOME, TURBINE, Award(tick, 0, lots)),
        (SHOP, TURBINE, Award(tick, 0, lots)),
        (TURBINE, HOME, Receipt(tick, 0, lots[:1])),
        (TURBINE, SHOP, Receipt(tick, 0, part)),
    ]


def test_who_awards_its_supply_twice_is_named_even_if_buyers_do_not_take_all() -> None:
    assert Site().run(oversold).named() == [(TURBINE, "award beyond supply")]


@pytest.mark.parametrize("refused", [True, False])
def test_a_refusal_may_be_received_before_its_award(refused: bool) -> None:
    """What is refused is awarded again; the recorder receives the refusal first, and then both awards."""
    lots = (Package(0, 3_000, PRICE),)

    def messages(tick: int) -> list[Said]:
        return [
            ("north", TURBINE, Supply(tick, 3_000)),
            (TURBINE, HOME, Receipt(tick, 0, () if refused else lots)),
            (HOME, TURBINE, Award(tick, 0, lots)),
            (SHOP, TURBINE, Award(tick, 0, lots)),
            (TURBINE, SHOP, Receipt(tick, 0, lots)),
        ]

    assert Site().run(messages).named() == ([] if refused else [(TURBINE, "award beyond supply")])


def test_who_sells_the_demand_of_another_is_named_where_everybody_has_received_everything() -> None:
    """Two turbines have more than the demand of 1000 Wh; by the draw of each tick one of them serves it."""

    def by(seller: Callable[[int], str]) -> Callable[[int], list[Said]]:
        def messages(tick: int) -> list[Said]:
            return [
                ("north", "turbine-1", Supply(tick, 3_000)),
                ("north", "turbine-2", Supply(tick, 3_000)),
                ("north", HOME, Bid(tick, LOTS)),
                (HOME, seller(tick), Award(tick, 0, LOTS)),
                (seller(tick), HOME, Receipt(tick, 0, LOTS)),
            ]

        return messages

    def first(tick: int) -> str:
        return supply_order(tick, {"turbine-1": 3_000, "turbine-2": 3_000})[0][0]

    def second(tick: int) -> str:
        return supply_order(tick, {"turbine-1": 3_000, "turbine-2": 3_000})[1][0]

    assert {first(tick) for tick in range(8)} == {"turbine-1", "turbine-2"}
    assert Site().run(by(first), ticks=8).named() == []
    assert Site().run(by(second)).named() == [(second(0), "award out of turn")]
    assert Site(exact=False).run(by(second), ticks=8).named() == []
    late = Site()
    late.accuser.on_presence(0, SHOP, Presence(True, Role.CONSUMER, "north", 51.0, 9.0))
    assert late.run(by(second)).named() == []


@pytest.mark.parametrize("exact", [True, False])
def test_no_message_of_another_makes_an_honest_device_a_liar(*, exact: bool) -> None:
    """What is put beside an honest tick here was found as a way to have another device accused."""
    big, small = (Package(0, 3_000, PRICE),), (Package(0, 1_000, PRICE),)
    twice = (Package(0, 600, PRICE), Package(0, 600, PRICE))

    def early_receipt(tick: int) -> list[Said]:
        """A buyer takes what it has not been awarded yet, then refuses it, so that it is sold again."""
        return [
            ("north", TURBINE, Supply(tick, 3_000)),
            (TURBINE, HOME, Receipt(tick, 0, big)),
            (HOME, TURBINE, Award(tick, 0, big)),
            (TURBINE, HOME, Receipt(tick, 0, ())),
            (SHOP, TURBINE, Award(tick, 0, big)),
            (TURBINE, SHOP, Receipt(tick, 0, big)),
        ]

    def altered_reminder(tick: int) -> list[Said]:
        """A seller asks again with other lots: an honest buyer knows no such award, and refuses it."""
        return [
            *honest(tick)[:4],
            (HOME, TURBINE, Award(tick, 0, big)),
            (TURBINE, HOME, Receipt(tick, 0, ())),
        ]

    def repeated_index(tick: int) -> list[Said]:
        """A seller awards a package in two parts of one number; an honest buyer takes one of them."""
        return [
            ("north", TURBINE, Supply(tick, 3_000)),
            (HOME, TURBINE, Award(tick, 0, twice)),
            (TURBINE, HOME, Receipt(tick, 0, (Package(0, 600, PRICE), Package(0, 400, PRICE)))),
        ]

    def two_supplies(tick: int) -> list[Said]:
        """A producer announces twice: others take the first, so that their shares are not what they seem."""
        return [
            ("north", "turbine-2", Supply(tick, 1)),
            ("north", TURBINE, Supply(tick, 1_000)),
            ("north", HOME, Bid(tick, small)),
            ("north", "turbine-2", Supply(tick, 1_000)),
            (HOME, TURBINE, Award(tick, 0, (Package(0, 999, PRICE),))),
            (TURBINE, HOME, Receipt(tick, 0, (Package(0, 999, PRICE),))),
        ]

    innocent = {early_receipt: TURBINE, altered_reminder: HOME, repeated_index: HOME, two_supplies: TURBINE}
    for messages, device in innocent.items():
        named = {name for name, _ in Site(exact=exact).run(messages, ticks=6).named()}
        assert device not in named, messages.__name__


def test_what_is_for_a_tick_far_ahead_is_kept_for_no_judgement() -> None:
    site = Site(exact=False).run(lambda _: [(HOME, TURBINE, Award(9, 0, LOTS))])
    assert site.run(ticks=12).named() == []


def test_births_of_who_is_online_are_no_way_out_of_every_judgement() -> None:
    site = Site()
    named: list[tuple[str, str]] = []
    for _ in range(40):
        site.accuser.on_presence(site.tick + 1, TURBINE, Presence(True, Role.PRODUCER, "north", 51.0, 9.0))
        site.run(oversold)
        named += [(each.device, each.lie) for each in site.accuser.take()]
    assert (TURBINE, "award beyond supply") in named


def test_what_a_buyer_has_refused_may_be_awarded_again() -> None:
    def resold(tick: int) -> list[Said]:
        lots = (Package(0, 3_000, PRICE),)
        return [
            ("north", TURBINE, Supply(tick, 3_000)),
            (HOME, TURBINE, Award(tick, 0, lots)),
            (HOME, TURBINE, Award(tick, 0, lots)),  # a reminder
            (TURBINE, HOME, Receipt(tick, 0, ())),
            (SHOP, TURBINE, Award(tick, 0, lots)),
            (TURBINE, SHOP, Receipt(tick, 0, lots)),
        ]

    assert Site().run(resold).named() == []


def test_what_one_lost_message_explains_is_a_lie_only_in_the_fourth_tick_in_a_row() -> None:
    for lie in (changed_in_each_tick(0), changed_in_each_tick(3), oversold):
        assert Site(exact=False).run(lie, ticks=3).named() == []
        site = Site(exact=False).run(lie, ticks=2).run(ticks=3).run(lie, ticks=3)
        assert site.named() == []
        assert Site(exact=False).run(lie, ticks=5).named() != []


def test_where_many_are_doubted_at_once_the_recorder_has_missed_messages() -> None:
    homes = ["household-1", "household-2", "household-3"]

    def without_receipts(of: list[str]) -> Callable[[int], list[Said]]:
        def messages(tick: int) -> list[Said]:
            said: list[Said] = [("north", TURBINE, Supply(tick, 3_000))]
            for home in homes:
                said += [("north", home, Bid(tick, LOTS)), (home, TURBINE, Award(tick, 0, LOTS))]
                said += [] if home in of else [(TURBINE, home, Receipt(tick, 0, LOTS))]
                said.append(("consumer", home, consumer(tick)))
            return [*said, ("producer", TURBINE, producer(tick, sold=3_000))]

        return messages

    for exact, doubted, named in (
        (False, homes, []),
        (False, homes[:2], []),
        (False, homes[:1], homes[:1]),
        (True, homes, homes),
    ):
        site = Site(exact=exact)
        for home in homes:
            site.accuser.on_presence(-5, home, Presence(True, Role.CONSUMER, "north", 51.0, 9.0))
        found = site.run(without_receipts(doubted), ticks=6).named()
        assert sorted({device for device, _ in found}) == named


def test_an_account_against_awards_that_expired_on_their_way_to_the_recorder_is_no_lie() -> None:
    homes = ["household-1", "household-2", "household-3"]

    def without_awards(to: list[str]) -> Callable[[int], list[Said]]:
        def messages(tick: int) -> list[Said]:
            said: list[Said] = []
            for home in homes:
                said += [] if home in to else [(home, TURBINE, Award(tick, 0, LOTS))]
                said += [(TURBINE, home, Receipt(tick, 0, LOTS)), ("consumer", home, consumer(tick))]
            return [
                ("north", TURBINE, Supply(tick, 3_000)),
                *said,
                ("producer", TURBINE, producer(tick, sold=3_000)),
            ]

        return messages

    for exact, missing, named in (
        (False, homes, set()),
        (False, homes[:2], set()),
        (False, homes[:1], {TURBINE}),  # no buyer alone protects a seller that lies
        (True, homes, {TURBINE}),
    ):
        found = Site(exact=exact).run(without_awards(missing), ticks=6).named()
        assert {device for device, _ in found} == named


def changed_in_each_tick(at: int) -> Callable[[int], list[Said]]:
    def messages(tick: int) -> list[Said]:
        said = honest(tick)
        del said[at]
        return said

    return messages


def test_who_bids_and_never_accounts_is_named_after_sixteen_ticks() -> None:
    hidden = changed_in_each_tick(5)
    assert Site().run(hidden, ticks=14).named() == []
    assert Site().run(hidden, ticks=16).named() == [(HOME, "no account")]


def test_who_has_just_started_is_not_judged() -> None:
    site = Site()
    site.tick = 4
    site.accuser.on_presence(5, TURBINE, Presence(True, Role.PRODUCER, "north", 51.0, 9.0))
    assert site.run(oversold).named() == []


def test_after_a_gap_only_whole_ticks_are_judged() -> None:
    site = Site().run(oversold)
    site.accuser.note_gap()
    assert site.named() == []
    assert site.run(oversold).named() == [(TURBINE, "award beyond supply")]


@pytest.mark.parametrize(
    "changes",
    [
        ("settings.turbine_scale=2", "settings.wind_scale=5", "settings.consumer_scale=2"),
        ("market.charger_floor_eur_per_kwh=1", "market.consumer_price_eur_per_kwh=4"),
        ("turbines.rotor_diameter_m=[20,180]", "battery={count=3, max_kwh_per_tick=70}"),
        ("chargers.max_kwh_per_tick=200", "chargers.capacity_kwh=1000", "vehicles.model=Tesla Model 3 RWD"),
    ],
    ids=lambda changes: changes[0],
)
def test_no_honest_device_exceeds_its_limits_whatever_the_scenario(changes: tuple[str, ...]) -> None:
    log = message_log("normal", ("weather.weibull_scale_mps=20", *changes), ticks=24)
    (found,) = (each for each in audit(log).values() if each.name == "honesty")
    assert found.checked > 500
    assert found.breaches == 0


# --- chargers ---------------------------------------------------------------------------------------------

CALL = Call(1, 1_000, 20_000, 1_000_000, 51.0, 9.0, 150.0)
OFFER = Offer(1, 20_000, PRICE, 9_000)
LEASE = Lease(1, 20_000, PRICE, 9_000)
ARRIVED = Heartbeat(1, 2_000, arrived=True, drawn_wh=5_000)


def reservation(*said: Said) -> Callable[[int], list[Said]]:
    begin: list[Said] = [
        ("north", CAR, CALL),
        (CAR, CHARGER, OFFER),
        ("north", CAR, Accept(1, 1_000, CHARGER)),
    ]
    return lambda _: [*begin, *said]


@pytest.mark.parametrize(
    ("said", "lie"),
    [
        ([(CAR, CHARGER, Lease(1, 20_000, PRICE + 1, 9_000))], "lease is not the offer"),
        ([(CAR, CHARGER, Lease(1, 10_000, PRICE, 9_000))], "lease is not the offer"),
        ([(CAR, CHARGER, Lease(1, 20_000, PRICE, 9_000, 20_001, True))], "meter beyond lease"),
        ([(CAR, CHARGER, Lease(1, 20_000, PRICE, 9_000, 1, True))], "meter before arrival"),
        (
            [(CAR, CHARGER, LEASE), (CAR, CHARGER, Bill(1, 20_001, cost_neur(20_001, PRICE)))],
            "bill beyond lease",
        ),
        (
            [(CAR, CHARGER, LEASE), (CAR, CHARGER, Bill(1, 5_000, cost_neur(5_000, PRICE) + 1))],
            "bill is not the price",
        ),
        ([(CAR, CHARGER, Offer(1, 60_000, PRICE, 9_000))], "offer beyond call"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_charger_that_contradicts_itself_is_named(said: list[Said], lie: str) -> None:
    assert Site().run(reservation(*said)).named() == [(CHARGER, lie)]


def test_an_honest_reservation_names_nobody() -> None:
    metered = Lease(1, 20_000, PRICE, 9_000, 5_000, True)
    bill = Bill(1, 5_000, cost_neur(5_000, PRICE))
    said = reservation(
        (CAR, CHARGER, LEASE), (CHARGER, CAR, ARRIVED), (CAR, CHARGER, metered), (CAR, CHARGER, bill)
    )
    assert Site().run(said).named() == []


@pytest.mark.parametrize("energies", [(20_000, 9_000), (9_000, 20_000)])
def test_a_vehicle_that_calls_twice_with_one_number_makes_no_charger_a_liar(
    energies: tuple[int, int],
) -> None:
    said: list[Said] = [
        ("north", CAR, Call(1, 1_000, energy_wh, 1_000_000, 51.0, 9.0, 150.0)) for energy_wh in energies
    ]
    said.append((CAR, CHARGER, Offer(1, 20_000, PRICE, 9_000)))
    assert Site().run(lambda _: said).named() == []


def test_a_call_that_is_repeated_may_get_another_offer() -> None:
    again = Offer(1, 20_000, PRICE + 7, 9_000)
    bill = Bill(1, 5_000, cost_neur(5_000, PRICE))
    said = reservation(
        (CAR, CHARGER, LEASE), ("north", CAR, CALL), (CAR, CHARGER, again), (CAR, CHARGER, bill)
    )
    assert Site().run(said).named() == []


def test_a_vehicle_that_calls_for_more_than_fills_its_battery_is_named() -> None:
    call = Call(1, 1_000, 90_000, 1_000_000, 51.0, 9.0, 150.0)
    assert Site().run(lambda _: [("north", CAR, call)]).named() == [(CAR, "call beyond battery")]


# --- the judge --------------------------------------------------------------------------------------------


def test_who_is_accused_is_suspended_once_from_the_next_tick_on_until_an_operator_lifts_it() -> None:
    judge = Judge()
    judge.on_facts(Facts("x", 50.0, 52.0, 8.0, 10.0, 1, 1, 1, suspension_ticks=10))
    judge.on_tick(tick_message(7))
    lies = [Accusation(CHARGER, 7, "false account", "a"), Accusation(CHARGER, 7, "no account", "b")]
    assert judge.judge(lies) == [(CHARGER, Suspension("false account", "a", 8, 18))]
    judge.on_tick(tick_message(12))
    assert judge.judge(lies) == []
    judge.on_suspension(CHARGER, Suspension("repaired", "", 12, 12))
    assert judge.judge(lies) == [(CHARGER, Suspension("false account", "a", 13, 23))]


def test_a_site_that_believes_everybody_suspends_nobody() -> None:
    judge = Judge()
    judge.on_tick(tick_message(7))
    assert judge.judge([Accusation(CHARGER, 7, "false account", "a")]) == []
