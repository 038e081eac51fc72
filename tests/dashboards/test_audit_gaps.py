"""The auditor where messages are missing or late: such ticks are not judged, all others are."""

from dataclasses import replace

import pytest

from gridfleet.broker.protocol.messages import ConsumerState, Phase, Tick, VehicleState
from gridfleet.dashboards.audit import Auditor
from tests.dashboards.runs import SMALL, Logged, audit, broken, change, message_log


def with_a_gap(
    log: tuple[Logged, ...], first: int, last: int, *, reported: bool, exact: bool = False
) -> dict[str, tuple[str, ...]]:
    """Audit a run without the messages from the middle of one tick to the middle of another."""
    auditor = Auditor(exact=exact)
    in_gap = False
    for each in log:
        message = each[3]
        if isinstance(message, Tick) and message.phase is Phase.TRADE:
            if in_gap and message.tick == last and reported:
                auditor.note_gap()
            in_gap = first <= message.tick < last
        if not in_gap:
            auditor.receive(*each)
    return broken({finding.name: finding for finding in auditor.finish()})


@pytest.mark.parametrize(("first", "last"), [(14, 15), (14, 30), (9, 10)])
def test_ticks_in_a_reported_gap_are_not_judged(first: int, last: int) -> None:
    log = message_log("normal", SMALL, (), 60)
    assert with_a_gap(log, first, last, reported=True) == {}
    assert "packages" in with_a_gap(log, first, last, reported=False, exact=True)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("at", [875, 2729, 3604])
def test_messages_after_a_gap_and_before_the_next_tick_are_not_too_early(at: int, exact: bool) -> None:
    log = message_log("normal", (), (), 24)
    auditor = Auditor(exact=exact)
    for each in log[:at]:
        auditor.receive(*each)
    auditor.note_gap()
    for each in log[at + 400 :]:
        auditor.receive(*each)
    assert broken({finding.name: finding for finding in auditor.finish()}) == {}


@pytest.mark.parametrize("exact", [False, True])
def test_a_gap_without_lost_messages_breaks_nothing(exact: bool) -> None:
    auditor = Auditor(exact=exact)
    for number, each in enumerate(message_log("normal", (), (), 24)):
        auditor.receive(*each)
        if number % 777 == 0:
            auditor.note_gap()
    assert broken({finding.name: finding for finding in auditor.finish()}) == {}


def test_after_a_gap_breaches_are_found_again() -> None:
    log = list(message_log("normal", SMALL, (), 60))
    at = next(n for n, each in enumerate(log) if isinstance(each[3], ConsumerState) and each[3].tick == 25)
    state = log[at][3]
    assert isinstance(state, ConsumerState)
    change(log, at, balance_neur=state.balance_neur + 1)
    assert with_a_gap(tuple(log), 14, 16, reported=True).keys() == {"balances"}


def test_an_account_that_comes_many_ticks_late_takes_its_place_in_the_chain() -> None:
    accounts: dict[int, Logged] = {}
    others: list[Logged] = []
    for each in message_log("normal", SMALL, (), 60):
        state = each[3]
        if isinstance(state, VehicleState) and each[2] == "vehicle-07" and 20 <= state.tick <= 27:
            accounts[state.tick] = each
        else:
            others.append(each)
    now_ms, scope, sender, back = accounts[27]
    summed = {
        name: sum(getattr(accounts[tick][3], name) for tick in range(21, 28))
        for name in ("drawn_wh", "charge_loss_wh", "driven_wh", "paid_neur")
    }
    away = [accounts[20], (now_ms, scope, sender, replace(back, **summed))]
    place = next(at for at, each in enumerate(others) if each[0] >= now_ms)
    assert broken(audit((*others[:place], *away, *others[place:]), exact=False)) == {}
    change(away, 0, stored_wh=1)
    assert "batteries" in broken(audit((*others[:place], *away, *others[place:]), exact=False))
