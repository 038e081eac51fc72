"""Bytes to messages and back. Everything that comes off a wire passes through `decode` and is validated there.

One definition serves both worlds: the message dataclasses are built directly, without validation, by our own
code, and by pydantic, with every bound checked, from bytes. `docs/design.md` has the measurement behind this.
"""

from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import MESSAGE_TYPES

SCHEMA: Final = "2"
"""The version of all messages, raised with every change that an older receiver would misread."""
MAX_PAYLOAD: Final = 65_536
"""Largest payload in bytes that is looked at."""


@cache
def _adapter(word: str) -> TypeAdapter[Any]:
    """Return what reads and writes the messages of a word; made when first needed: a device says and hears few."""
    message = MESSAGE_TYPES[word].message_class
    return TypeAdapter(messages.AnyState if message is messages.State else message)


def encode(message: Message) -> bytes:
    """Return the payload of a message, as compact JSON."""
    return _adapter(message.TYPE).dump_json(message)


def decode(word: str, payload: bytes | bytearray) -> Message:
    """Return the message that a payload under this topic word is; raise PayloadError when it is none."""
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(word, "oversized", f"{len(payload)} bytes, at most {MAX_PAYLOAD} are read")
    try:
        message: Message = _adapter(word).validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        reason = "malformed" if first["type"] == "json_invalid" else "invalid"
        raise PayloadError(word, reason, f"{where}: {first['msg']}") from None
    return message
