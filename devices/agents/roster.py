"""Devices that are online, by their presence messages; agents of one process may share the roster of a cell."""

from gridfleet.broker.protocol.messages import Presence


class Roster:
    """Online devices by id, each with its birth message; applying a message twice changes nothing."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[str, Presence] = {}

    def apply(self, sender: str, presence: Presence) -> None:
        """Add the sender of a birth message, or remove the sender of a last will."""
        if presence.online:
            self.members[sender] = presence
        else:
            self.members.pop(sender, None)
