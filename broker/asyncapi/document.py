"""Generates the AsyncAPI document of a site (docs/asyncapi.yaml) from the topic table and the messages."""

from typing import Any, Final

from gridfleet.broker.asyncapi.schemas import one_line, payload_schemas
from gridfleet.broker.brokers.mosquitto.config import MAX_PACKET
from gridfleet.broker.mqtt.client_options import SESSION_S
from gridfleet.broker.protocol import batch, messages
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA
from gridfleet.broker.protocol.topics import (
    ALL,
    BATCH,
    MESSAGE_TYPES,
    ROOT,
    TOPIC_TABLE,
    CellRange,
    MessageType,
    ReadAccess,
    Scope,
    batch_topic,
    topic_filter,
)
from gridfleet.broker.yaml_text import yaml_text

BINDING: Final = "0.2.0"
"""Version of AsyncAPI's MQTT bindings."""
_DESCRIPTION: Final = f"""\
The MQTT messages of a GridFleet site.

A topic is `{ROOT}/{{site}}/<message type>/<scope…>/{{sender}}`. The message type stands for the message class. The
sender is always the last level, and access rules allow no client to publish under another name. Every message states
the version of its schema in the MQTT 5 user property `schema`; receivers refuse other versions and payloads over
{MAX_PAYLOAD} bytes. Energy is whole Wh, price whole µEUR/kWh, money whole nEUR, time whole ms.

Each channel lists the kinds of device that send (`x-senders`) and receive (`x-readers`) on it. Recorders, viewers and
operators receive everything.

A fleet process shares one connection among many devices: their presence names it (`via`). It may put messages of one
type to one cell into a `{BATCH}`, which holds the same messages. When it is offline, so are its devices.
"""
_LEVELS: Final = {
    "site": "The name of the site.",
    "sender": "The id of the sender, which is its user name.",
    "cell": "The cell that the message is for.",
    "device": "The id of the only receiver.",
    "kind": "The kind of the sender.",
    "message_type": "The type of all messages in it.",
    "fleet": "The fleet process, by its user name.",
    "setting": "The setting of the clock: paused, mode, step and so on.",
}


def document() -> dict[str, Any]:
    """Return the document as plain data."""
    schemas: dict[str, Any] = {}
    components: dict[str, Any] = {"messages": {}, "schemas": schemas, "securitySchemes": _security()}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for message_type in TOPIC_TABLE:
        name = message_type.message_class.__name__
        schemas.update(payload_schemas(message_type))
        components["messages"][name] = _message(message_type)
        channels[message_type.name] = _channel(message_type)
        operations[f"send{name}"] = _operation(message_type, "send")
        operations[f"receive{name}"] = _operation(message_type, "receive")
    _add_batches(components["messages"], channels, operations)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "GridFleet",
            "version": f"{SCHEMA}.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"site": _server()},
        "channels": channels,
        "operations": operations,
        "components": components,
    }


def text() -> str:
    """Return the document as it is committed."""
    return "# Made by `python -m gridfleet.broker.asyncapi`; do not edit.\n" + yaml_text(document())


