"""The JSON schemas of message payloads, with descriptions taken from the source of the message classes."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.topics import MessageType


def payload_schemas(message_type: MessageType) -> dict[str, Any]:
    """Return the schema of a message type's payload and of everything in it, by name."""
    annotation: Any = (
        messages.AnyState if message_type.message_class is messages.State else message_type.message_class
    )
    found = TypeAdapter(annotation).json_schema(ref_template="#/components/schemas/{model}")
    inner = found.pop("$defs", {})
    schemas = {**inner, message_type.message_class.__name__: found}
    return {name: _described(name, _draft7(schema)) for name, schema in sorted(schemas.items())}


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


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the descriptions of its fields from the messages' source."""
    texts = _field_docs(name)
    for field, inner in schema.get("properties", {}).items():
        if field in texts:
            inner["description"] = texts[field]
    return schema


@cache
def _field_docs(name: str) -> dict[str, str]:
    """Return the text below each field in the source of a message class and its bases, by field."""
    texts: dict[str, str] = {}
    for base in reversed(getattr(messages, name).__mro__):
        if hasattr(messages, base.__name__):
            for definition in ast.walk(ast.parse(inspect.getsource(base))):
                if isinstance(definition, ast.ClassDef):
                    texts.update(_documented_fields(definition.body))
    return texts


def _documented_fields(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class that a text follows, with that text."""
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                yield name, one_line(words)


def one_line(text: str | None) -> str:
    """Return a docstring as one line."""
    return " ".join((text or "").split())
