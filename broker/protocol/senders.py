"""Who may publish what, where a topic alone does not say it: judged by the sender's own birth message.

The topic table (`protocol.topics`) says which roles publish a message type. Topics of births and accounts have the role
as a level, so `parse_topic` checks it. For every other message the role is that of the sender's last birth, as far as a
receiver has received it. `check_sender` is the one place that decides; the decoder asks it for every message.

A receiver that does not know a sender believes that it has the right role: then the broker's access rules are what
keeps others out.
"""

from typing import Final

from gridfleet.broker.errors import PayloadError
from gridfleet.broker.protocol.messages import Presence
from gridfleet.broker.protocol.presence_registry import KnownDevice, PresenceRegistry
from gridfleet.broker.protocol.topics import Address, CellRange, ClientRole, MessageType, Scope

WRONG_SENDER: Final = "sender"
"""The reason of an error for a message that its sender may not publish."""


def check_sender(address: Address, presences: PresenceRegistry) -> None:
    """Raise PayloadError, with the reason WRONG_SENDER, for what a sender of a parsed topic may not publish.

    >>> from gridfleet.broker.protocol.messages import Role
    >>> from gridfleet.broker.protocol.topics import parse_topic
    >>> presences = PresenceRegistry()
    >>> birth = Presence(True, Role.VEHICLE, "north", 51.0, 9.0)
    >>> _ = presences.note_device("car-1", birth.scope, birth)
    >>> check_sender(parse_topic("home", "gridfleet/home/call/north/car-1"), presences)
    >>> check_sender(parse_topic("home", "gridfleet/home/bid/north/car-1"), presences)
    Traceback (most recent call last):
    gridfleet.broker.errors.PayloadError: bid: car-1 is a vehicle, which publishes no bid
    """
    message_type, scope, sender = address
    if message_type.message_class is Presence:
        return  # a birth says what its sender is, and its topic has cell and role
    device = presences.known(sender)
    if device is None:
        if presences.is_fleet(sender) and ClientRole.FLEET not in message_type.senders:
            raise _refused(
                message_type, f"{sender} is a fleet process, which publishes no {message_type.name}"
            )
    elif device.presence.role not in message_type.senders:
        role = device.presence.role
        raise _refused(message_type, f"{sender} is a {role}, which publishes no {message_type.name}")
    elif message_type.scope is Scope.ROLE and scope != device.presence.role:
        raise _refused(message_type, f"{sender} is a {device.presence.role}, and not a {scope}")
    elif message_type.scope is Scope.CELL and not _in_range(message_type, scope, device):
        raise _refused(message_type, f"{sender} of {device.presence.cell} publishes none to {scope}")


def _in_range(message_type: MessageType, cell: str, device: KnownDevice) -> bool:
    """Return whether a device may publish to a cell, as far as its own cell says: neighbours are not known here."""
    match message_type.to_cells:
        case CellRange.OWN:
            return cell == device.presence.cell
        case CellRange.NEIGHBOURS:
            return cell != device.presence.cell
        case _:
            return True


def _refused(message_type: MessageType, detail: str) -> PayloadError:
    return PayloadError(message_type.name, WRONG_SENDER, detail)
