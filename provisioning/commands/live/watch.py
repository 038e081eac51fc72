"""`gridfleet watch`: shows a running site in the terminal; writes plain lines where there is no terminal."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.arguments import MAX_TICKS, whole_number
from gridfleet.provisioning.cli.broker_options import add_running_site, login_of
from gridfleet.provisioning.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridfleet.dashboards.console.site_view import SiteView

HELP: Final = "watch a running site in the terminal"
DESCRIPTION: Final = (
    "Show tick, prices, chargers and events of a running site until the run ends or Ctrl-C is pressed. Where the\n"
    "output is not a terminal, write one line per finished tick and one per event."
)
EXAMPLES: Final = (
    "gridfleet watch",
    "gridfleet watch --broker mqtt://broker.example:1883",
    "gridfleet watch --broker mqtts://broker.example --secrets secrets --ticks 10 > ticks.txt",
)
MESSAGE_TYPES: Final = ("tick", "facts", "state", "presence", "fleet", "receipt", "control")
REDRAW_S: Final = 0.25
MIN_HEIGHT: Final = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `watch`."""
    add_running_site(parser, user="viewer")
    parser.add_argument(
        "--ticks",
        type=whole_number(1, MAX_TICKS),
        metavar="N",
        help="stop after N finished ticks (default: at the end of the run)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Watch until the run ends, --ticks are finished, or Ctrl-C is pressed."""
    from gridfleet.dashboards.console.site_view import SiteView
    from gridfleet.provisioning.cli.interrupt import Interruption
    from gridfleet.provisioning.clients.running_site import running_site
    from gridfleet.provisioning.clients.site_client import SiteClient

    view = SiteView(arguments.ticks)
    address, site = running_site(arguments)
    login = login_of(arguments, address)
    client = SiteClient(
        address,
        site,
        login,
        purpose="watch",
        filters=_filters(site),
        on_message=lambda source, message, retained: view.receive(
            source.scope, source.sender, message, retained=retained
        ),
    )
    with (
        client,
        Interruption() as interruption,
        _display(view) as update,
    ):
        while not (interruption.requested or view.ended):
            client.run_until(lambda: interruption.requested or view.ended, REDRAW_S)
            view.problem = client.offline_reason
            update()
    return ExitCode.SUCCESS


def _filters(site: str) -> Iterator[str]:
    """Yield the topic filters of the message types that the view needs, by themselves and in batches."""
    from gridfleet.broker.protocol.topics import ALL, batch_topic, topic_filter

    for message_type in MESSAGE_TYPES:
        yield topic_filter(site, message_type)
        yield batch_topic(site, message_type, ALL, ALL)


@contextmanager
def _display(view: "SiteView") -> Iterator[Callable[[], None]]:
    """Yield the function that draws the view on a terminal, or writes its new lines elsewhere."""
    if not sys.stdout.isatty():

        def write() -> None:
            for line in view.new_lines:
                print(line, flush=True)
            view.new_lines.clear()

        try:
            yield write
        finally:
            write()
        return
    from rich.console import Console
    from rich.live import Live

    from gridfleet.dashboards.console.terminal_view import render

    console = Console()
    with Live(console=console, auto_refresh=False, screen=False) as live:

        def draw() -> None:
            view.new_lines.clear()
            live.update(render(view, max(console.height, MIN_HEIGHT)), refresh=True)

        yield draw
