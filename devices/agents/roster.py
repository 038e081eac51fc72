"""Devices that are online, by their presence messages; agents of one process may share the roster of a cell."""

from gridfleet.broker.protocol.messages import Presence, Role


class Roster:
    """Online devices by id, each with its birth message; applying a message twice changes nothing."""

    __slots__ = ("members", "storages")

    def __init__(self) -> None:
        self.members: dict[str, Presence] = {}
        self.storages: set[str] = set()
        """Those of its members that both bid and announce a supply."""

    def apply(self, sender: str, presence: Presence) -> None:
        """Add the sender of a birth message, or remove the sender of a last will."""
        if not presence.online:
            self.members.pop(sender, None)
            self.storages.discard(sender)
            return
        self.members[sender] = presence
        if presence.role is Role.STORAGE:
            self.storages.add(sender)
        else:
            self.storages.discard(sender)
