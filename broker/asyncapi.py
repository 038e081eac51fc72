"""The AsyncAPI document of a site, made from the topic table and the messages: nothing in it is typed twice.

python -m gridfleet.broker.asyncapi >docs/asyncapi.yaml
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from pydantic import TypeAdapter

from gridfleet.broker.brokers.mosquitto.config import MAX_PACKET
from gridfleet.broker.mqtt.client_options import SESSION_S
from gridfleet.broker.protocol import batch, messages
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, SCHEMA
from gridfleet.broker.protocol.topics import (
    ALL,
    BATCH,
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
What the devices of a GridFleet site say to each other over MQTT.

A topic is `{ROOT}/{{site}}/<word>/<scope…>/{{sender}}`: the word stands for the message, the sender is always the
last level, and access rules allow nobody to publish under another name. Every message of MQTT 5 states the version
of its schema in the user property `schema`; another version is refused, as is a payload over {MAX_PAYLOAD} bytes.
Energy is whole Wh, price whole µEUR/kWh, money whole nEUR, time whole ms.

Each channel says which kinds of device send (`x-senders`) and receive (`x-readers`) on it. Recorders, viewers and
operators receive everything.

A host speaks for many devices over one connection: their presence names it (`via`). What it says of one word to
one cell may come as a `{BATCH}`, which holds the same messages; with a host that is gone, its devices are gone.
"""
_LEVELS: Final = {
    "site": "The name of the site.",
    "sender": "The id of who says it, which is its user name.",
    "cell": "The cell it is for.",
    "device": "The id of the only receiver.",
    "kind": "What the sender is.",
    "word": "The word of all messages in it.",
    "fleet": "The process that speaks for many devices, which is its user name.",
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
        schemas.update(_schemas(message_type))
        components["messages"][name] = _message(message_type)
        channels[message_type.name] = _channel(message_type)
        operations[f"say{name}"] = _operation(message_type, "send")
        operations[f"hear{name}"] = _operation(message_type, "receive")
    _describe_batches(components["messages"], channels, operations)
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
    will = next(
        message_type for message_type in TOPIC_TABLE if message_type.message_class is messages.Presence
    )
    return {
        "host": "{host}:{port}",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "A broker with TLS, users and access rules: Mosquitto.",
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
        "password": {"type": "userPassword", "description": "The device's id and its own password."},
        "certificate": {"type": "X509", "description": "A client certificate whose common name is the id."},
    }


def _channel(message_type: MessageType) -> dict[str, Any]:
    levels = ("site", *message_type.scope.levels, "sender")
    return {
        "address": _address(message_type),
        "description": _first(message_type.message_class.__doc__),
        "messages": {
            message_type.message_class.__name__: {
                "$ref": f"#/components/messages/{message_type.message_class.__name__}"
            }
        },
        "parameters": {level: {"description": _LEVELS[level]} for level in levels},
        "x-senders": sorted(message_type.senders),
        "x-readers": [_readers(message_type, access) for access in message_type.readers],
    }


def _describe_batches(
    described: dict[str, Any], channels: dict[str, Any], operations: dict[str, Any]
) -> None:
    reference = {"$ref": f"#/channels/{BATCH}/messages/Batch"}
    described["Batch"] = {
        "name": "Batch",
        "title": "Batch",
        "summary": "Messages of one word from one host to one cell, or to the whole site.",
        "contentType": "text/plain",
        "headers": _headers(),
        "payload": {
            "type": "string",
            "maxLength": MAX_PAYLOAD,
            "pattern": "^" + batch.VERSION.decode() + r"(\n[^ \n]+ [^\n]+)*$",
            "description": (
                f"A line with the version, {batch.VERSION.decode()}, then at most {batch.MOST_MESSAGES} lines: the "
                "rest of the topic below the word, a space, and the payload."
            ),
        },
    }
    channels[BATCH] = {
        "address": batch_topic("{site}", "{word}", "{cell}", "{fleet}"),
        "description": _first(batch.__doc__).partition(";")[0] + ".",
        "messages": {"Batch": {"$ref": "#/components/messages/Batch"}},
        "parameters": {level: {"description": _LEVELS[level]} for level in ("site", "word", "cell", "fleet")},
        "x-senders": ["fleet"],
        "x-readers": [{"kinds": ["clock", "fleet"]}],
    }
    for action, name, who in (
        ("send", "sayBatch", "Said by: host."),
        ("receive", "hearBatch", "Heard by: clock, host."),
    ):
        operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{BATCH}"},
            "summary": who,
            "messages": [reference],
            "bindings": {
                "mqtt": {
                    "qos": 1,
                    **({"retain": False} if action == "send" else {}),
                    "bindingVersion": BINDING,
                }
            },
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
                "description": "Seconds to the end of the phase and the patience after it; none in lock-step.",
            }
    name = message_type.message_class.__name__
    who = ", ".join(sorted(message_type.senders))
    heard = ", ".join(
        sorted({kind for access in message_type.readers for kind in access.kinds}) or ["recorder"]
    )
    where = (
        ""
        if message_type.to_cells is CellRange.OWN or message_type.scope is not Scope.CELL
        else f" To {message_type.to_cells.value}."
    )
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{message_type.name}"},
        "summary": f"Said by: {who}.{where}" if action == "send" else f"Heard by: {heard}.",
        "messages": [{"$ref": f"#/channels/{message_type.name}/messages/{name}"}],
        "bindings": {"mqtt": {**mqtt, "bindingVersion": BINDING}},
    }


def _message(message_type: MessageType) -> dict[str, Any]:
    name = message_type.message_class.__name__
    return {
        "name": name,
        "title": name,
        "summary": _first(message_type.message_class.__doc__),
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


def _schemas(message_type: MessageType) -> dict[str, Any]:
    """Return the schema of a row's payload and of everything in it, by name."""
    annotation: Any = (
        messages.AnyState if message_type.message_class is messages.State else message_type.message_class
    )
    found = TypeAdapter(annotation).json_schema(ref_template="#/components/schemas/{model}")
    inner = found.pop("$defs", {})
    schemas = {**inner, message_type.message_class.__name__: found}
    return {name: _told(name, _draft7(schema)) for name, schema in sorted(schemas.items())}


def _draft7(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema as AsyncAPI 3.0 reads it: JSON Schema draft 07, and the discriminator by name."""
    if isinstance(schema, list):
        return [_draft7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: _draft7(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)
    }
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")
        found["additionalItems"] = False
    if isinstance(found.get("discriminator"), dict):
        found["discriminator"] = found["discriminator"]["propertyName"]
    return found


def _told(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what the messages' source says about its fields."""
    said = _FIELDS.get(name, {})
    for field, inner in schema.get("properties", {}).items():
        if field in said:
            inner["description"] = said[field]
    return schema


def _field_words() -> dict[str, dict[str, str]]:
    """Return the text below each field in the messages' source, by class and field, also of base classes."""
    own: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(messages)).body:
        if isinstance(node, ast.ClassDef):
            own[node.name] = dict(_pairs(node.body))
    return {
        name: {
            field: words
            for base in reversed(getattr(messages, name).__mro__)
            for field, words in own.get(base.__name__, {}).items()
        }
        for name in own
    }


def _pairs(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                yield name, _first(words)


def _first(words: str | None) -> str:
    return " ".join((words or "").split())


_FIELDS: Final = _field_words()


if __name__ == "__main__":
    sys.stdout.write(text())
