"""Client that reads a running site's register and suspensions, and publishes an operator's judgements.

with TrustClient(address, "germany", login) as client:
    client.lift("charger-03", "meter repaired")
"""

from typing import Final, NamedTuple, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.messages import Message, Registration, Suspension, Tick
from gridfleet.broker.protocol.topics import Address, topic, topic_filter
from gridfleet.provisioning.clients.site_client import SiteClient

ANSWER_TIMEOUT_S: Final = 5.0
"""Seconds to wait for the clock's tick, and for the broker to deliver what was published."""
RETAINED_S: Final = 0.5
"""Seconds to wait for further retained messages, which come with the tick."""


class Judgement(NamedTuple):
    """A suspension in force, or the end of one: of which device, by whom."""

    device: str
    judge: str
    suspension: Suspension


class TrustClient:
    """Context manager: a connection that knows whom a site believes in what."""

    def __init__(self, address: BrokerAddress, site: str, login: Login) -> None:
        """Prepare the connection; entering the context raises BrokerError when the broker cannot be reached."""
        self._site = site
        self._operator = login.username or address.username or "cli"
        self.tick: Tick | None = None
        """The clock's last tick message; None until one has arrived."""
        self.registrations: dict[str, Registration] = {}
        """By device or prefix."""
        self._suspensions: dict[tuple[str, str], Suspension] = {}
        """(device, judge) -> its last judgement."""
        filters = [topic_filter(site, each.TYPE) for each in (Tick, Registration, Suspension)]
        self._client = SiteClient(
            address, site, login, purpose="trust", filters=filters, on_message=self._on_message
        )

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.__exit__(*exception)

    def read(self) -> str:
        """Wait for what the broker retains; return why nothing is known of the site, or nothing if it is."""
        self._client.run_until(lambda: self.tick is not None, ANSWER_TIMEOUT_S)
        if self.tick is None:
            return f"no clock found at site {self._site!r} on this broker: start one, or check --site and --broker"
        self._client.run_until(lambda: False, RETAINED_S)
        return ""

    def judgements(self) -> list[Judgement]:
        """Return the latest judgement of each device in the present run, by device."""
        latest: dict[str, Judgement] = {}
        epoch = 0 if self.tick is None else self.tick.epoch
        for (device, judge), suspension in sorted(self._suspensions.items()):
            known = latest.get(device)
            if suspension.epoch == epoch and (known is None or suspension.order > known.suspension.order):
                latest[device] = Judgement(device, judge, suspension)
        return [latest[device] for device in sorted(latest)]

    def lift(self, device: str, reason: str) -> str:
        """End the suspension of a device; return why that failed, or nothing. Call `read` first."""
        found = next((each for each in self.judgements() if each.device == device), None)
        now = 0 if self.tick is None else self.tick.tick
        if found is None or found.suspension.until_tick <= max(now, found.suspension.since_tick):
            return f"{device} is not suspended"
        since = max(now, found.suspension.since_tick)
        return self._judge(device, reason, since, since)

    def suspend(self, device: str, reason: str, ticks: int) -> str:
        """Suspend a device from the next tick on; return why that failed, or nothing. Call `read` first."""
        since = 1 + (0 if self.tick is None else self.tick.tick)
        return self._judge(device, reason, since, since + ticks)

    def _judge(self, device: str, reason: str, since: int, until: int) -> str:
        epoch = 0 if self.tick is None else self.tick.epoch
        suspension = Suspension(reason, "", since, until, epoch)
        key = device, self._operator
        self._client.publish_retained(
            topic(self._site, suspension, device, self._operator),
            suspension,
        )
        if self._client.run_until(lambda: self._suspensions.get(key) == suspension, ANSWER_TIMEOUT_S):
            return ""
        return (
            f"the broker did not deliver it within {ANSWER_TIMEOUT_S:g} s: check that the access rules let "
            f"{self._operator!r} publish suspensions"
        )

    def _on_message(self, address: Address, message: Message, _retained: bool) -> None:  # noqa: FBT001
        if isinstance(message, Tick):
            self.tick = message
        elif isinstance(message, Registration):
            self.registrations[address.scope] = message
        elif isinstance(message, Suspension):
            self._suspensions[address.scope, address.sender] = message
