"""The topics and messages of a site as tables, from the topic table and the message classes."""

from collections.abc import Iterator, Mapping
from typing import Any

from gridfleet.broker.asyncapi.field_docs import one_line
from gridfleet.broker.asyncapi.schemas import payload_schemas
from gridfleet.broker.protocol.topics import (
    ALL_ROLES,
    CLOCKS,
    ROOT,
    TOPIC_TABLE,
    MessageType,
    ReadAccess,
    Scope,
)
from gridfleet.provisioning.documents.value_ranges import allowed

Schemas = dict[str, Mapping[str, Any]]


def topics() -> str:
    """Return the topic table."""
    columns = ("message", "topic", "published by", "received by", "retained", "expires")
    head = (f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}")
    return "\n".join((*head, *map(_row, TOPIC_TABLE)))


def messages() -> str:
    """Return a section for each message, with its fields; then one for each part of messages."""
    return "\n".join(_sections())


def _row(message_type: MessageType) -> str:
    levels = "/".join(f"{{{level}}}" for level in message_type.scope.levels)
    topic = "/".join(filter(None, (ROOT, "{site}", message_type.name, levels, "{sender}")))
    name = message_type.message_class.__name__
    cells = f" to {message_type.to_cells.value}" if message_type.scope is Scope.CELL else ""
    return (
        f"| [{message_type.name}](#{name.lower()}) | `{topic}` | {_names(message_type.senders)}{cells} | "
        f"{_readers(message_type) or 'no device'} | {_yes(message_type.retain)} | {_yes(message_type.expires)} |"
    )


def _readers(message_type: MessageType) -> str:
    return "; ".join(_reader(message_type, access) for access in message_type.readers)


def _reader(message_type: MessageType, access: ReadAccess) -> str:
    """Return the roles in one line of access, and the cells whose messages they receive."""
    by_cell = message_type.scope in {Scope.CELL, Scope.CELL_ROLE}
    cells = f" from {access.from_cells.value}" if by_cell else ""
    return f"{_names(access.roles)}{cells}"


def _names(roles: frozenset[Any]) -> str:
    names = sorted(str(role.value) for role in roles)
    if roles == ALL_ROLES:
        return "every device"
    return "every device but the clock" if roles == ALL_ROLES - CLOCKS else ", ".join(names)


def _yes(value: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "yes" if value else ""


def _sections() -> Iterator[str]:
    shown: set[str] = set()
    parts: Schemas = {}
    for message_type in TOPIC_TABLE:
        schemas: Schemas = payload_schemas(message_type)
        name = message_type.message_class.__name__
        yield from _section(name, one_line(message_type.message_class.__doc__), schemas[name], schemas)
        shown.add(name)
        parts.update(schemas)
    for name in sorted(parts.keys() - shown):
        if "enum" not in parts[name]:
            text = one_line(str(parts[name].get("description", "")))
            yield from _section(name, text, parts[name], parts)


def _section(name: str, text: str, schema: Mapping[str, Any], schemas: Schemas) -> Iterator[str]:
    yield f"\n### {name}\n{text}"
    fields = schema.get("properties", {})
    if not fields:
        forms = schema.get("oneOf") or schema.get("anyOf") or []
        if forms:
            yield f"\nOne of: {', '.join(allowed(each, schemas) for each in forms)}."
        return
    required = set(schema.get("required", ()))
    yield "\n| field | value | meaning |\n| --- | --- | --- |"
    for field, inner in fields.items():
        optional = "" if field in required else " (optional)"
        yield f"| `{field}` | {allowed(inner, schemas)}{optional} | {_meaning(inner)} |"


def _meaning(schema: Mapping[str, Any]) -> str:
    return one_line(str(schema.get("description", ""))).replace("|", "\\|")
