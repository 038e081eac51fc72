"""Home Assistant discovery: required and known keys only, and templates that match the state's fields."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import MAX_PAYLOAD
from gridfleet.broker.protocol.home_assistant import STATES, discovery_message
from gridfleet.broker.protocol.messages import Figure, Presence, Role
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.site import SiteRun

# home-assistant/core, components/mqtt/schemas.py (DEVICE_DISCOVERY_SCHEMA and what it is made of); any other key
# at these levels makes Home Assistant refuse the whole message.
TOP = {
    "device",
    "components",
    "origin",
    "availability",
    "availability_mode",
    "state_topic",
    "qos",
    "encoding",
}
DEVICE = {
    "identifiers", "connections", "manufacturer", "model", "name", "hw_version", "serial_number", "sw_version",
    "via_device", "suggested_area", "configuration_url",
}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
COMMON = {"platform", "unique_id", "name", "entity_category", "state_topic", "value_template"}
PLATFORMS = {
    "sensor": COMMON | {"device_class", "unit_of_measurement", "state_class"},
    "binary_sensor": COMMON,
    "device_tracker": COMMON - {"state_topic"}
    | {"json_attributes_topic", "json_attributes_template", "source_type"},
}
# home-assistant.io/integrations/sensor: units and state classes of the device classes used here
CLASSES: dict[str | None, tuple[set[str | None], set[str | None]]] = {
    None: ({None, "Wh/km"}, {None, "measurement"}),
    "energy": ({"Wh"}, {None, "total", "total_increasing"}),
    "energy_storage": ({"Wh"}, {"measurement"}),
    "power": ({"W"}, {"measurement"}),
    "monetary": ({"EUR"}, {None, "total"}),
    "speed": ({"km/h"}, {"measurement"}),
    "timestamp": ({None}, {None}),
    "duration": ({"s"}, {None, "measurement"}),
}


def discovery_of(kind: Role) -> tuple[str, dict[str, Any]]:
    presence = Presence(True, kind, "north", 51.0, 9.0, "a label")
    text, payload = discovery_message("town", "it-1", f"north/{kind}", presence)
    return text, json.loads(payload)


def test_figures_for_which_there_is_no_room_are_left_out() -> None:
    def components_with(count: int) -> dict[str, Any]:
        figures = tuple(Figure(f"figure_{each:02}_c", "°C", "d" * 200) for each in range(count))
        presence = Presence(True, Role.CHARGER, "north", 51.0, 9.0, figures=figures)
        payload = discovery_message("town", "it-1", "north/charger", presence)[1]
        assert len(payload) <= MAX_PAYLOAD
        found: dict[str, Any] = json.loads(payload)["components"]
        return found

    own = components_with(0).keys()
    assert len(components_with(8)) == len(own) + 8
    many = components_with(32)
    assert own < many.keys()
    assert "figure_figure_00_c" in many
    assert "figure_figure_31_c" not in many


@pytest.mark.parametrize("kind", Role)
def test_the_discovery_message_has_all_required_and_only_known_keys(kind: Role) -> None:
    text, payload = discovery_of(kind)
    assert text == "homeassistant/device/it-1_at_town/config"
    assert {"device", "components", "origin"} <= set(payload) <= TOP
    assert set(payload["device"]) <= DEVICE
    assert payload["device"]["identifiers"] == ["town/it-1"]
    assert {"name"} <= set(payload["origin"]) <= ORIGIN
    assert set(payload["availability"][0]) <= AVAILABILITY
    assert payload["availability"][0]["topic"] == f"gridfleet/town/presence/north/{kind}/it-1"
    for component in payload["components"].values():
        assert {"platform", "unique_id"} <= set(component) <= PLATFORMS[component["platform"]]
    identities = [component["unique_id"] for component in payload["components"].values()]
    assert len(set(identities)) == len(identities)


@pytest.mark.parametrize("kind", Role)
def test_units_match_device_classes(kind: Role) -> None:
    for component in discovery_of(kind)[1]["components"].values():
        units, classes = CLASSES[component.get("device_class")]
        assert component.get("unit_of_measurement") in units
        assert component.get("state_class") in classes


@pytest.mark.parametrize("kind", Role)
def test_templates_use_fields_that_the_state_has(kind: Role) -> None:
    known = {field.name for field in fields(STATES[kind])}
    components = discovery_of(kind)[1]["components"]
    used: set[str] = set()
    for component in components.values():
        template = component.get("value_template", component.get("json_attributes_template", ""))
        used |= set(re.findall(r"value_json\.(\w+)", template))
        topic = component.get("state_topic", component.get("json_attributes_topic"))
        assert topic == f"gridfleet/town/state/{kind}/it-1"
    assert used <= known
    assert {"power_w", "status", "refused"} <= used


def test_examples() -> None:
    components = discovery_of(Role.CHARGER)[1]["components"]
    assert components["stored_wh"] == {
        "unique_id": "town/it-1/stored_wh",
        "state_topic": "gridfleet/town/state/charger/it-1",
        "platform": "sensor",
        "name": "Stored",
        "value_template": "{{ value_json.stored_wh }}",
        "device_class": "energy_storage",
        "unit_of_measurement": "Wh",
        "state_class": "measurement",
    }
    assert components["paid_neur"]["value_template"] == "{{ value_json.paid_neur / 1000000000 }}"


def test_figures_of_a_devices_own_are_sensors_with_unit_and_name() -> None:
    figures = (Figure("indoor_c", "°C", "temperature of the house"), Figure("power_w"))
    presence = Presence(True, Role.CONSUMER, "north", 51.0, 9.0, "a label", kind="heat-pump", figures=figures)
    _, payload = discovery_message("town", "it-1", "north/consumer", presence)
    components = json.loads(payload)["components"]
    assert components["figure_indoor_c"] == {
        "unique_id": "town/it-1/figure_indoor_c",
        "state_topic": "gridfleet/town/state/consumer/it-1",
        "platform": "sensor",
        "name": "Temperature of the house",
        "value_template": "{{ value_json.figures.indoor_c | default('None') }}",
        "state_class": "measurement",
        "unit_of_measurement": "°C",
    }
    assert components["figure_power_w"]["name"] == "Power w"
    assert "unit_of_measurement" not in components["figure_power_w"]
    assert components["power_w"]["unit_of_measurement"] == "W"
    for component in components.values():
        assert set(component) <= PLATFORMS[component["platform"]]


def test_a_storage_shows_what_it_keeps_buys_and_sells() -> None:
    components = discovery_of(Role.STORAGE)[1]["components"]
    assert components["stored_wh"]["device_class"] == "energy_storage"
    assert {"capacity_wh", "bought_wh", "sold_wh", "announced_wh", "charge_loss_wh"} <= set(components)


@pytest.mark.mosquitto
def test_every_device_is_announced_once_and_retained(
    mosquitto: MosquittoBroker, secrets: Path, scenario: Scenario
) -> None:
    address, credentials, received = (
        BrokerAddress.parse(mosquitto.url),
        FileCredentials(secrets),
        dict[str, bytes](),
    )
    fleet = Fleet(scenario)
    SiteRun(fleet, address, ticks=1, credentials=credentials, discoverable=True).run()
    with MqttLoop(address) as loop:
        loop.open(
            "viewer",
            on_message=lambda topic, payload, _: received.update({topic: payload}),
            filters=[("homeassistant/#", 1)],
            login=credentials.login("viewer"),
        )
        assert loop.run_until(lambda: len(received) == len(fleet.ids) + 1, 60)
    names = {json.loads(payload)["device"]["name"] for payload in received.values()}
    assert names == {CLOCK_ID, *fleet.ids}
