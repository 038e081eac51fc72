"""`gridfleet set`: an operator's wishes for the clock, from the command line, and whether they came true."""

import argparse
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from gridfleet.provisioning.cli.exit_codes import CommandError, Exit
from gridfleet.provisioning.cli.terminal import tell

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client_options import Login
    from gridfleet.broker.protocol.messages import ClockState

HELP: Final = "change settings of a running fleet"
DESCRIPTION: Final = (
    "Say a wish for each setting, as a retained message that the clock obeys, and wait until the clock says\n"
    "that it is in force. The console in the browser and `gridfleet watch` see the same at once.\n\n"
    "  paused=true|false   hold or go on          step=N             play N more ticks, then pause\n"
    "  ticks=N             ticks in all           seconds_per_tick=X how long a tick takes when scaled\n"
    "  mode=lockstep|scaled|realtime              algorithm=weighted|best|cheapest|closest|random\n"
    "  consumer_scale, vehicle_scale, turbine_scale = 0…2         wind_scale = 0…5\n"
    "  storm=true|false       a gale for an hour, then all turbines stand still; or wind and turbines as at first\n"
    "  chargers_out=WORDS     chargers out of service: ids, cells, a share such as 25%, all; nothing: none\n"
    "  outage_s=X             a drill: every device loses its connection for X seconds, 60 at most"
)
EXAMPLES: Final = (
    "gridfleet set paused=true --broker mqtt://broker.example:1883",
    "gridfleet set mode=scaled seconds_per_tick=2 algorithm=cheapest --broker mqtt://broker.example:1883",
    "gridfleet set chargers_out=charger-03,charger-07 --broker mqtts://broker.example --secrets secrets",
)
DEFAULT_BROKER: Final = "mqtt://127.0.0.1:1883"
DEFAULT_SITE: Final = "germany"
REACH_S: Final = 5.0
PATIENCE_S: Final = 5.0
SCALES: Final = ("consumer_scale", "vehicle_scale", "turbine_scale", "wind_scale")
WHOLE: Final = ("step", "ticks")
WORDS: Final = ("mode", "algorithm")
SWITCHES: Final = ("paused", "storm")
NAMES: Final = (*SWITCHES, *WHOLE, "seconds_per_tick", *WORDS, *SCALES, "chargers_out", "outage_s")
SHOWN: Final = (*SCALES, "algorithm", "chargers_out")
"""Settings that the clock shows for as long as they are in force."""
SWITCH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

Value = bool | int | float | str


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add where the broker of the running fleet is, and which site of it is meant."""
    parser.add_argument(
        "--broker",
        metavar="URL",
        default=DEFAULT_BROKER,
        help=f"mqtt://… or mqtts://… of the fleet's broker; `gridfleet run` prints its own (default: {DEFAULT_BROKER})",
    )
    parser.add_argument(
        "--site", default=DEFAULT_SITE, metavar="S", help=f"the site (default: {DEFAULT_SITE})"
    )
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        help="log in with what `gridfleet secrets DIR` made, and trust its authority",
    )
    parser.add_argument(
        "--as",
        dest="user",
        metavar="NAME",
        help="with --secrets: who logs in; nobody else may be logged in by that name (default: %(default)s)",
    )


def login_of(arguments: argparse.Namespace, address: "BrokerAddress") -> "Login":
    """Return how to log in to a fleet's broker; raise CommandError where a password would be seen by others."""
    from gridfleet.broker.mqtt.client_options import NO_LOGIN
    from gridfleet.provisioning.cli.broker_options import credentials_for

    if arguments.secrets is None:
        return NO_LOGIN
    return credentials_for(arguments.secrets, address).login(arguments.user)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `set`."""
    parser.add_argument("wishes", nargs="+", metavar="KEY=VALUE", help="a setting and its value, as above")
    add_broker(parser)
    parser.set_defaults(user="operator")


def execute(arguments: argparse.Namespace) -> int:
    """Say the wishes one after the other; return 1 when one does not come true."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.errors import BrokerError

    wishes = dict(parse(word) for word in arguments.wishes)
    address = BrokerAddress.parse(arguments.broker)
    with Steering(address, arguments.site, login_of(arguments, address)) as steering:
        for name, value in wishes.items():
            try:
                problem = steering.set(name, value)
            except BrokerError as error:
                problem = str(error)
            if problem:
                tell(f"gridfleet set: {name}={shown(value)}: {problem}")
                return Exit.FAILED
            print(f"{name} = {shown(value)}", flush=True)
    return Exit.FINE


