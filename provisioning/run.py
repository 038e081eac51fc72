"""`gridfleet run`: a scenario over a real MQTT broker, from its first tick to its report."""

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from provisioning.arguments import add_changes, add_output, add_recording, add_scenario
from provisioning.exits import CommandError
from provisioning.progress import Progress, Tell

if TYPE_CHECKING:
    from devices.site import Site
    from provisioning.price import LastPrice

HELP: Final = "run a fleet over a real MQTT broker"
DESCRIPTION: Final = (
    "Start the embedded broker, a fleet whose every device has a connection of its own, and the recorder;\n"
    "end with the report. In lock-step the ticks go as fast as the slowest device is ready, and the ledger\n"
    "is the same as in the simulation."
)
EXAMPLES: Final = (
    "gridfleet run",
    "gridfleet run storm --ticks 80",
    "gridfleet run normal --ticks 20 --seconds-per-tick 0.5",
    "gridfleet run normal --broker mqtt://user:password@broker.example:1883",
)
MODES: Final = ("lockstep", "scaled", "realtime")
SECONDS_PER_TICK: Final = 1.0
MOST_SECONDS_PER_TICK: Final = 900.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `run`."""
    add_scenario(
        parser, nargs="?", default="normal", help="a shipped scenario or your own TOML file (default: normal)"
    )
    add_changes(parser)
    parser.add_argument(
        "--broker", metavar="URL", help="mqtt://… or mqtts://… of another broker (default: one of its own)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="lockstep: as fast as all are ready; scaled: --seconds-per-tick; realtime: 15 min per tick "
        "(default: lockstep)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=_seconds,
        metavar="X",
        help=f"how long a tick takes in --mode scaled, which it implies (default: {SECONDS_PER_TICK:g})",
    )
    add_output(parser, "out/run-SCENARIO")
    add_recording(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the fleet; write and print what came of it."""
    from broker.address import BrokerAddress
    from broker.embedded import EmbeddedBroker
    from broker.messages import Mode
    from devices.fleet import Fleet
    from devices.site import Site
    from provisioning.chosen import chosen_scenario, output_directory
    from provisioning.conduct import conclude, play
    from provisioning.price import LastPrice
    from provisioning.results import recording

    mode, seconds_per_tick = pace(arguments.mode, arguments.seconds_per_tick)
    address = BrokerAddress.parse(arguments.broker) if arguments.broker is not None else None
    scenario = chosen_scenario(arguments)
    fleet = Fleet(scenario)
    directory = output_directory(arguments.out, f"run-{scenario.name}")
    price = LastPrice()
    with ExitStack() as stack:
        if address is None:
            address = BrokerAddress.parse(stack.enter_context(EmbeddedBroker()).url)
        exact = mode == Mode.LOCKSTEP
        recorded = stack.enter_context(recording(scenario, directory, arguments.trace, exact=exact))
        site = Site(
            fleet,
            address,
            mode=Mode(mode),
            seconds_per_tick=seconds_per_tick,
            taps=(recorded.tap, price.tap),
        )
        try:
            interrupted = play(SiteRunner(site, price), scenario.name)
        finally:
            recorded.finish()
    return conclude(directory, interrupted=interrupted, report=arguments.report)


class SiteRunner:
    """A site on a broker that tells how far it is."""

    def __init__(self, site: "Site", price: "LastPrice") -> None:
        self._site = site
        self._price = price

    def run(self, progress: Tell) -> None:
        """Run to the end, or until `progress` returns False."""
        price = self._price

        def tell(site: "Site") -> bool:
            clock = site.clock
            return progress(Progress(clock.tick, clock.ticks, clock.simulated_ms, price.ueur))

        self._site.run(tell)


def pace(mode: str | None, seconds_per_tick: float | None) -> tuple[str, float]:
    """Return mode and seconds per tick; raise CommandError where the two contradict each other."""
    if mode is None:
        mode = MODES[0] if seconds_per_tick is None else "scaled"
    if mode != "scaled" and seconds_per_tick is not None:
        raise CommandError("--seconds-per-tick", f"goes with --mode scaled, not with --mode {mode}")
    return mode, SECONDS_PER_TICK if seconds_per_tick is None else seconds_per_tick


def _seconds(text: str) -> float:
    allowed = f"{text!r} is not a number of seconds above 0, up to {MOST_SECONDS_PER_TICK:g}"
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(allowed) from None
    if not 0 < seconds <= MOST_SECONDS_PER_TICK:
        raise argparse.ArgumentTypeError(allowed)
    return seconds
