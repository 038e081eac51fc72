"""Every topic of the table is built and parsed back; anything else is refused with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import GridFleetError, TopicError
from gridfleet.broker.protocol.messages import ID_PATTERN, Award, Close, Control, Kind, Presence, Tick
from gridfleet.broker.protocol.topics import (
    ALL,
    BY_MESSAGE_TYPE,
    TABLE,
    ClientRole,
    Row,
    Scope,
    parse,
    topic,
    topic_filter,
)
from tests.devices.anything import CLASSES, anything

SITE = "germany"
ids = st.from_regex(ID_PATTERN.replace("$", r"\Z"), fullmatch=True)
rows = st.sampled_from(TABLE)


def matches(pattern: str, text: str) -> bool:
    """Tell whether a topic matches a filter, by MQTT's rule for '+'."""
    levels, wanted = text.split("/"), pattern.split("/")
    return len(levels) == len(wanted) and all(w in (ALL, x) for w, x in zip(wanted, levels, strict=True))


@given(rows, ids, st.data())
def test_every_topic_is_parsed_back(row: Row, sender: str, data: st.DataObject) -> None:
    scope = "/".join(data.draw(ids) for _ in row.scope.levels)
    kind = next(kind for kind in CLASSES if row.word == kind.TOPIC)
    text = topic(SITE, data.draw(anything(kind)), scope, sender)
    assert parse(SITE, text) == (row, scope, sender)
    assert text.rpartition("/")[2] == sender
    assert matches(topic_filter(SITE, row.word), text)
    assert matches(topic_filter(SITE, row.word, scope), text)


@given(rows, ids, ids, st.data())
def test_a_filter_for_one_scope_hears_no_other(
    row: Row, sender: str, other: str, data: st.DataObject
) -> None:
    if row.scope is Scope.SITE:
        return
    scope = "/".join(data.draw(ids) for _ in row.scope.levels)
    elsewhere = "/".join([other] * len(row.scope.levels))
    text = f"gridfleet/{SITE}/{row.word}/{elsewhere}/{sender}"
    assert matches(topic_filter(SITE, row.word, scope), text) == (scope == elsewhere)


@pytest.mark.parametrize(
    ("message", "scope", "text"),
    [
        (Award(1, 2, ()), "household-1", "gridfleet/germany/award/household-1/turbine-1"),
        (Close(1), "cell-1-1", "gridfleet/germany/close/cell-1-1/turbine-1"),
        (Control(1.0, 1), "turbine_scale", "gridfleet/germany/control/turbine_scale/turbine-1"),
    ],
)
def test_examples(message: Award | Close | Control, scope: str, text: str) -> None:
    assert topic(SITE, message, scope, "turbine-1") == text


def test_filters() -> None:
    assert topic_filter(SITE, "tick") == "gridfleet/germany/tick/+"
    assert topic_filter(SITE, "bid", "cell-1-1") == "gridfleet/germany/bid/cell-1-1/+"
    assert topic_filter(SITE, "bid") == "gridfleet/germany/bid/+/+"
    assert topic_filter(SITE, "presence") == "gridfleet/germany/presence/+/+/+"
    assert topic_filter(SITE, "presence", "here/charger") == "gridfleet/germany/presence/here/charger/+"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not begin"),
        ("gridfleet", "does not begin"),
        ("gridfleet/france/tick/clock", "does not begin"),
        ("Gridfleet/germany/tick/clock", "does not begin"),
        ("/gridfleet/germany/tick/clock", "does not begin"),
        ("gridfleet/germany", "names no known message"),
        ("gridfleet/germany/", "names no known message"),
        ("gridfleet/germany/tack/clock", "names no known message"),
        ("gridfleet/germany/TICK/clock", "names no known message"),
        ("gridfleet/germany/tick", "takes 0 scope levels"),
        ("gridfleet/germany/tick/here/clock", "takes 0 scope levels"),
        ("gridfleet/germany/bid/household-1", "takes 1 scope level"),
        ("gridfleet/germany/bid/a/b/c", "takes 1 scope level"),
        ("gridfleet/germany/presence/here/charger-1", "takes 2 scope levels"),
        ("gridfleet/germany/tick/", "'' is not an id"),
        ("gridfleet/germany/bid//household-1", "'' is not an id"),
        ("gridfleet/germany/tick/+", "'+' is not an id"),
        ("gridfleet/germany/tick/#", "'#' is not an id"),
        ("gridfleet/germany/tick/-clock", "is not an id"),
        ("gridfleet/germany/tick/cl ock", "is not an id"),
        ("gridfleet/germany/tick/clock\n", "is not an id"),
        ("gridfleet/germany/tick/clock\0", "is not an id"),
        ("gridfleet/germany/bid/here\n/household-1", "is not an id"),
        ("gridfleet/germany/tick/ünder", "is not an id"),
        ("gridfleet/germany/tick/�", "is not an id"),
        ("gridfleet/germany/tick/" + "x" * 49, "is not an id"),
        ("gridfleet/germany/tick/" + "x" * 65_000, "is not an id"),
    ],
)
def test_hostile_topics_are_refused(text: str, reason: str) -> None:
    with pytest.raises(TopicError, match=reason.replace("+", r"\+")) as caught:
        parse(SITE, text)
    assert caught.value.topic == text
    assert caught.value.reason in str(caught.value)
    assert isinstance(caught.value, GridFleetError)
    assert isinstance(caught.value, ValueError)


@given(st.text() | st.lists(st.text() | st.sampled_from([*BY_MESSAGE_TYPE]), max_size=4).map("/".join))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for candidate in (text, f"gridfleet/{SITE}/{text}"):
        try:
            address = parse(SITE, candidate)
        except TopicError as error:
            assert error.topic == candidate  # noqa: PT017 - a refusal is one of two right answers
        else:
            assert topic_filter(SITE, address.row.word, address.scope)[:-1] + address.sender == candidate


def test_only_what_a_late_joiner_needs_is_retained() -> None:
    assert {row.word for row in TABLE if row.retain} == {
        "tick", "facts", "control", "presence", "fleet", "state",
    }  # fmt: skip


def test_the_market_is_at_least_once_and_never_retained() -> None:
    for word in ("bid", "supply", "award", "receipt", "request", "residual", "surplus"):
        assert (BY_MESSAGE_TYPE[word].qos, BY_MESSAGE_TYPE[word].retain) == (1, False)


def test_only_the_clock_says_what_time_it_is() -> None:
    assert BY_MESSAGE_TYPE[Tick.TOPIC].senders == frozenset({Kind.CLOCK})
    assert BY_MESSAGE_TYPE["grant"].senders == frozenset({Kind.CLOCK})
    assert BY_MESSAGE_TYPE[Presence.TOPIC].senders == frozenset(Kind)
    assert BY_MESSAGE_TYPE["control"].senders == frozenset({ClientRole.OPERATOR})
