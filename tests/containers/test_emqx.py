"""EMQX's files, read here as EMQX reads them and compared with the access rules of Mosquitto."""

import csv
import hashlib
import json
import re
from pathlib import PurePosixPath

import pytest

from gridfleet.broker.access_control import ClientRole, Identity, publish_filters, subscribe_filters
from gridfleet.broker.brokers import emqx
from gridfleet.broker.brokers.mosquitto.config import MAX_PACKET
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.topics import TOPIC_TABLE
from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.site.secrets import identities

CITY = parse("", "city.toml", "", ["area.rows=2", "area.columns=2", "turbines.count=6", "households.count=9"])
SPECIAL = Identity("north_1.a", Role.PRODUCER, "cell-1-1", ("cell-1-2",))
"""A name with characters that are special in a regular expression and in Home Assistant."""
RULE = re.compile(
    r'\{allow, \{username, \{re, (".*?")\}\}, (subscribe|publish|\{publish, \[\{retain, false\}\]\}), (\[.*\])\}\.'
)


def allowed(text: str, user: str, action: str) -> set[str]:
    """Return the topic filters that the rules allow a user; the last rule must deny the rest."""
    first, *rules, last = text.splitlines()
    assert (first[:2], last) == ("%%", "{deny, all}.")
    found: set[str] = set()
    for rule in rules:
        parts = RULE.fullmatch(rule)
        assert parts is not None, rule
        if action in parts[2] and re.search(json.loads(parts[1]), user):
            found |= {each.replace("${username}", user) for each in json.loads(parts[3])}
    return found


def test_the_rules_equal_those_of_mosquitto() -> None:
    users = [*identities(Fleet(CITY), processes=2, shared=True), SPECIAL]
    text = emqx.access_rules("germany", users)
    for user in users:
        assert allowed(text, user.name, "subscribe") == set(subscribe_filters("germany", user)), user
        assert allowed(text, user.name, "publish") == set(publish_filters("germany", user)), user
    for unknown_user in ("", "clock2", "aclock", "turbine", "north_1xa"):
        assert allowed(text, unknown_user, "subscribe") == allowed(text, unknown_user, "publish") == set()


def test_only_retained_message_types_may_be_retained_and_their_topics_have_no_free_level() -> None:
    users = identities(Fleet(CITY), processes=1, shared=True, discovery=True)
    retained: set[str] = set()
    for line in emqx.access_rules("germany", users).splitlines():
        parts = RULE.fullmatch(line)
        if parts is not None and parts[2] == "publish":
            retained |= {each.replace("${username}", "NAME") for each in json.loads(parts[3])}
    free = {each for each in retained if "+" in each}
    # the clock's, the recorder's and an operator's
    assert free == {f"gridfleet/germany/{name}/+/NAME" for name in ("control", "registration", "suspension")}
    assert {each.split("/")[2] for each in retained if each.startswith("gridfleet/")} == {
        message_type.name for message_type in TOPIC_TABLE if message_type.retain
    }


def test_a_client_is_limited_in_rate_memory_and_what_it_retains() -> None:
    files = emqx.Files(*(PurePosixPath("/run") / name for name in ("crt", "key", "ca", "users", "acl")))
    text = emqx.configuration(files, cluster="x.y", cookie="c")
    for line in (
        'messages_rate = "1000/s"',
        'bytes_rate = "2048KB/s"',
        f'max_packet_size = "{MAX_PACKET // 1024}KB"',
        f'retainer {{\n  max_payload_size = "{MAX_PACKET // 1024}KB"\n  backend.max_retained_messages = 200000\n}}',
        'force_shutdown { enable = true, max_heap_size = "128MB" }',
    ):
        assert line in text


def test_rules_grow_with_cells_and_kinds_and_not_with_devices() -> None:
    few, many = (
        len(
            emqx.access_rules(
                "germany", identities(Fleet(parse("", "c.toml", "", [f"vehicles.count={count}"])))
            ).splitlines()
        )
        for count in (5, 500)
    )
    assert few == many


def test_passwords_are_hashed_with_a_salt_for_each_user() -> None:
    rows = list(csv.DictReader(emqx.users({"clock": "secret-1", "viewer": "secret-1"}).splitlines()))
    assert [row["user_id"] for row in rows] == ["clock", "viewer"]
    for row in rows:
        assert row["password_hash"] == hashlib.sha256(f"secret-1{row['salt']}".encode()).hexdigest()
        assert row["is_superuser"] == "false"
    assert rows[0]["salt"] != rows[1]["salt"]
    assert emqx.users({"clock": "secret-1"}) == emqx.users(
        {"clock": "secret-1"}
    )  # otherwise brokers would restart without need
    assert "secret-1" not in emqx.users({"clock": "secret-1"})


def test_the_configuration_denies_everything_else() -> None:
    files = emqx.Files(*(PurePosixPath("/run") / name for name in ("crt", "key", "ca", "users", "acl")))
    text = emqx.configuration(files, cluster=["emqx@a.b", "emqx@c.d"], cookie="c00kie")
    for line in (
        "no_match = deny",
        "use_username_as_clientid = true",
        "tcp.default.enable = false",
        'cookie = "c00kie"',
    ):
        assert line in text
    assert 'static { seeds = ["emqx@a.b", "emqx@c.d"] }' in text
    assert 'dns { name = "x.y", record_type = "srv" }' in emqx.configuration(files, cluster="x.y", cookie="c")
    assert text.count("{") == text.count("}")


def test_a_name_that_erlang_misreads_is_refused() -> None:
    with pytest.raises(ValueError, match="can hold printable ASCII only"):
        emqx.access_rules("germany", [Identity("müller", ClientRole.VIEWER)])
