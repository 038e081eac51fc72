"""The codec: messages to payloads and back. Every payload from the broker is validated by `decode`.

One definition serves both: our own code makes message dataclasses directly, without validation; pydantic makes them
from bytes and checks every bound. The codec table in `docs/benchmarks.md` gives the measurement behind this.
"""

import re
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.messages import Message, payload_size
from gridfleet.broker.protocol.topics import MESSAGE_TYPES
from gridfleet.broker.protocol.validation_errors import shown_value, what_is_allowed

SCHEMA: Final = "2"
"""The schema version of all messages; raised, once per release, with a change that receivers of the last release would
misread or refuse: a field that is added, too, because payloads are strict."""
MAX_PAYLOAD: Final = payload_size.MAX_PAYLOAD
"""The largest payload in bytes that is decoded; most message types have a lower limit (`messages.payload_size`)."""
OWN_EPOCH: Final = frozenset({messages.Tick.TYPE, messages.Suspension.TYPE})
"""The message types that have a field `epoch` of their own."""
TIED_TO_RUN: Final = (
    frozenset(MESSAGE_TYPES)
    - OWN_EPOCH
    - {each.TYPE for each in (messages.Presence, messages.FleetPresence, messages.Sample, messages.Incident)}
)
"""The message types to whose payloads the epoch of their run is added; the others are true whatever runs."""
_EPOCH: Final = re.compile(rb',"epoch": ?(\d{1,10})}\s*$')
_EPOCH_BYTES: Final = 32
"""The most bytes of an epoch at the end of a payload."""
_MAX_DESCRIBED: Final = 100
"""Of a payload with more mistakes none is described: to describe 60 000 takes a tenth of a second."""


@cache
def _adapter(message_type: str) -> TypeAdapter[Any]:
    """Return pydantic's adapter for a message type; made when first needed, because a device uses few of them."""
    return TypeAdapter(_class_of(message_type))


def _class_of(message_type: str) -> Any:  # noqa: ANN401 - a class, or the union of the accounts
    message_class = MESSAGE_TYPES[message_type].message_class
    return messages.AnyState if message_class is messages.State else message_class


@cache
def max_payload_of(message_type: str) -> int:
    """Return the most bytes of a payload of a message type that are decoded."""
    return payload_size.max_payload(_class_of(message_type))


def encode(message: Message, epoch: int | None = None) -> bytes:
    """Return the payload of a message: compact JSON. `epoch` ties it to a run; None for what belongs to no run.

    >>> encode(messages.Supply(tick=4, energy_wh=500))
    b'{"tick":4,"energy_wh":500}'
    >>> encode(messages.Supply(tick=4, energy_wh=500), epoch=7)
    b'{"tick":4,"energy_wh":500,"epoch":7}'
    """
    payload: bytes = _adapter(message.TYPE).dump_json(message)
    if epoch is None or message.TYPE not in TIED_TO_RUN:
        return payload
    return b'%b,"epoch":%d}' % (payload[:-1], epoch)


def split_epoch(message_type: str, payload: bytes) -> tuple[bytes, int | None]:
    """Return a payload as `decode` takes it, and the epoch of the run that it is tied to, where it states one.

    >>> split_epoch("supply", b'{"tick":4,"energy_wh":500,"epoch":7}')
    (b'{"tick":4,"energy_wh":500}', 7)
    """
    if message_type not in TIED_TO_RUN:
        return payload, None
    found = _EPOCH.search(payload, max(len(payload) - _EPOCH_BYTES, 0))
    if found is None:
        return payload, None
    return payload[: found.start()] + b"}", int(found[1])


def check(message: Message) -> None:
    """Raise PayloadError for a message that receivers would refuse: a wrong type, a value out of its bounds."""
    decode(message.TYPE, _adapter(message.TYPE).dump_json(message, warnings=False))


def decode(message_type: str, payload: bytes | bytearray) -> Message:
    """Return the message in a payload; raise PayloadError with the field, its value and what is allowed.

    >>> decode("supply", b'{"tick":4,"energy_wh":500}')
    Supply(tick=4, energy_wh=500)
    >>> decode("supply", b'{"tick":4,"energy_wh":-1}')
    Traceback (most recent call last):
    gridfleet.broker.errors.PayloadError: supply: energy_wh = -1: must be at least 0
    """
    if len(payload) > (limit := max_payload_of(message_type)):
        raise PayloadError(message_type, "oversized", f"{len(payload)} bytes; at most {limit} are allowed")
    try:
        message: Message = _adapter(message_type).validate_json(payload)
    except ValidationError as error:
        mistakes = error.error_count()
        if mistakes > _MAX_DESCRIBED:
            detail = f"{mistakes} keys or values are not as docs/asyncapi.yaml describes them"
            raise PayloadError(message_type, "invalid", detail) from None
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise PayloadError(message_type, "malformed", "the payload is not JSON") from None
        field = ".".join(map(str, first["loc"])) or "the payload"
        detail = f"{field}{shown_value(first['input'])}: {what_is_allowed(first)}"
        raise PayloadError(message_type, "invalid", detail) from None
    return message
