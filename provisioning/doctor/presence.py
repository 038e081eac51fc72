"""Whether a device is online, as the broker's retained presence says; asked without the device's own id."""

from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import BrokerError

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client_options import Login
    from gridfleet.devices.config.device_file import DeviceFile

VIEWER: Final = "viewer"
WAIT_S: Final = 1.5
"""How long to wait for the retained presence, in seconds."""


def online_elsewhere(device: "DeviceFile") -> str:
    """Return where a device is online according to its retained presence; nothing where it is offline or unknown.

    It is unknown where only the device's own login is at hand, as on a flashed device.
    """
    from gridfleet.broker.protocol.messages import FleetPresence, Message, Presence
    from gridfleet.broker.protocol.topics import ALL, Address, topic_filter
    from gridfleet.provisioning.clients.site_client import SiteClient

    login = _other_login(device)
    if login is None:
        return ""
    seen: dict[str, Presence] = {}

    def receive(address: Address, message: Message, _retained: bool) -> None:  # noqa: FBT001 - the client's signature
        if isinstance(message, Presence) and address.sender == device.id:
            seen[address.sender] = message

    filters = (
        topic_filter(device.site, Presence.TYPE, f"{ALL}/{ALL}", device.id),
        topic_filter(device.site, FleetPresence.TYPE),
    )
    try:
        with SiteClient(
            device.address(), device.site, login, purpose="doctor", filters=filters, on_message=receive
        ) as client:
            client.run_until(lambda: device.id in seen and seen[device.id].via is None, WAIT_S)
    except BrokerError:  # the next check says why
        return ""
    presence = seen.get(device.id)
    if presence is None or not presence.online:
        return ""
    where = f", in the fleet process {presence.via}" if presence.via else ""
    return f"{device.id} is online{where}, as the broker's retained presence says"


def _other_login(device: "DeviceFile") -> "Login | None":
    """Return a login that is not the device's own; None where there is none."""
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.mqtt.client_options import NO_LOGIN

    if device.credentials is None:
        return NO_LOGIN if device.address().username is None else None
    try:
        return FileCredentials(device.credentials, certificates=device.broker.certificate).login(VIEWER)
    except BrokerError:
        return None
