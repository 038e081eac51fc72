"""What HTTP servers answer: how long to wait before the next request, and whether an answer is what was asked for."""

import math
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from gridfleet.broker.errors import has_control_characters, shown
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.broker.readers.read_error import ReadError

MAX_BYTES: Final = 1 << 20
"""Largest answer that is read."""
LONGEST_WAIT_S: Final = 30.0
"""Longest wait that a server's header can ask for, in seconds."""


def http_address(url: str) -> SplitResult:
    """Return the parts of the address of a server; raise ReadError where it is none.

    >>> http_address("https://grafana.example/path").hostname
    'grafana.example'
    """
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        address, port = urlsplit(""), None
    strange = has_control_characters(url) or any(letter.isspace() for letter in url)
    if strange or address.scheme not in {"http", "https"} or not address.hostname or port == 0:
        raise ReadError("is not an http:// or https:// address, e.g. http://127.0.0.1:8086")
    return address


def retry_after_s(header: object) -> float | None:
    """Return how many seconds a `Retry-After` asks to wait, at most LONGEST_WAIT_S; None where it asks for nothing.

    Zero, negative numbers, NaN and dates ask for nothing: the sender then waits as long as it does by itself.

    >>> retry_after_s("7"), retry_after_s("1e9"), retry_after_s("nan"), retry_after_s("0")
    (7.0, 30.0, None, None)
    """
    try:
        asked = float(str(header))
    except ValueError:
        return None
    return min(asked, LONGEST_WAIT_S) if math.isfinite(asked) and asked > 0 else None


def json_answer(content: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object of an answer; raise ReadError with the beginning of what it is instead.

    `what` should have answered goes into the error.
    """
    try:
        found = parse_json(content[: MAX_BYTES + 1]) if len(content) <= MAX_BYTES else None
    except ReadError:
        found = None
    if not isinstance(found, dict):
        raise ReadError(f"answers {beginning(content)!r}: no {what} answers there")
    return found


def beginning(content: bytes) -> str:
    """Return the beginning of an answer for people."""
    return shown(" ".join(content[:60].decode("utf-8", "replace").split()))
