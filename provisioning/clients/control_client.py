"""Client that changes the settings of a running site: it publishes retained control messages and awaits the clock.

with ControlClient(address, "germany", login) as client:
    client.set("wind_scale", 2.0)
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import shown
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.messages import ClockState, Control, Facts, Message
from gridfleet.broker.protocol.topics import CLOCK_ID, Address, topic, topic_filter
from gridfleet.broker.readers.ranges import number, whole_number
from gridfleet.broker.readers.read_error import MAX_INTEGER, ReadError
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.clients.site_client import SiteClient

ANSWER_TIMEOUT_S: Final = 5.0
"""Seconds to wait for the clock's state, and for its answer to a control message."""
RETAINED_CONTROLS_S: Final = 0.05
"""Seconds to wait for the retained control messages of other operators, which follow the clock's state."""
SWITCHES: Final = ("paused", "storm")
WHOLE_NUMBERS: Final = ("step", "ticks")
CHOICES: Final = ("mode", "algorithm", "clearing_rule")
NAMES: Final = {"algorithm": "offer_rankings", "clearing_rule": "clearing_rules"}
"""Settings whose values the site's facts list, with the field of the facts."""
SCALES: Final = ("consumer_scale", "vehicle_scale", "turbine_scale", "wind_scale")
SETTINGS: Final = (
    *SWITCHES,
    *WHOLE_NUMBERS,
    "seconds_per_tick",
    *CHOICES,
    *SCALES,
    "chargers_out",
    "outage_s",
)
REPORTED: Final = (*SCALES, "algorithm", "clearing_rule", "chargers_out")
"""Settings that the clock reports in its state for as long as they are in force."""
SWITCH_VALUES: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

Value = bool | int | float | str


def parse_setting(text: str) -> tuple[str, Value]:
    """Return name and value of a KEY=VALUE text; raise CommandError for any other.

    >>> parse_setting("paused=yes")
    ('paused', True)
    >>> parse_setting("wind_scale=1.5")
    ('wind_scale', 1.5)
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise CommandError(text, "expected KEY=VALUE, for example paused=true")
    if name not in SETTINGS:
        raise CommandError(name, f"unknown setting; allowed are {', '.join(SETTINGS)}")
    if name in CHOICES or name == "chargers_out":
        return name, value
    if name in SWITCHES:
        if value.lower() not in SWITCH_VALUES:
            raise CommandError(text, "allowed are true and false")
        return name, SWITCH_VALUES[value.lower()]
    try:
        return name, whole_number(value, (-MAX_INTEGER, MAX_INTEGER)) if name in WHOLE_NUMBERS else number(
            value
        )
    except ReadError:
        what = "whole number" if name in WHOLE_NUMBERS else "number"
        raise CommandError(shown(text), f"{shown(value)!r} is not a {what}") from None


def value_text(value: Value) -> str:
    """Return a value as it is typed on the command line.

    >>> value_text(True), value_text(2.0)
    ('true', '2')
    """
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)


class _Request(NamedTuple):
    """A published control message, and how many the clock had refused before, by reason."""

    name: str
    value: Value
    revision: int
    refused_before: Mapping[str, int]


class ControlClient:
    """Context manager: a connection as an operator that knows the settings in force at the clock."""

    def __init__(self, address: BrokerAddress, site: str, login: Login) -> None:
        """Prepare the connection; entering the context raises BrokerError when the broker cannot be reached."""
        self._site = site
        self._operator = login.username or address.username or "cli"
        self.clock: ClockState | None = None
        """The clock's last state; None until one has arrived."""
        self.facts: Facts | None = None
        """What the clock says of the run; None until it has arrived."""
        self.revision = 0
        """The highest revision of a control message so far."""
        filters = (
            topic_filter(site, "state", sender=CLOCK_ID),
            topic_filter(site, "control"),
            topic_filter(site, "facts"),
            topic_filter(site, "tick"),
        )
        self._client = SiteClient(
            address, site, login, purpose="set", filters=filters, on_message=self._on_message
        )

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.__exit__(*exception)

    def set(self, name: str, value: Value) -> str:
        """Publish a control message and wait for the clock; return why it is not in force, or nothing if it is."""
        self._client.run_until(lambda: self.clock is not None, ANSWER_TIMEOUT_S)
        if self.clock is None:
            return f"no clock found at site {self._site!r} on this broker: start one, or check --site and --broker"
        if self.clock.status == "finished":
            return "the run has ended"
        self._client.run_until(lambda: False, RETAINED_CONTROLS_S)
        if problem := self._unknown_name(name, value):
            return problem
        self.revision = max(self.revision, self.clock.revision) + 1
        request = _Request(name, value, self.revision, dict(self.clock.refused))
        control = Control(value, self.revision)
        self._client.publish_retained(topic(self._site, control, name, self._operator), control)
        self._client.run_until(lambda: self._answer(request) is not None, ANSWER_TIMEOUT_S)
        answer = self._answer(request)
        if answer is None:
            return (
                f"no answer from the clock within {ANSWER_TIMEOUT_S:g} s: check that it runs, "
                f"and that the access rules let {self._operator!r} publish control messages"
            )
        return answer

    def _unknown_name(self, name: str, value: Value) -> str:
        """Return why the site does not have what a setting names; nothing if it may have it."""
        allowed = getattr(self.facts, NAMES[name]) if name in NAMES and self.facts is not None else ()
        if not allowed or value in allowed:
            return ""
        return (
            f"the clock of site {self._site!r} has none of that name; allowed are {', '.join(allowed)}: "
            "choose one of them, or install the package that has it with clock and devices, and restart them"
        )

    def _answer(self, request: _Request) -> str | None:
        """Return an empty text when a request is in force, the reason when it is refused, None while it is open."""
        clock = self.clock
        if clock is None:
            return None
        if clock.revision >= request.revision and in_force(clock, request.name) in {None, request.value}:
            return ""
        for reason, text in (
            ("control", "not an allowed value of this setting; see `gridfleet set --help`"),
            ("stale", "a newer control message is in force; try again"),
        ):
            if clock.refused.get(reason, 0) > request.refused_before.get(reason, 0):
                return f"the clock refused it: {text}"
        return None

    def _on_message(self, _address: Address, message: Message, _retained: bool) -> None:  # noqa: FBT001
        if isinstance(message, ClockState):
            self.clock = message
        elif isinstance(message, Facts):
            self.facts = message
        elif isinstance(message, Control):
            self.revision = max(self.revision, message.revision)


def in_force(clock: ClockState, name: str) -> Value | None:
    """Return the value of a setting that the clock reports; None for settings that it does not report."""
    if name == "paused":
        return bool(clock.paused)
    if name == "mode":
        return str(clock.mode)
    if name in REPORTED:
        value: float | str = getattr(clock.settings, name)
        return float(value) if name in SCALES else str(value)
    return None
