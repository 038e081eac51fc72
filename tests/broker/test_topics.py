"""Every topic of the table is parsed as it was built; anything else is refused with its reason."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from gridfleet.broker.errors import GridFleetError, TopicError
from gridfleet.broker.protocol.messages import ID_PATTERN, Award, Close, Control, Presence, Role, Tick
from gridfleet.broker.protocol.topics import (
    CLOCK_ID,
    MESSAGE_TYPES,
    TOPIC_TABLE,
    ClientRole,
    MessageType,
    Scope,
    parse_topic,
    topic,
    topic_filter,
)
from tests.devices.message_strategies import CLASSES, anything

SITE = "germany"
ids = st.from_regex(ID_PATTERN.replace("$", r"\Z"), fullmatch=True)
rows = st.sampled_from(TOPIC_TABLE)


def roles_of(message_type: MessageType) -> list[Role]:
    """The roles of devices that may publish a message type; none where only other clients may."""
    return [role for role in Role if role in message_type.senders]


@given(rows, ids.filter(lambda name: name != CLOCK_ID), st.data())
def test_every_topic_is_parsed_back(message_type: MessageType, name: str, data: st.DataObject) -> None:
    roles = roles_of(message_type)
    role = data.draw(st.sampled_from(roles)) if roles else None
    levels = [role if level == "role" else data.draw(ids) for level in message_type.scope.levels]
    scope, sender = "/".join(map(str, levels)), CLOCK_ID if role is Role.CLOCK else name
    kind = next(kind for kind in CLASSES if message_type.name == kind.TYPE)
    text = topic(SITE, data.draw(anything(kind)), scope, sender)
    assert parse_topic(SITE, text) == (message_type, scope, sender)
    assert text.rpartition("/")[2] == sender
    assert topic_matches_sub(topic_filter(SITE, message_type.name), text)
    assert topic_matches_sub(topic_filter(SITE, message_type.name, scope), text)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("message_type", TOPIC_TABLE, ids=lambda each: each.name)
def test_nobody_publishes_as_another_role(message_type: MessageType, role: Role) -> None:
    """Who may publish what, and as what: every message type for every role, by the clock and by a device."""
    roles = roles_of(message_type)
    scope = "/".join(role if level == "role" else "here" for level in message_type.scope.levels)
    names_role = "role" in message_type.scope.levels
    for sender in (CLOCK_ID, "device-1"):
        own = [each for each in roles if (each is Role.CLOCK) == (sender == CLOCK_ID)]
        by_devices = role in own if names_role else bool(own)
        # Controls and fleets are of clients that are no devices.
        allowed = by_devices if roles else sender != CLOCK_ID
        text = "/".join(filter(None, ("gridfleet", SITE, message_type.name, scope, sender)))
        if allowed:
            assert parse_topic(SITE, text).sender == sender
        else:
            with pytest.raises(TopicError):
                parse_topic(SITE, text)


def test_a_filter_for_one_scope_matches_no_other() -> None:
    matched: Counter[bool] = Counter()
    names = st.sampled_from(["north", "south"]) | ids

    @given(st.sampled_from([row for row in TOPIC_TABLE if row.scope is not Scope.SITE]), ids, st.data())
    def run(message_type: MessageType, sender: str, data: st.DataObject) -> None:
        scope, other = ("/".join(data.draw(names) for _ in message_type.scope.levels) for _ in range(2))
        text = f"gridfleet/{SITE}/{message_type.name}/{other}/{sender}"
        assert topic_matches_sub(topic_filter(SITE, message_type.name, scope), text) == (scope == other)
        matched[scope == other] += 1

    run()
    assert min(matched[True], matched[False]) >= 3, matched


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
        ("gridfleet/germany", "has no level for the message type"),
        ("gridfleet/germany/", "'' is not a message type"),
        ("gridfleet/germany/tack/clock", "'tack' is not a message type"),
        ("gridfleet/germany/TICK/clock", "'TICK' is not a message type"),
        ("gridfleet/germany/tick", "tick/ is not followed by <sender>"),
        ("gridfleet/germany/tick/here/clock", "tick/ is not followed by <sender>"),
        ("gridfleet/germany/bid/household-1", "bid/ is not followed by <cell>/<sender>"),
        ("gridfleet/germany/bid/a/b/c", "bid/ is not followed by <cell>/<sender>"),
        ("gridfleet/germany/presence/here/charger-1", "presence/ is not followed by <cell>/<role>/<sender>"),
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
        parse_topic(SITE, text)
    assert caught.value.topic == text
    assert caught.value.reason in str(caught.value)
    assert isinstance(caught.value, GridFleetError)
    assert isinstance(caught.value, ValueError)


LEVELS = st.lists(st.text() | st.sampled_from([*MESSAGE_TYPES]), max_size=4)
LIKE_A_TOPIC = rows.flatmap(lambda row: st.tuples(st.just(row.name), *[ids] * (len(row.scope.levels) + 1)))


def test_any_text_is_parsed_or_refused() -> None:
    results: Counter[str] = Counter()

    @given(st.one_of(st.text(), LEVELS.map("/".join), *[LIKE_A_TOPIC.map("/".join)] * 3))
    def run(text: str) -> None:
        for candidate in (text, f"gridfleet/{SITE}/{text}"):
            try:
                address = parse_topic(SITE, candidate)
            except TopicError as error:
                assert error.topic == candidate  # noqa: PT017 - a refusal is one of two right answers
                results["refused"] += 1
            else:
                prefix = topic_filter(SITE, address.message_type.name, address.scope)[:-1]
                assert prefix + address.sender == candidate
                results["parsed"] += 1

    run()
    assert min(results["parsed"], results["refused"]) >= 3, results


def test_only_what_a_late_joiner_needs_is_retained() -> None:
    assert {message_type.name for message_type in TOPIC_TABLE if message_type.retain} == {
        "tick", "facts", "control", "presence", "fleet", "state", "registration", "suspension",
    }  # fmt: skip


def test_market_messages_are_qos_1_and_never_retained() -> None:
    for message_type in ("bid", "supply", "award", "receipt", "request", "residual", "surplus"):
        assert (MESSAGE_TYPES[message_type].qos, MESSAGE_TYPES[message_type].retain) == (1, False)


def test_only_the_clock_publishes_ticks_and_grants() -> None:
    assert MESSAGE_TYPES[Tick.TYPE].senders == frozenset({Role.CLOCK})
    assert MESSAGE_TYPES["grant"].senders == frozenset({Role.CLOCK})
    assert MESSAGE_TYPES[Presence.TYPE].senders == frozenset(Role)
    assert MESSAGE_TYPES["control"].senders == frozenset({ClientRole.OPERATOR})
