"""Who is alive, by presence messages. Agents of one process that listen to the same cells may share one roster."""

from gridfleet.broker.protocol.messages import Presence


class Roster:
    """Live devices by id, each with its birth message; applying the same message again changes nothing."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[str, Presence] = {}

    def apply(self, sender: str, presence: Presence) -> None:
        """Take a birth or a last will."""
        if presence.online:
            self.members[sender] = presence
        else:
            self.members.pop(sender, None)
