"""Retained messages that nobody owns any more: of simulated devices that are offline and that no fleet has.

A real device that is offline comes back, so what it has retained stays; an account says whether its figures come from
sensors. A simulated device publishes everything again when it comes back.
"""

from collections.abc import Collection, Mapping
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import TopicError
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Presence, State
from gridfleet.broker.protocol.topics import discovery_topic, parse_topic
from gridfleet.provisioning.clients.retained import clear_retained, read_retained, sender_of

QUIET_S: Final = 0.3
"""All retained messages have arrived when none comes for so long, in seconds."""


def clear_orphans(address: BrokerAddress, site: str, owned: Collection[str]) -> list[str]:
    """Clear what simulated devices that are offline and not among `owned` have retained; return their ids.

    Only for brokers without access rules, which let a device clear its own messages alone. Raises BrokerError for a
    broker that cannot be reached.
    """
    retained = read_retained(address, site, NO_LOGIN, quiet_s=QUIET_S)
    devices = orphans(site, retained, owned)
    if devices:
        discovery = {discovery_topic(site, device) for device in devices}
        own = [each for each in retained if each in discovery or _is_own(site, each, devices)]
        clear_retained(address, {site: own}, lambda _sender: NO_LOGIN)
    return devices


def orphans(site: str, retained: Mapping[str, bytes], owned: Collection[str]) -> list[str]:
    """Return the simulated devices that are offline, by what a broker retains, and not among `owned`; sorted."""
    decoder = SiteDecoder(site)
    simulated: set[str] = set()
    offline: set[str] = set()
    for name in (Presence.TYPE, State.TYPE):
        for topic in [each for each in retained if _type_of(site, each) == name]:
            for address, message in decoder.decode(topic, retained[topic], lambda *_: None):
                if isinstance(message, Presence) and not message.online:
                    offline.add(address.sender)
                elif (
                    isinstance(message, State)
                    and not isinstance(message, ClockState)
                    and not message.measured
                ):
                    simulated.add(address.sender)
    return sorted((offline & simulated).difference(owned))


def _type_of(site: str, topic: str) -> str:
    """Return the message type of a topic; nothing for a topic that is not one of the site's."""
    try:
        return parse_topic(site, topic).message_type.name
    except TopicError:
        return ""


def _is_own(site: str, topic: str, devices: Collection[str]) -> bool:
    return _type_of(site, topic) in {Presence.TYPE, State.TYPE} and sender_of(topic) in devices
