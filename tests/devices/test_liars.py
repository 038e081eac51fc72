"""Every shipped lie does what it claims, for every role that it is for."""

from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

import pytest

from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Package,
    ProducerState,
    Ready,
    Receipt,
    Release,
    Role,
    State,
    Supply,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR, NEUR_PER_EUR, TICK_MS
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.devices.trust.liars.timing import REPEATED

TICKS: Final = 12
HUGE_WH: Final = 10**12
DEVICES: Final = {
    Role.PRODUCER: "turbine-1",
    Role.CONSUMER: "household-1",
    Role.STORAGE: "battery-1",
    Role.CHARGER: "charger-1",
    Role.VEHICLE: "vehicle-1",
    Role.GRID_SUPPLY: "reactor-1",
}
"""A device of each role, which lies."""
PAIR: Final = ("turbine-1=collude,with:household-1", "household-1=collude,with:turbine-1")
MessageT = TypeVar("MessageT", bound=Message)


@cache
def scenario() -> Scenario:
    """Return a cell whose vehicles need energy soon, and whose devices believe everybody."""
    return load(
        "normal",
        [
            f"ticks={TICKS}",
            "trust.enabled=false",
            "turbines.count=2",
            "households.count=2",
            "commerce.count=0",
            "farms.count=0",
            "battery={count=1, selling_price_eur_per_kwh=0.5}",
            "chargers={count=2, stored_share=0.5, ports=2}",
            "vehicles={count=6, stored_share=0.28}",
            "area={south=51.0, north=51.3, west=9.0, east=9.4}",
        ],
    )


class Log:
    """Everything that reached the receivers of a run."""

    def __init__(self, *arguments: str, faults: Faults | None = None) -> None:
        self.messages: list[tuple[int, str, str, Message]] = []
        self.simulation = Simulation(
            scenario(),
            receivers=(lambda *each: self.messages.append(each),),
            liars=parse_liars(arguments),
            faults=faults,
        )
        self.simulation.run()

    def of(self, sender: str, message_class: type[MessageT]) -> list[MessageT]:
        """Return the messages of one sender and class; of all senders where it is empty."""
        return [
            message
            for _, _, name, message in self.messages
            if isinstance(message, message_class) and (not sender or name == sender)
        ]

    def to(self, device: str, message_class: type[MessageT]) -> list[MessageT]:
        """Return the messages of a class to a device."""
        return [
            message
            for _, scope, _, message in self.messages
            if isinstance(message, message_class) and scope == device
        ]


@cache
def run(*arguments: str) -> Log:
    return Log(*arguments)


def arguments_of(lie: str, role: Role) -> tuple[str, ...]:
    if lie == "collude":
        return PAIR
    one = f"{DEVICES[role]}={lie}"
    if (lie, role) == ("replay", Role.GRID_SUPPLY):  # it sells only where the turbines do not
        return one, "turbine-1=withhold", "turbine-2=withhold"
    return (one,)


EVERY: Final = [(name, role) for name in LIES.names() for role in sorted(LIES.get(name).roles)]


# --- what each lie does: functions of the run with it and of the honest run --------------------------------


def announces(lying: Log, _honest: Log) -> bool:
    supplies, accounts = lying.of("turbine-1", Supply), lying.of("turbine-1", ProducerState)
    return (
        {each.energy_wh for each in supplies} == {HUGE_WH}
        and {each.curtailed_wh for each in accounts} == {HUGE_WH}
        and not lying.of("turbine-1", Award)
    )


def withholds(lying: Log, honest: Log) -> bool:
    return (
        lying.of("turbine-1", Supply) == honest.of("turbine-1", Supply)
        and len(honest.of("turbine-1", Award)) > 0
        and not lying.of("turbine-1", Award)
        and all(s.curtailed_wh == s.generated_wh for s in lying.of("turbine-1", ProducerState))
    )


