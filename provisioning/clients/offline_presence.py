"""Makes a broker report a device that is being revoked as offline, and clears what it has retained there.

Once its access rules are gone the broker refuses the device's last will. A second connection under its name takes over
its session before, and the broker publishes the last will, as MQTT 5 demands.
"""

from collections.abc import Callable, Iterable
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.provisioning.cli.broker_options import CONNECT_TIMEOUT_S

ACKNOWLEDGED_S: Final = 30.0
SETTLED_S: Final = 2.0
"""How long the session is held, in seconds: a broker that still accepts the device lets it take the session back."""


def end_session(
    address: BrokerAddress,
    name: str,
    login: Login,
    retained: Iterable[str],
    end_login: Callable[[], None],
) -> None:
    """Take over the session of a device, clear its topics `retained`, then call `end_login`, which locks it out.

    Raises BrokerError for a broker that cannot be reached or refuses the login, before `end_login` is called; and after
    it where the broker still accepts the device, which connects again.
    """
    problems: list[str] = []
    with MqttLoop(address, retry_refused=True) as loop:
        connection = loop.open(
            name,
            on_message=lambda *_: None,
            on_problem=lambda reason, _about: problems.append(reason),
            login=login,
        )
        loop.wait_online(CONNECT_TIMEOUT_S)
        for topic in retained:
            connection.publish(topic, b"", qos=1, retain=True)
        loop.run_until(lambda: connection.all_acknowledged or not connection.online, ACKNOWLEDGED_S)
        end_login()
        loop.run_until(lambda: not connection.online, SETTLED_S)  # with client certificates it stays online
    if SESSION_TAKEN_OVER in problems:
        raise BrokerError(f"{address} still accepts {name}: it has not loaded the changed secrets yet")
