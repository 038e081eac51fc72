"""Access rules are exactly what agents need: no filter more than they subscribe to, no topic less than they publish."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from gridfleet.broker.access_control import (
    ClientRole,
    Identity,
    publish_filters,
    retained_topics,
    subscribe_filters,
)
from gridfleet.broker.brokers.mosquitto.access_rules import access_rules
from gridfleet.broker.protocol.messages import ID_PATTERN, Message, Mode, Role
from gridfleet.broker.protocol.topics import (
    BUYERS,
    CLOCK_ID,
    ROOT,
    TOPIC_TABLE,
    discovery_topic,
    topic,
    topic_filter,
)
from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.agent_runner import filters_of
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.site.secrets import identities

CITY = parse(
    "",
    "city.toml",
    "",
    [
        "area.rows=2",
        "area.columns=3",
        "turbines.count=9",
        "households.count=18",
        "chargers.count=12",
        "ticks=12",
    ],
)


def any_of(patterns: Iterable[str], text: str) -> bool:
    return any(topic_matches_sub(pattern, text) for pattern in patterns)


def test_devices_may_receive_exactly_what_they_subscribe_to() -> None:
    fleet = Fleet(CITY)
    clock = fleet.clock(Mode.LOCKSTEP)
    users = {user.name: user for user in identities(fleet)}
    for agent in (*fleet.agents(), clock):
        wanted = {text for text, _ in filters_of("germany", agent)}
        every = set(subscribe_filters("germany", users[agent.id]))
        if (
            agent.role in BUYERS
        ):  # alone in its process it needs them; here the producers of its cell share theirs
            wanted.add(topic_filter("germany", "supply", agent.cell))
        assert every == wanted, agent.id
    alone = next(each for each in Fleet(CITY).agents() if each.role is Role.CONSUMER)
    wanted = {text for text, _ in filters_of("germany", alone)}
    assert wanted == set(subscribe_filters("germany", users[alone.id]))


def test_devices_may_publish_all_that_they_publish() -> None:
    fleet = Fleet(CITY)
    filters = {user.name: list(publish_filters("germany", user)) for user in identities(fleet)}
    published: set[str] = set()

    def receive(_now_ms: int, scope: str, sender: str, message: Message) -> None:
        published.add(message.TYPE)
        text = topic("germany", message, scope, sender)
        assert any_of(filters[sender], text), text

    Simulation(CITY, receivers=(receive,)).run()
    assert {"surplus", "residual", "award", "offer", "lease", "state"} <= published


def test_no_user_may_publish_under_another_name() -> None:
    for user in identities(Fleet(CITY)):
        for text in publish_filters("germany", user):
            assert text.rpartition("/")[2] == user.name or text == discovery_topic("germany", user.name)


@pytest.mark.parametrize(
    ("role", "published"),
    [(ClientRole.RECORDER, ["gridfleet/here/suspension/+/ann"]), (ClientRole.VIEWER, [])],
)
def test_recorders_and_viewers_receive_everything_and_recorders_suspend(
    role: ClientRole, published: list[str]
) -> None:
    user = Identity("ann", role)
    assert list(publish_filters("here", user)) == published
    assert list(subscribe_filters("here", user)) == ["gridfleet/here/#", "homeassistant/device/+/config"]


def test_only_operators_publish_controls_and_only_under_their_name() -> None:
    assert list(publish_filters("here", Identity("ann", ClientRole.OPERATOR))) == [
        "gridfleet/here/control/+/ann",
        "gridfleet/here/suspension/+/ann",
    ]
    for user in identities(Fleet(CITY)):
        steers = any("/control/" in text for text in publish_filters("germany", user))
        assert steers == (user.role is ClientRole.OPERATOR)


def test_only_the_clock_may_publish_ticks_and_grants() -> None:
    for user in identities(Fleet(CITY)):
        types = {text.split("/")[2] for text in publish_filters("germany", user)}
        assert bool(types & {"tick", "grant"}) == (user.name == CLOCK_ID)


def test_every_message_type_may_be_published_by_a_user() -> None:
    users = identities(Fleet(CITY), processes=1)
    published = {
        text.split("/")[2]
        for user in users
        for text in publish_filters("germany", user)
        if text.startswith(ROOT)
    }
    assert published == {message_type.name for message_type in TOPIC_TABLE}


def test_the_rules_of_a_household() -> None:
    text = access_rules("here", [Identity("household-1", Role.CONSUMER, "north", ("south",))])
    assert text.startswith("pattern read gridfleet/here/grant/%u/+\n")
    assert text.partition("user household-1\n")[2].splitlines() == [
        "topic read gridfleet/here/tick/+",
        "topic read gridfleet/here/registration/+/+",
        "topic read gridfleet/here/supply/north/+",
        "topic read gridfleet/here/award/household-1/+",
        "topic read gridfleet/here/suspension/+/+",
        "topic write gridfleet/here/ready/household-1",
        "topic write gridfleet/here/presence/north/consumer/household-1",
        "topic write gridfleet/here/bid/north/household-1",
        "topic write gridfleet/here/residual/north/household-1",
        "topic write gridfleet/here/request/+/household-1",
        "topic write gridfleet/here/receipt/+/household-1",
        "topic write gridfleet/here/state/consumer/household-1",
        "topic write gridfleet/here/sample/household-1",
        "topic write gridfleet/here/incident/household-1",
    ]


def test_a_device_publishes_its_own_discovery_message_only_where_that_is_enabled() -> None:
    for enabled in (False, True):
        for user in identities(Fleet(CITY), processes=1, discovery=enabled):
            found = [text for text in publish_filters("germany", user) if not text.startswith(ROOT)]
            is_device = enabled and isinstance(user.role, Role)
            assert found == ([discovery_topic("germany", user.name)] if is_device else []), user.name


def test_what_a_device_may_retain_is_known_and_has_no_wildcard() -> None:
    names = {message_type.name for message_type in TOPIC_TABLE if message_type.retain}
    for user in identities(Fleet(CITY), discovery=True):
        published = list(publish_filters("germany", user))
        own = [text for text in published if text.startswith("homeassistant/") or text.split("/")[2] in names]
        if isinstance(user.role, Role) and user.role is not Role.CLOCK:
            assert list(retained_topics("germany", user)) == own
            assert not any("+" in text for text in own)


def test_the_rules_of_a_fleet_process() -> None:
    house = Identity("household-1", Role.CONSUMER, "north", ("south",))
    turbine = Identity("turbine-1", Role.PRODUCER, "north", ("south",))
    text = access_rules(
        "here",
        [
            Identity("fleet-1", ClientRole.FLEET, devices=(house, turbine)),
            Identity("fleet-2", ClientRole.FLEET),
        ],
    )
    assert text.partition("user fleet-2\n")[2].splitlines() == [
        "topic read gridfleet/here/tick/+",
        "topic write gridfleet/here/fleet/fleet-2",
    ]
    rules = text.partition("user fleet-1\n")[2].partition("\n\n")[0].splitlines()
    assert len(rules) == len(set(rules))
    assert set(rules) == {
        "topic read gridfleet/here/tick/+",
        "topic read gridfleet/here/presence/+/+/+",
        "topic read gridfleet/here/fleet/+",
        "topic read gridfleet/here/registration/+/+",
        "topic read gridfleet/here/suspension/+/+",
        "topic read gridfleet/here/grant/household-1/+",
        "topic read gridfleet/here/grant/turbine-1/+",
        "topic read gridfleet/here/award/household-1/+",
        "topic read gridfleet/here/receipt/turbine-1/+",
        "topic read gridfleet/here/supply/north/+",
        "topic read gridfleet/here/bid/north/+",
        "topic read gridfleet/here/residual/south/+",
        "topic read gridfleet/here/surplus/south/+",
        *(
            f"topic read gridfleet/here/batch/{message_type}/+"
            for message_type in (
                "grant/north", "award/north", "receipt/north", "supply/north", "bid/north", "residual/south",
                "surplus/south",
            )
        ),
        "topic write gridfleet/here/fleet/fleet-1",
        *(
            f"topic write gridfleet/here/batch/{message_type}/fleet-1"
            for message_type in (
                    "ready/site", "correction/site", "sample/site", "incident/site", "supply/north", "bid/north",
                    "residual/north", "surplus/south",
                "request/+", "award/+", "receipt/+",
            )
        ),
        *(f"topic write {topic}" for device in (house, turbine) for topic in publish_filters("here", device)),
    }  # fmt: skip


@given(st.lists(st.from_regex(ID_PATTERN.replace("$", r"\Z"), fullmatch=True), min_size=4, max_size=4))
def test_no_two_devices_share_a_discovery_topic(names: list[str]) -> None:
    site, device, other_site, other = names
    same = discovery_topic(site, device) == discovery_topic(other_site, other)
    assert same == ((site, device) == (other_site, other))
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", discovery_topic(site, device))


@pytest.mark.parametrize("name", ["+", "a/b", "#", "a\nuser b", " a", "a\x00"])
def test_a_wrong_user_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a user name of Mosquitto"):
        access_rules("here", [Identity(name, ClientRole.VIEWER)])