def steals(lying: Log, _honest: Log) -> bool:
    bids = {(bid.tick, bid.packages) for bid in lying.of("", Bid) if bid.packages}
    awards = {(award.tick, award.lots) for award in lying.of("turbine-1", Award)}
    accounts = lying.of("turbine-1", ProducerState)
    return (
        awards == bids
        and {each.energy_wh for each in lying.of("turbine-1", Supply)} == {0}
        and all(each.generated_wh == each.sold_wh > 0 for each in accounts)
    )


def oversells(lying: Log, honest: Log) -> bool:
    supplies = {each.tick: each.energy_wh for each in lying.of("turbine-1", Supply)}
    awards = lying.of("turbine-1", Award)
    sold_of = {tick: sum(p.energy_wh for a in awards if a.tick == tick for p in a.lots) for tick in supplies}
    return lying.of("turbine-1", Supply)[0] == honest.of("turbine-1", Supply)[0] and any(
        sold_of[tick] > supplies[tick] > 0 for tick in supplies
    )


def bids_everything(lying: Log, _honest: Log) -> bool:
    largest = tuple(Package(index, HUGE_WH, 10**9) for index in range(256))
    return {each.packages for each in lying.of(liar_of(lying), Bid)} == {largest} and bool(
        lying.to(liar_of(lying), Award)
    )


def leaves_unanswered(lying: Log, honest: Log) -> bool:
    return bids_everything(lying, honest) and not lying.of(liar_of(lying), Receipt)


def bids_and_refuses(lying: Log, honest: Log) -> bool:
    return bids_everything(lying, honest) and refuses(lying, honest)


def refuses(lying: Log, _honest: Log) -> bool:
    return {each.lots for each in lying.of(liar_of(lying), Receipt)} == {()}


