"""Which MQTT version the clients of a loop speak: 5, or 3.1.1 where a broker speaks nothing newer.

Brokers refuse a version in three ways: by a CONNACK that says so, by one in the format of the older version, or by
closing the connection without an answer. The last is also what a broker does that is about to stop, so it counts only
when it happens twice in a row.
"""

from typing import Final, Literal

MQTT_5: Final = 5
MQTT_3_1_1: Final = 4
MAX_SILENT: Final = 2
"""After how many connections that the broker closed without an answer the other version is tried."""
LACKS: Final = (
    "messages do not expire and state no schema version, the broker keeps nothing for a device that is offline, and "
    "it does not say what it denies"
)
"""What a site lacks with MQTT 3.1.1."""


class ProtocolVersion:
    """The version of all clients of a loop; settled once a broker has accepted one."""

    __slots__ = ("_silent", "number", "settled")

    def __init__(self, number: Literal[4, 5] | None) -> None:
        """`number` is 5, 4 for MQTT 3.1.1, or None for 5 where the broker speaks it and else 3.1.1."""
        self.number: Literal[4, 5] = 5 if number is None else number
        self.settled = number is not None
        """Whether the version does not change any more."""
        self._silent = 0

    @property
    def name(self) -> str:
        """The version as people call it."""
        return "MQTT 5" if self.number == MQTT_5 else "MQTT 3.1.1"

    def on_refused(self, tried: int) -> bool:
        """Take note that a broker does not speak the version that a client tried; return whether another is next."""
        if tried != self.number:
            return True  # another client was refused before
        if self.settled or self.number == MQTT_3_1_1:
            return False
        self.number = 4
        self._silent = 0
        return True

    def on_closed(self, tried: int) -> bool:
        """Take note of a connection that was closed without an answer; return whether the other version is next."""
        if tried != self.number:
            return True
        self._silent += 1
        if self.settled or self._silent < MAX_SILENT:
            return False
        self.number = 4 if self.number == MQTT_5 else 5
        self._silent = 0
        return True

    def on_accepted(self) -> bool:
        """Take note that a broker has accepted the version; return whether it is one that it fell back to."""
        fell_back = not self.settled and self.number == MQTT_3_1_1
        self.settled = True
        return fell_back