def parse(word: str) -> tuple[str, Value]:
    """Return name and value of a KEY=VALUE; raise CommandError when it cannot be one."""
    name, separator, text = word.partition("=")
    if not separator:
        raise CommandError(word, "expected KEY=VALUE, for example paused=true")
    if name not in NAMES:
        raise CommandError(name, f"no such setting; there are {', '.join(NAMES)}")
    if name in WORDS or name == "chargers_out":
        return name, text
    if name in SWITCHES:
        if text.lower() not in SWITCH:
            raise CommandError(word, "allowed are true and false")
        return name, SWITCH[text.lower()]
    try:
        return name, int(text) if name in WHOLE else float(text)
    except ValueError:
        raise CommandError(word, f"{text!r} is no {'whole ' if name in WHOLE else ''}number") from None


def shown(value: Value) -> str:
    """Spell a value as it is typed."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


class Wish(NamedTuple):
    """What was asked for, and how often the clock had refused something by then."""

    name: str
    value: Value
    revision: int
    refusals: Mapping[str, int]


class Steering:
    """Context manager: a connection as an operator, which knows what the clock has in force."""

    def __init__(
        self, address: "BrokerAddress", site: str, login: "Login", *, patience_s: float | None = None
    ) -> None:
        """CellRange the broker; raise BrokerError when it cannot be reached."""
        from gridfleet.broker.mqtt.client import MqttLoop
        from gridfleet.broker.protocol.decoder import SiteDecoder
        from gridfleet.broker.protocol.topics import CLOCK_ID, topic_filter

        self._site = site
        self._decoder = SiteDecoder(site)
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._operator = login.username or address.username or "cli"
        self.clock: ClockState | None = None
        self.revision = 0
        self._loop = MqttLoop(address)
        # QoS 0: so rumqttd hands out every retained message.
        filters = [(topic_filter(site, "state", "", CLOCK_ID), 0), (topic_filter(site, "control"), 0)]
        self._connection = self._loop.open(
            f"set-{secrets.token_hex(4)}", on_message=self._hear, filters=filters, login=login
        )

    def __enter__(self) -> Self:
        self._loop.__enter__()
        try:
            self._loop.wait_online(REACH_S)
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    def set(self, name: str, value: Value) -> str:
        """Wish for a value and wait for it; return what stands against it, or nothing when it is in force."""
        from gridfleet.broker.protocol.codec import encode
        from gridfleet.broker.protocol.messages import Control
        from gridfleet.broker.protocol.topics import topic

        if not self._loop.run_until(lambda: self.clock is not None, self._patience_s) or self.clock is None:
            return f"no clock is heard at the site {self._site!r}: does a fleet run on this broker?"
        if self.clock.status == "finished":
            return "the run has ended"
        self._loop.run_until(lambda: False, 0.05)  # retained wishes of other operators come right after
        self.revision = max(self.revision, self.clock.revision) + 1
        wish = Wish(name, value, self.revision, dict(self.clock.refused))
        control = Control(value, self.revision)
        self._connection.publish(
            topic(self._site, control, name, self._operator), encode(control), qos=1, retain=True
        )
        self._loop.run_until(lambda: self._decided(wish) is not None, self._patience_s)
        verdict = self._decided(wish)
        if verdict is None:
            return (
                f"the clock has not answered within {self._patience_s:g} s: is it alive, "
                f"and may {self._operator!r} steer?"
            )
        return verdict

    def _decided(self, wish: Wish) -> str | None:
        """Return nothing but the empty text when the wish is in force, the reason when it is not; None if open."""
        clock = self.clock
        if clock is None:
            return None
        if clock.revision >= wish.revision and in_force(clock, wish.name) in {None, wish.value}:
            return ""
        for reason, text in (
            ("control", "refused: not a value of this setting; see `gridfleet set --help`"),
            ("stale", "refused: outdated"),
        ):
            if clock.refused.get(reason, 0) > wish.refusals.get(reason, 0):
                return f"the clock {text}"
        return None

    def _hear(self, text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        from gridfleet.broker.protocol.messages import ClockState, Control

        for _, message in self._decoder.decode(text, payload, lambda *_: None):
            if isinstance(message, ClockState):
                self.clock = message
            elif isinstance(message, Control):
                self.revision = max(self.revision, message.revision)


def in_force(clock: "ClockState", name: str) -> Value | None:
    """Return what the clock says of a setting; None of those that it does not show."""
    if name in {"paused", "mode"}:
        return bool(clock.paused) if name == "paused" else str(clock.mode)
    if name in SHOWN:
        value: float | str = getattr(clock.settings, name)
        return float(value) if name in SCALES else str(value)
    return None
