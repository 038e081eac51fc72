"""The AsyncAPI document is up to date, well-formed, and matches what is published."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.asyncapi.document import document as generated
from gridfleet.broker.asyncapi.document import text as generated_text
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import (
    BATCH,
    CLOCK_ID,
    CLOCKS,
    MESSAGE_TYPES,
    TOPIC_TABLE,
    parse_batch_topic,
    parse_topic,
    topic,
)
from gridfleet.dashboards.recording.trace import TraceWriter, read_trace
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.config.scenario import parse as scenario_of
from gridfleet.devices.runtime.simulation import Simulation
from tests.devices.message_strategies import CLASSES, anything

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "asyncapi.yaml"
PARSER = ROOT / "build" / "asyncapi" / "node_modules"
"""Where `make checkers` installs AsyncAPI's own parser."""
Check = Callable[[Any], Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


@cache
def validator(message_type: str) -> Check:
    """Return a check of the payloads of a channel, from the document alone."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    (name,) = document["channels"][message_type]["messages"]
    check: Check = fastjsonschema.compile(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "allOf": [{"$ref": f"#/components/schemas/{name}"}],
            "components": document["components"],
        }
    )
    return check


def test_the_committed_document_is_up_to_date(document: dict[str, Any]) -> None:
    assert document == generated(), (
        "generate it again: python -m gridfleet.broker.asyncapi >docs/asyncapi.yaml"
    )
    assert FILE.read_text(encoding="utf-8") == generated_text()


def test_every_message_type_has_a_channel(document: dict[str, Any]) -> None:
    assert list(document["channels"]) == [*(message_type.name for message_type in TOPIC_TABLE), BATCH]
    for message_type in TOPIC_TABLE:
        channel = document["channels"][message_type.name]
        role = max(message_type.senders)
        sender = CLOCK_ID if message_type.senders == CLOCKS else "x-1"
        scope = {level: role if level == "role" else "y-2" for level in message_type.scope.levels}
        levels = {"site": "town", "sender": sender, **scope}
        assert set(channel["parameters"]) == set(levels)
        address = parse_topic("town", channel["address"].format(**levels))
        assert address.message_type is message_type
        assert channel["x-senders"] == sorted(message_type.senders)


def test_a_batch_is_as_documented(document: dict[str, Any]) -> None:
    channel = document["channels"][BATCH]
    levels = {"site": "town", "message_type": "bid", "cell": "north", "fleet": "fleet-1"}
    assert set(channel["parameters"]) == set(levels)
    assert parse_batch_topic("town", channel["address"].format(**levels)) == (
        MESSAGE_TYPES["bid"],
        "north",
        "fleet-1",
    )
    payload = document["components"]["messages"]["Batch"]["payload"]
    batch = pack([("north/a", b'{"tick":1}'), ("north/b", b"{}")]).decode()
    assert re.search(payload["pattern"], batch)
    assert not re.search(payload["pattern"], batch.replace(" ", "", 1))


def test_the_bindings_state_qos_retain_and_expiry(document: dict[str, Any]) -> None:
    for message_type in TOPIC_TABLE:
        mqtt = document["operations"][f"send{message_type.message_class.__name__}"]["bindings"]["mqtt"]
        assert (mqtt["qos"], mqtt["retain"]) == (message_type.qos, message_type.retain)
        assert ("messageExpiryInterval" in mqtt) == message_type.expires
        assert mqtt["bindingVersion"] == "0.2.0"


def test_field_descriptions_come_from_the_source(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert (
        schemas["Tick"]["properties"]["ends_ms"]["description"] == "Simulated time at which the phase ends."
    )
    assert "positive into the grid" in schemas["ChargerState"]["properties"]["power_w"]["description"]


@pytest.mark.parametrize(
    "scenario",
    [
        load("normal", ["ticks=10"]),
        scenario_of("", "x.toml", "", ["area.rows=2", "area.columns=2", "ticks=10"]),
    ],
    ids=["normal", "cells"],
)
def test_every_message_of_a_run_is_as_documented(
    scenario: Scenario, document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, scenario.site) as writer:
        Simulation(scenario, receivers=(writer.receive,)).run()
    counts: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        line_fields = json.loads(line)
        message_type = line_fields["topic"].split("/")[2]
        counts[message_type] += 1
        validator(message_type)(line_fields["payload"])
    seen = {message_type for message_type, count in counts.items() if count}
    assert seen <= set(document["channels"])
    assert {"tick", "bid", "supply", "award", "receipt", "state", "presence", "call", "offer"} <= seen
    assert sum(counts.values()) > 1_000
    assert len(list(read_trace(path))) == sum(counts.values())


@given(st.sampled_from(CLASSES).flatmap(anything))
def test_every_valid_message_matches_its_schema(message: Message) -> None:
    payload = json.loads(encode(message))
    validator(message.TYPE)(payload)
    assert topic("town", message, "", "x")


@pytest.mark.parametrize(
    "payload", [{}, {"tick": -1, "packages": []}, {"tick": 0, "packages": [], "more": 1}, [], None]
)
def test_an_invalid_payload_does_not_match_its_schema(payload: object) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator("bid")(payload)


@pytest.mark.skipif(
    not PARSER.is_dir(), reason="AsyncAPI's parser is not installed: make checkers (needs npm)"
)
def test_asyncapis_own_parser_accepts_the_document() -> None:
    node = shutil.which("node") or ""
    command = [node, str(Path(__file__).with_name("asyncapi.mjs")), str(PARSER.parent), str(FILE)]
    judged = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (judged.returncode, judged.stderr) == (0, "")