def _server() -> dict[str, Any]:
    will = MESSAGE_TYPES[messages.Presence.TYPE]
    return {
        "host": "{host}:{port}",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "A Mosquitto broker with TLS, users and access rules.",
        "variables": {"host": {"default": "localhost"}, "port": {"default": "8883"}},
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _security()],
        "bindings": {
            "mqtt": {
                "cleanSession": True,
                "sessionExpiryInterval": SESSION_S,
                "maximumPacketSize": MAX_PACKET,
                "lastWill": {
                    "topic": _address(will),
                    "qos": will.qos,
                    "message": "a presence with online: false",
                    "retain": will.retain,
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _security() -> dict[str, Any]:
    return {
        "password": {
            "type": "userPassword",
            "description": "The device's id as user name, and its own password.",
        },
        "certificate": {"type": "X509", "description": "A client certificate whose common name is the id."},
    }


def _channel(message_type: MessageType) -> dict[str, Any]:
    levels = ("site", *message_type.scope.levels, "sender")
    name = message_type.message_class.__name__
    return {
        "address": _address(message_type),
        "description": one_line(message_type.message_class.__doc__),
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": {level: {"description": _LEVELS[level]} for level in levels},
        "x-senders": sorted(message_type.senders),
        "x-readers": [_readers(message_type, access) for access in message_type.readers],
    }


def _add_batches(described: dict[str, Any], channels: dict[str, Any], operations: dict[str, Any]) -> None:
    levels = ("site", "message_type", "cell", "fleet")
    described["Batch"] = {
        "name": "Batch",
        "title": "Batch",
        "summary": "Messages of one type from one fleet process to one cell, or to the whole site.",
        "contentType": "text/plain",
        "headers": _headers(),
        "payload": {
            "type": "string",
            "maxLength": MAX_PAYLOAD,
            "pattern": "^" + batch.VERSION.decode() + r"(\n[^ \n]+ [^\n]+)*$",
            "description": (
                f"A line with the version, {batch.VERSION.decode()}, then at most {batch.MAX_MESSAGES} lines: the rest "
                "of the topic after the message type, a space, and the payload."
            ),
        },
    }
    channels[BATCH] = {
        "address": batch_topic("{site}", "{message_type}", "{cell}", "{fleet}"),
        "description": "Many messages of one type in one publication.",
        "messages": {"Batch": {"$ref": "#/components/messages/Batch"}},
        "parameters": {level: {"description": _LEVELS[level]} for level in levels},
        "x-senders": ["fleet"],
        "x-readers": [{"kinds": ["clock", "fleet"]}],
    }
    for action, summary in (("send", "Sent by: fleet."), ("receive", "Received by: clock, fleet.")):
        mqtt: dict[str, Any] = {"qos": 1, **({"retain": False} if action == "send" else {})}
        operations[f"{action}Batch"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{BATCH}"},
            "summary": summary,
            "messages": [{"$ref": f"#/channels/{BATCH}/messages/Batch"}],
            "bindings": {"mqtt": {**mqtt, "bindingVersion": BINDING}},
        }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "MQTT 5 user properties.",
        "properties": {"schema": {"type": "string", "const": SCHEMA}},
    }


def _readers(message_type: MessageType, access: ReadAccess) -> dict[str, Any]:
    readers: dict[str, Any] = {"kinds": sorted(access.kinds)}
    if message_type.scope in {Scope.CELL, Scope.CELL_KIND}:
        readers["of"] = access.from_cells.value
    return readers


def _operation(message_type: MessageType, action: str) -> dict[str, Any]:
    mqtt: dict[str, Any] = {"qos": message_type.qos}
    if action == "send":
        mqtt["retain"] = message_type.retain
        if message_type.expires:
            mqtt["messageExpiryInterval"] = {
                "type": "integer",
                "minimum": 1,
                "description": "Seconds to the end of phase and answer timeout; absent in lock-step.",
            }
    name = message_type.message_class.__name__
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{message_type.name}"},
        "summary": _senders(message_type) if action == "send" else _receivers(message_type),
        "messages": [{"$ref": f"#/channels/{message_type.name}/messages/{name}"}],
        "bindings": {"mqtt": {**mqtt, "bindingVersion": BINDING}},
    }


def _senders(message_type: MessageType) -> str:
    text = f"Sent by: {', '.join(sorted(message_type.senders))}."
    if message_type.scope is Scope.CELL and message_type.to_cells is not CellRange.OWN:
        text += f" To {message_type.to_cells.value}."
    return text


def _receivers(message_type: MessageType) -> str:
    kinds = {kind for access in message_type.readers for kind in access.kinds}
    return f"Received by: {', '.join(sorted(kinds) or ['recorder'])}."


def _message(message_type: MessageType) -> dict[str, Any]:
    name = message_type.message_class.__name__
    return {
        "name": name,
        "title": name,
        "summary": one_line(message_type.message_class.__doc__),
        "contentType": "application/json",
        "headers": _headers(),
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }


def _address(message_type: MessageType) -> str:
    """Return the channel's address: the topic with a parameter for each level that varies."""
    scope = "/".join(f"{{{level}}}" for level in message_type.scope.levels)
    address = topic_filter("{site}", message_type.name, scope, "{sender}")
    if ALL in address:
        raise ValueError(f"the topic of {message_type.name} has a level without a name")
    return address
