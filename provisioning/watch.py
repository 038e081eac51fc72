"""`gridfleet watch`: a running fleet in the terminal: what is now, prices, chargers, events; plain lines elsewhere."""

import argparse
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from provisioning.arguments import whole
from provisioning.exits import Exit
from provisioning.steer import REACH_S, add_broker

if TYPE_CHECKING:
    from dashboards.console.view import View
    from devices.ear import Wire

HELP: Final = "watch a running fleet in the terminal"
DESCRIPTION: Final = (
    "Show tick, prices, chargers and events of a running fleet until it ends, or until Ctrl-C. Where the output\n"
    "is no terminal, one line is written for each tick that is over, and one for each event."
)
EXAMPLES: Final = (
    "gridfleet watch --broker mqtt://broker.example:1883",
    "gridfleet watch --broker mqtt://broker.example:1883 --ticks 10 > ticks.txt",
)
MOST_TICKS: Final = 1_000_000
REDRAW_S: Final = 0.25
HEARD: Final = ("tick", "state", "presence", "host", "receipt", "control")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `watch`."""
    add_broker(parser)
    parser.add_argument(
        "--secrets", metavar="DIR", help="log in as `viewer`, with what `gridfleet secrets DIR` made"
    )
    parser.add_argument(
        "--ticks",
        type=whole(1, MOST_TICKS),
        metavar="N",
        help="leave after so many ticks (default: at the end)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Watch until the run ends, so many ticks have been seen, or somebody presses Ctrl-C."""
    from broker.address import BrokerAddress
    from broker.mqtt import MqttLoop
    from broker.topics import ALL, batch_topic, topic_filter
    from broker.wishes import NOBODY
    from dashboards.console.view import View
    from devices.ear import Wire
    from provisioning.broker_address import credentials_for
    from provisioning.interrupt import Interruption

    view = View(arguments.ticks)
    ear = Ear(Wire(arguments.site), view)
    address = BrokerAddress.parse(arguments.broker)
    login = credentials_for(arguments.secrets, address).login("viewer") if arguments.secrets else NOBODY
    with MqttLoop(address) as loop:
        # QoS 0: so rumqttd hands out every retained message; what is missed is seen a tick later.
        filters = [(topic_filter(arguments.site, word), 0) for word in HEARD]
        filters += [(batch_topic(arguments.site, word, ALL, ALL), 0) for word in HEARD]
        connection = loop.open(
            f"watch-{secrets.token_hex(4)}", on_message=ear.hear, filters=filters, login=login
        )
        loop.wait_online(REACH_S)
        with Interruption() as interruption, _shown(view) as redraw:
            while not (interruption.asked or view.over):
                loop.run_until(lambda: interruption.asked or view.over, REDRAW_S)
                view.trouble = "" if connection.online else connection.trouble
                redraw()
    return Exit.FINE


class Ear:
    """Turns payloads into messages for the view, and leaves out what is none."""

    def __init__(self, wire: "Wire", view: "View") -> None:
        self._wire = wire
        self._view = view

    def hear(self, text: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        """Take a message, or a batch of them, off the wire."""
        from broker.errors import PayloadError, TopicError
        from broker.messages import Host

        for each, inner in self._wire.unpack(text, payload, lambda *_: None):
            try:
                address, message = self._wire.read(each, inner)
            except (TopicError, PayloadError):
                continue
            self._view.hear(address.scope, address.sender, message, retained=retained)
            if isinstance(message, Host) and not message.online:
                host = address.sender
                for scope in self._wire.scopes_behind(host):
                    for will, gone in self._wire.wills(host, scope):
                        self._view.hear(will.scope, will.sender, gone, retained=retained)


@contextmanager
def _shown(view: "View") -> Iterator[Callable[[], None]]:
    """Draw the view on a terminal; elsewhere write its lines."""
    if not sys.stdout.isatty():

        def write() -> None:
            for line in view.said:
                print(line, flush=True)
            view.said.clear()

        try:
            yield write
        finally:
            write()
        return
    from rich.console import Console
    from rich.live import Live

    from dashboards.console.view import picture

    console = Console()
    with Live(console=console, auto_refresh=False, screen=False) as live:

        def draw() -> None:
            view.said.clear()
            live.update(picture(view, max(console.height, 16)), refresh=True)

        yield draw
