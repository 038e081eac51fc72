"""Client that follows a running site for a view: it subscribes, decodes and passes every message on."""

import secrets
from typing import TYPE_CHECKING, Final, Self

from gridfleet.provisioning.cli.broker_options import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client_options import Login
    from gridfleet.dashboards.console.terminal_view import View

MESSAGE_TYPES: Final = ("tick", "state", "presence", "fleet", "receipt", "control")
"""What a view needs; samples and offers are left out."""


class WatchClient:
    """Context manager: a connection that feeds a view; invalid messages are ignored."""

    def __init__(self, address: "BrokerAddress", site: str, login: "Login", view: "View") -> None:
        """Prepare the connection; entering the context raises BrokerError when the broker cannot be reached."""
        from gridfleet.broker.mqtt.client import MqttLoop
        from gridfleet.broker.protocol.decoder import SiteDecoder
        from gridfleet.broker.protocol.topics import ALL, batch_topic, topic_filter

        self._decoder = SiteDecoder(site)
        self._view = view
        self._loop = MqttLoop(address)
        # QoS 0, because rumqttd delivers all retained messages only then; a lost message is made up a tick later.
        filters = [(topic_filter(site, each), 0) for each in MESSAGE_TYPES]
        filters += [(batch_topic(site, each, ALL, ALL), 0) for each in MESSAGE_TYPES]
        self._connection = self._loop.open(
            f"watch-{secrets.token_hex(4)}", on_message=self._on_message, filters=filters, login=login
        )

    def __enter__(self) -> Self:
        self._loop.__enter__()
        try:
            self._loop.wait_online(CONNECT_TIMEOUT_S)
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    @property
    def trouble(self) -> str:
        """Why the connection is lost; nothing while it is online."""
        return "" if self._connection.online else self._connection.offline_reason

    def run_until(self, condition: "Callable[[], bool]", timeout_s: float) -> bool:
        """Process messages until the condition holds; return False when the time is over before."""
        return self._loop.run_until(condition, timeout_s)

    def _on_message(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(topic, payload, lambda *_: None):
            self._view.receive(address.scope, address.sender, message, retained=retained)
