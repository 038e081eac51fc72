"""`gridfleet watch`: a running fleet in the terminal: what is now, prices, chargers, events; plain lines elsewhere."""

import argparse
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import whole
from gridfleet.provisioning.cli.exit_codes import Exit
from gridfleet.provisioning.commands.live.set_control import REACH_S, add_broker, login_of

if TYPE_CHECKING:
    from gridfleet.broker.protocol.decoder import SiteDecoder
    from gridfleet.dashboards.console.terminal_view import View

HELP: Final = "watch a running fleet in the terminal"
DESCRIPTION: Final = (
    "Show tick, prices, chargers and events of a running fleet until it ends, or until Ctrl-C. Where the output\n"
    "is no terminal, one line is written for each tick that is over, and one for each event."
)
EXAMPLES: Final = (
    "gridfleet watch --broker mqtt://broker.example:1883",
    "gridfleet watch --broker mqtts://broker.example --secrets secrets --ticks 10 > ticks.txt",
)
MOST_TICKS: Final = 1_000_000
REDRAW_S: Final = 0.25
HEARD: Final = ("tick", "state", "presence", "fleet", "receipt", "control")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `watch`."""
    add_broker(parser)
    parser.set_defaults(user="viewer")
    parser.add_argument(
        "--ticks",
        type=whole(1, MOST_TICKS),
        metavar="N",
        help="leave after so many ticks (default: at the end)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Watch until the run ends, so many ticks have been seen, or somebody presses Ctrl-C."""
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client import MqttLoop
    from gridfleet.broker.protocol.decoder import SiteDecoder
    from gridfleet.broker.protocol.topics import ALL, batch_topic, topic_filter
    from gridfleet.dashboards.console.terminal_view import View
    from gridfleet.provisioning.cli.interrupt import Interruption

    view = View(arguments.ticks)
    ear = SiteListener(SiteDecoder(arguments.site), view)
    address = BrokerAddress.parse(arguments.broker)
    login = login_of(arguments, address)
    with MqttLoop(address) as loop:
        # QoS 0: so rumqttd hands out every retained message; what is missed is seen a tick later.
        filters = [(topic_filter(arguments.site, word), 0) for word in HEARD]
        filters += [(batch_topic(arguments.site, word, ALL, ALL), 0) for word in HEARD]
        name = f"watch-{secrets.token_hex(4)}"
        connection = loop.open(name, on_message=ear.hear, filters=filters, login=login)
        loop.wait_online(REACH_S)
        with Interruption() as interruption, _shown(view) as redraw:
            while not (interruption.asked or view.over):
                loop.run_until(lambda: interruption.asked or view.over, REDRAW_S)
                view.trouble = "" if connection.online else connection.trouble
                redraw()
    return Exit.FINE


class SiteListener:
    """Turns payloads into messages for the view, and leaves out what is none."""

    def __init__(self, decoder: "SiteDecoder", view: "View") -> None:
        self._decoder = decoder
        self._view = view

    def hear(self, text: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        """Take a message, or a batch of them, off the wire."""
        for address, message in self._decoder.decode(text, payload, lambda *_: None):
            self._view.hear(address.scope, address.sender, message, retained=retained)


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

    from gridfleet.dashboards.console.terminal_view import picture

    console = Console()
    with Live(console=console, auto_refresh=False, screen=False) as live:

        def draw() -> None:
            view.said.clear()
            live.update(picture(view, max(console.height, 16)), refresh=True)

        yield draw
