"""Home Assistant discovery: one retained message for each device, made from the fields of its state.

Home Assistant logs in as a viewer. The unit in a field's name decides how it is shown; that of a figure of the
device's own comes from its birth message. Values are those of the last tick. The energies of a tick are amounts, not
meter readings, so they have no state class; stored energy has one.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from gridfleet.broker.protocol import messages as m
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.topics import discovery_topic, topic
from gridfleet.broker.readers.json_values import json_text

STATES: Final[dict[Role, type[m.State]]] = {
    Role.PRODUCER: m.ProducerState,
    Role.GRID_SUPPLY: m.ProducerState,
    Role.CONSUMER: m.ConsumerState,
    Role.STORAGE: m.StorageState,
    Role.CHARGER: m.ChargerState,
    Role.VEHICLE: m.VehicleState,
    Role.CLOCK: m.ClockState,
}
_HIDDEN: Final = frozenset(
    {"kind", "role", "figures", "latitude", "longitude", "next_stop", "destination", "settings", "revision"}
)
"""Fields that are not shown as figures; the position is shown on the map."""
_DIAGNOSTIC: Final = frozenset({"tick", "measured", "refused", "balance_neur"})
_STORED: Final = frozenset({"stored_wh", "capacity_wh"})

Component = dict[str, Any]
_BY_UNIT: Final[tuple[tuple[str, str, Component], ...]] = (
    ("_wh_per_km", "{v}", {"unit_of_measurement": "Wh/km", "state_class": "measurement"}),
    ("_wh", "{v}", {"device_class": "energy", "unit_of_measurement": "Wh"}),
    ("_w", "{v}", {"device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"}),
    ("_neur", "{v} / 1000000000", {"device_class": "monetary", "unit_of_measurement": "EUR"}),
    ("_km_h", "{v}", {"device_class": "speed", "unit_of_measurement": "km/h", "state_class": "measurement"}),
    ("_ms", "({v} / 1000) | as_datetime", {"device_class": "timestamp"}),
    ("seconds_per_tick", "{v}", {"device_class": "duration", "unit_of_measurement": "s"}),
)


def discovery_message(site: str, device: str, scope: str, presence: m.Presence) -> tuple[str, bytes]:
    """Return topic and payload of a device's discovery message; `scope` is that of its presence.

    Figures of the device's own for which a payload has no room are left out, the last ones first.
    """
    role = presence.role
    state = topic(site, _any_state(), role, device)
    name = f"{site}/{device}"
    payload: dict[str, Any] = {
        "device": {
            "identifiers": [name],
            "name": device,
            "manufacturer": "GridFleet",
            "model": presence.label or presence.kind,
            "suggested_area": presence.cell,
        },
        "origin": {"name": "GridFleet", "sw_version": SCHEMA},
        "availability": [
            {
                "topic": topic(site, presence, scope, device),
                "value_template": "{{ 'online' if value_json.online else 'offline' }}",
            }
        ],
        "qos": 1,
        "components": {
            key: {"unique_id": f"{name}/{key}", **component}
            for key, component in (*_components(role, state), *_figures(presence, state))
        },
    }
    while len(encoded := json_text(payload, separators=(",", ":")).encode()) > MAX_PAYLOAD:
        payload["components"].popitem()
    return discovery_topic(site, device), encoded


def _any_state() -> m.State:
    """Return an empty state; only its message type is used."""
    return m.State(0, 0.0, 0.0, False, "", 0, 0, {}, "device", {}, ())  # noqa: FBT003 - a dataclass


def _components(role: Role, state: str) -> Iterator[tuple[str, Component]]:
    for field in fields(STATES[role]):
        if field.name not in _HIDDEN:
            yield field.name, {"state_topic": state, **_component(field.name)}
    if role is not Role.CLOCK:
        yield (
            "location",
            {
                "platform": "device_tracker",
                "name": "Location",
                "json_attributes_topic": state,
                "json_attributes_template": "{{ {'latitude': value_json.latitude, 'longitude': value_json.longitude,"
                " 'gps_accuracy': 10} | tojson }}",
                "source_type": "gps",
            },
        )


def _figures(presence: m.Presence, state: str) -> Iterator[tuple[str, Component]]:
    """Yield a sensor for each figure of the device's own, with the unit and description of its birth message."""
    for figure in presence.figures:
        name = figure.description or figure.name.replace("_", " ")
        component: Component = {
            "state_topic": state,
            "platform": "sensor",
            "name": name[:1].upper() + name[1:],
            "value_template": f"{{{{ value_json.figures.{figure.name} | default('None') }}}}",
            "state_class": "measurement",
        }
        if figure.unit:
            component["unit_of_measurement"] = figure.unit
        yield f"figure_{figure.name}", component


def _component(field: str) -> Component:
    value = f"value_json.{field}"
    component: Component = {"platform": "sensor", "name": _label(field)}
    if field == "refused":
        component |= {
            "value_template": "{{ value_json.refused.values() | sum }}",
            "state_class": "measurement",
        }
    elif field in {"measured", "paused"}:
        component |= {"platform": "binary_sensor", "value_template": f"{{{{ 'ON' if {value} else 'OFF' }}}}"}
    else:
        template, unit = next(
            ((template, unit) for ending, template, unit in _BY_UNIT if field.endswith(ending)), ("{v}", {})
        )
        component |= {"value_template": f"{{{{ {template.format(v=value)} }}}}", **unit}
    if field in _STORED:
        component |= {"device_class": "energy_storage", "state_class": "measurement"}
    if field in _DIAGNOSTIC:
        component["entity_category"] = "diagnostic"
    return component


def _label(field: str) -> str:
    """Return the label of a field: its name without the unit."""
    endings = ("_wh_per_km", "_wh", "_w", "_neur", "_km_h", "_ms")
    bare = next((field.removesuffix(ending) for ending in endings if field.endswith(ending)), field)
    return bare.replace("_", " ").capitalize()