def refuses_late(lying: Log, honest: Log) -> bool:
    """Every answer is a refusal, in the tick after the award's."""
    liar = liar_of(lying)
    answers = [
        (now_ms, message)
        for now_ms, _, sender, message in lying.messages
        if isinstance(message, Receipt) and sender == liar
    ]
    start_ms = lying.messages[0][0]
    ticks = [(now_ms - start_ms) // TICK_MS - message.tick for now_ms, message in answers]
    return (
        len(honest.of(liar, Receipt)) > 0
        and set(ticks) == {1}
        and not any(message.lots for _, message in answers)
    )


def awards_late(lying: Log, honest: Log) -> bool:
    """Every award comes in the tick after its own; the supplies are true."""
    start_ms = lying.messages[0][0]
    late = [
        (now_ms - start_ms) // TICK_MS - message.tick
        for now_ms, _, sender, message in lying.messages
        if isinstance(message, Award) and sender == "turbine-1"
    ]
    return min(late, default=0) == 1 and lying.of("turbine-1", Supply) == honest.of("turbine-1", Supply)


def gives_no_receipt(lying: Log, _honest: Log) -> bool:
    liar = liar_of(lying)
    return len(lying.to(liar, Award)) > 0 and not lying.of(liar, Receipt)


def receipts_twice(lying: Log, _honest: Log) -> bool:
    answers: dict[tuple[int, str, int], list[bool]] = {}
    for _, scope, sender, message in lying.messages:
        if isinstance(message, Receipt) and sender == liar_of(lying):
            answers.setdefault((message.tick, scope, message.serial), []).append(bool(message.lots))
    return [False, True] in [taken[:2] for taken in answers.values()]


def alters_receipts(lying: Log, _honest: Log) -> bool:
    liar = liar_of(lying)
    awards = {(each.tick, lot.index): lot for each in lying.to(liar, Award) for lot in each.lots}
    receipts = [(each.tick, lot) for each in lying.of(liar, Receipt) for lot in each.lots]
    return len(receipts) > 0 and all(
        lot.price_ueur_per_kwh < awards[tick, lot.index].price_ueur_per_kwh for tick, lot in receipts
    )


def overbills(lying: Log, _honest: Log) -> bool:
    leases = lying.of("charger-1", Lease)
    early = [beat for beat in lying.to("charger-1", Heartbeat) if not beat.arrived]
    return (
        {each.energy_wh for each in lying.of("charger-1", Offer)} == {HUGE_WH}
        and len(early) > 0
        and all(each.metered for each in leases)
        and HUGE_WH in {each.drawn_wh for each in leases}
        and {each.energy_wh for each in lying.of("charger-1", Bill)} == {HUGE_WH}
    )


def pads(lying: Log, honest: Log) -> bool:
    one, other = lying.of("charger-1", Offer)[0], honest.of("charger-1", Offer)[0]
    bills = [each for each in lying.of("charger-1", Bill) if each.energy_wh]
    billed = sum(each.amount_neur for each in bills)
    leased = {(each.call, each.energy_wh) for each in lying.of("charger-1", Lease)}
    earned = sum(each.earned_neur for each in lying.of("charger-1", ChargerState))
    return (
        one.energy_wh == other.energy_wh * 5 // 4
        and len(bills) > 0
        and all((each.call, each.energy_wh) in leased for each in bills)
        and earned >= billed
    )


def offers_for_nothing(lying: Log, _honest: Log) -> bool:
    return (
        {each.price_ueur_per_kwh for each in lying.of("charger-1", Offer)} == {0}
        and "charger-1" in {each.charger for each in lying.of("", Accept)}
        and not lying.of("charger-1", Lease)
    )


def changes_offers(lying: Log, _honest: Log) -> bool:
    offers = {(each.call, each.energy_wh, each.price_ueur_per_kwh) for each in lying.of("charger-1", Offer)}
    leases = lying.of("charger-1", Lease)
    return len(leases) > 0 and not any(
        (each.call, each.energy_wh, each.price_ueur_per_kwh) in offers for each in leases
    )


def bills_false_fees(lying: Log, honest: Log) -> bool:
    bills = [each for each in lying.of("charger-1", Bill) if each.energy_wh]
    fees = {each.no_show_fee_neur for each in lying.of("charger-1", Offer)}
    return (
        len(bills) > 0
        and {each.no_show_fee_neur for each in bills} == fees == {5 * NEUR_PER_EUR}
        and {each.no_show_fee_neur for each in honest.of("charger-1", Bill)} == {0}
    )


def hogs(lying: Log, _honest: Log) -> bool:
    calls, beats = lying.of("vehicle-1", Call), lying.of("vehicle-1", Heartbeat)
    return (
        {each.energy_wh for each in calls} == {10**9}
        and len(lying.of("vehicle-1", Accept)) == len(lying.to("vehicle-1", Offer)) > 0
        and len(beats) > TICKS
        and not any(each.arrived for each in beats)
        and not lying.of("vehicle-1", Release)
    )


def reserves_everywhere(lying: Log, _honest: Log) -> bool:
    calls, beats = lying.of("vehicle-1", Call), lying.of("vehicle-1", Heartbeat)
    accepted = {each.charger for each in lying.of("vehicle-1", Accept)}
    return (
        all(each.energy_wh < 200_000 for each in calls)
        and accepted == {"charger-1", "charger-2"}
        and len(beats) > 0
        and not any(each.arrived for each in beats)
    )


def never_arrives(lying: Log, honest: Log) -> bool:
    beats = lying.of("vehicle-1", Heartbeat)
    return (
        lying.of("vehicle-1", Call)[0] == honest.of("vehicle-1", Call)[0]
        and len(beats) > 0
        and not any(each.arrived for each in beats)
        and not lying.of("vehicle-1", Release)
    )


def under_reports(lying: Log, honest: Log) -> bool:
    drawn = [
        max((each.drawn_wh for each in log.of("vehicle-1", Release)), default=0) for log in (lying, honest)
    ]
    return 0 < drawn[0] < drawn[1] // 5


def has_false_accounts(lying: Log, _honest: Log) -> bool:
    accounts = lying.of(liar_of(lying), State)
    figures = ("sold_wh", "bought_wh", "delivered_wh", "drawn_wh")
    return len(accounts) == TICKS and all(
        HUGE_WH in [getattr(each, figure, 0) for figure in figures] for each in accounts
    )


def has_no_account(lying: Log, honest: Log) -> bool:
    liar = liar_of(lying)
    return not lying.of(liar, State) and len(honest.of(liar, State)) == TICKS


def is_denied(lying: Log, honest: Log) -> bool:
    """The access rules deny what is false, and nothing else is."""
    liar = liar_of(lying)
    refused = [each.refused.get("denied", 0) for each in lying.of(liar, State)]
    others = [each[2:] for log in (lying, honest) for each in log.messages if not isinstance(each[3], State)]
    return refused[-1] >= 2 * (TICKS - 1) and others[: len(others) // 2] == others[len(others) // 2 :]


def replays(lying: Log, _honest: Log) -> bool:
    sent: dict[tuple[str, Message], list[int]] = {}
    for at_ms, scope, sender, message in lying.messages:
        if sender == liar_of(lying) and isinstance(message, Bid | Award | Receipt | Supply | Lease | Call):
            sent.setdefault((scope, message), []).append(at_ms)
    return any(
        abs(later - times[0] - MS_PER_HOUR) < TICK_MS for times in sent.values() for later in times[1:]
    )


def floods(lying: Log, honest: Log) -> bool:
    classes: tuple[type[Message], ...] = (Bid, Supply, Call)
    counts = [[len(log.of(liar_of(lying), each)) for each in classes] for log in (lying, honest)]
    return sum(counts[0]) >= REPEATED * sum(counts[1]) > 0


def is_off(lying: Log, honest: Log) -> bool:
    classes: tuple[type[Message], ...] = (Call,) if liar_of(lying) == "vehicle-1" else (Offer,)
    for message_class in classes:
        one, other = (log.of(liar_of(lying), message_class)[0] for log in (lying, honest))
        for name in ("simulated_ms", "until_ms"):
            if hasattr(one, name):
                return bool(getattr(one, name) - getattr(other, name) == 6 * MS_PER_HOUR)
    return False


def is_ready_at_once(lying: Log, _honest: Log) -> bool:
    return {each.through for each in lying.of(liar_of(lying), Ready)} == {"settle"}


def colludes(lying: Log, _honest: Log) -> bool:
    receipts = [lot for each in lying.of("household-1", Receipt) for lot in each.lots]
    false = [lot for lot in receipts if (lot.energy_wh, lot.price_ueur_per_kwh) == (10**11, 0)]
    accounts = lying.of("turbine-1", ProducerState)
    return len(false) == TICKS and all(each.sold_wh >= 10**11 for each in accounts)


DOES: Final[dict[str, Callable[[Log, Log], bool]]] = {
    "announce": announces,
    "withhold": withholds,
    "award-late": awards_late,
    "steal": steals,
    "oversell": oversells,
    "bid-everything": leaves_unanswered,
    "bid-and-refuse": bids_and_refuses,
    "refuse-awards": refuses,
    "refuse-late": refuses_late,
    "no-receipt": gives_no_receipt,
    "double-receipt": receipts_twice,
    "altered-receipt": alters_receipts,
    "overbill": overbills,
    "pad-bill": pads,
    "zero-price": offers_for_nothing,
    "changing-offer": changes_offers,
    "false-fee": bills_false_fees,
    "hog": hogs,
    "reserve-everywhere": reserves_everywhere,
    "no-show": never_arrives,
    "under-report": under_reports,
    "false-account": has_false_accounts,
    "silent-account": has_no_account,
    "foreign-account": is_denied,
    "false-clock": is_denied,
    "replay": replays,
    "flood": floods,
    "wrong-time": is_off,
    "false-ready": is_ready_at_once,
    "collude": colludes,
}


def liar_of(log: Log) -> str:
    return min(log.simulation.fleet.liars)


def test_every_shipped_lie_is_checked() -> None:
    assert sorted(DOES) == sorted(LIES.names())


@pytest.mark.parametrize(("lie", "role"), EVERY)
def test_a_lie_does_what_it_claims(lie: str, role: Role) -> None:
    assert DOES[lie](run(*arguments_of(lie, role)), run())
