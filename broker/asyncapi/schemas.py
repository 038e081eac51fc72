"""The JSON schemas of message payloads, with descriptions taken from the source of the message classes."""

from typing import Any, Final

from pydantic import TypeAdapter

from gridfleet.broker.asyncapi.field_docs import field_docs
from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.codec import TIED_TO_RUN
from gridfleet.broker.protocol.topics import MessageType

EPOCH_TEXT: Final = (
    "The run that the message is tied to: receivers drop what states a lower one than the clock's tick."
)
_EPOCH: Final = TypeAdapter(messages.TickNumber).json_schema()


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
    texts = field_docs(getattr(messages, name))
    for field, inner in schema.get("properties", {}).items():
        if field in texts:
            inner["description"] = texts[field]
    if "properties" in schema and getattr(getattr(messages, name), "TYPE", "") in TIED_TO_RUN:
        schema["properties"]["epoch"] = {**_EPOCH, "description": EPOCH_TEXT}
    return schema
