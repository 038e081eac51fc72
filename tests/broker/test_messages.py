"""Rules for every message class: frozen, slotted, one message type each, units in names, no sender in the payload."""

import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given

from gridfleet.broker.protocol import messages as m
from gridfleet.broker.protocol.topics import TOPIC_TABLE
from tests.devices.message_strategies import CLASSES, any_message

UNITS = {"wh", "ms", "s", "w", "neur", "km", "h", "kwh", "tick"}
"""How the name of a quantity ends."""
COUNTS_AND_NAMES = {
    "absent", "call", "charger", "columns", "destination", "devices", "east", "epoch", "figures", "index", "latitude",
    "longitude", "lots", "next_stop", "north", "packages", "ports", "ports_reserved", "readings", "refused",
    "resumptions", "revision", "rows", "serial", "settings", "since_tick", "south", "suspension_ticks", "tick", "ticks",
    "ticks_left", "until_tick", "value", "west",
}  # fmt: skip
"""Fields without a unit: counts, ids, degrees, and what holds other fields."""


def all_classes() -> set[type[Any]]:
    return {
        kind
        for kind in vars(m).values()
        if isinstance(kind, type) and issubclass(kind, m.Message) and kind is not m.Message
    }


def test_every_message_class_is_in_the_topic_table() -> None:
    assert all_classes() == {*CLASSES, m.State}


def test_every_message_type_stands_for_one_class() -> None:
    words = [message_type.name for message_type in TOPIC_TABLE]
    assert len(words) == len(set(words))
    assert "" not in words


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_message_is_a_slotted_dataclass(kind: type[Any]) -> None:
    assert is_dataclass(kind)
    assert "__slots__" in vars(kind)


@given(any_message())
def test_a_message_is_frozen(message: m.Message) -> None:
    for field in fields(message):
        with pytest.raises(FrozenInstanceError):
            setattr(message, field.name, None)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_message_names_its_sender(kind: type[Any]) -> None:
    assert not {"sender", "id", "source", "from_id", "agent"} & {field.name for field in fields(kind)}


@pytest.mark.parametrize("kind", [*CLASSES, m.Package, m.Settings], ids=lambda kind: kind.__name__)
def test_every_quantity_has_its_unit_in_its_name(kind: type[Any]) -> None:
    numbers = {f.name for f in fields(kind) if re.search(r"\b(int|float)\b", str(f.type))}
    nameless = {name for name in numbers if name.rpartition("_")[2] not in UNITS | {"scale"}}
    assert nameless <= COUNTS_AND_NAMES


def test_phases_are_ranked_in_order() -> None:
    assert [m.PHASE_INDEX[phase] for phase in m.PHASES] == list(range(7))
    assert [str(phase) for phase in m.PHASES] == [
        "bid", "trade", "residual", "surplus", "exchange", "import", "settle",
    ]  # fmt: skip


def test_enumerations_hash_like_their_text() -> None:
    assert {"producer": 1}[m.Role.PRODUCER] == 1
    assert {"settle": 1}[m.Phase.SETTLE] == 1
