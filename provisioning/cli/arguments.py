"""Arguments that several commands share; each is defined once, with its limits and its help text."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from gridfleet.broker.readers import ranges
from gridfleet.broker.readers.read_error import ReadError

ALGORITHMS: Final = ("weighted", "best", "cheapest", "closest", "random")
"""The offer rankings that are shipped; their registry takes too long to load for a help text."""
LOG_FORMATS: Final = ("human", "json")
MAX_TICKS: Final = 1_000_000
MAX_SEED: Final = 2**63 - 1
MAX_SEEDS: Final = 10_000
MAX_JOBS: Final = 1024


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formats help texts: examples stay as written, and the column of options is narrow."""

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401  argparse's own
        super().__init__(prog, max_help_position=30, **options)
        self._action_max_length = 16  # width of the command names, which argparse does not measure

    def _format_action(self, action: argparse.Action) -> str:
        """Format an action; of a group only its commands, without a line for their placeholder."""
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  argparse has no public name for it
            return "".join(self._format_action(each) for each in self._iter_indented_subactions(action))
        return super()._format_action(action)


class KeyValues(argparse.Action):
    """Collects the `key=value` arguments of all uses of an option; `const` is an example for the error message."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Append the values of this use to those of earlier uses."""
        words = list(values or ())
        for word in words:
            if "=" not in word or word.startswith("="):
                command = parser.prog
                parser.error(
                    f"{option_string} {word}: expected key=value, e.g. {option_string} {self.const}\n"
                    f"If {word!r} is the scenario, put it first: {command} {word} {option_string} …"
                )
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *words])


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a converter from text to a whole number within limits, both included.

    >>> whole_number(1, 9)("7")
    7
    """

    def convert(text: str) -> int:
        try:
            return ranges.whole_number(text, (minimum, maximum))
        except ReadError as error:
            raise argparse.ArgumentTypeError(error.problem) from None

    return convert


def algorithm(text: str) -> str:
    """Return the name of an offer ranking; raise ArgumentTypeError with the allowed names for any other."""
    from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS

    try:
        return OFFER_RANKINGS.checked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def add_scenario(parser: argparse.ArgumentParser, **options: Any) -> None:  # noqa: ANN401  argparse's own
    """Add the positional argument that names a scenario or a file."""
    options = {"metavar": "SCENARIO", "help": "a shipped scenario or your own TOML file", **options}
    parser.add_argument("scenario", **options)


def add_changes(parser: argparse.ArgumentParser, *, ticks: bool = True) -> None:
    """Add the options that change a scenario for one run: --seed, --algorithm, --set, and with `ticks` --ticks."""
    if ticks:
        add_ticks(parser)
    parser.add_argument(
        "--seed",
        type=whole_number(0, MAX_SEED),
        metavar="S",
        help="the same seed gives the same run to the byte (default: the scenario's)",
    )
    parser.add_argument(
        "--algorithm",
        type=algorithm,
        metavar="A",
        help=f"how vehicles choose a charger: {', '.join(ALGORITHMS)}, or another that is installed "
        "(default: the scenario's)",
    )
    add_set(parser)


def add_liars(parser: argparse.ArgumentParser) -> None:
    """Add --liars."""
    parser.add_argument(
        "--liars",
        action=KeyValues,
        nargs="+",
        default=[],
        const="charger-03=overbill",
        metavar="device=lie",
        help="devices that lie, each from the first tick on or from a tick of its own, e.g. turbine-2=oversell,at:20; "
        "docs/how-to/studies/liars.md lists the lies (default: none)",
    )


def add_ticks(parser: argparse.ArgumentParser) -> None:
    """Add --ticks."""
    parser.add_argument(
        "--ticks",
        type=whole_number(1, MAX_TICKS),
        metavar="N",
        help="number of ticks of 15 simulated minutes (default: the scenario's, which is 120 unless set)",
    )


def add_set(parser: "argparse._ActionsContainer") -> None:
    """Add --set."""
    parser.add_argument(
        "--set",
        action=KeyValues,
        nargs="+",
        default=[],
        const="settings.turbine_scale=0.5",
        dest="changes",
        metavar="key=value",
        help="change keys of the scenario, e.g. settings.turbine_scale=0.5 vehicles.count=60; "
        "`gridfleet scenario show` prints all keys",
    )


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --out and --force."""
    parser.add_argument(
        "--out",
        metavar="DIR",
        help=f"directory for the results, new or without results (default: {default}, a new one for each run)",
    )
    parser.add_argument("--force", action="store_true", help="replace the results that are there already")


def add_batch(parser: argparse.ArgumentParser, seeds: int | None) -> None:
    """Add --seeds, with its default, and --jobs."""
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MAX_SEEDS),
        default=seeds,
        metavar="N",
        help="number of seeds, counted up from the scenario's seed (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=whole_number(1, MAX_JOBS),
        metavar="N",
        help="number of parallel processes (default: one per processor)",
    )


def add_warm_up(parser: argparse.ArgumentParser) -> None:
    """Add --warm-up."""
    parser.add_argument(
        "--warm-up",
        type=whole_number(0, MAX_TICKS),
        metavar="TICKS",
        help="leave the first ticks of each run out of its key figures, in which buffers fill (default: 0)",
    )


def add_png(parser: argparse.ArgumentParser) -> None:
    """Add --png."""
    parser.add_argument(
        "--png", action="store_true", help="also write each plot as a PNG file into plots/ (the page has SVG)"
    )


def add_recording(parser: argparse.ArgumentParser) -> None:
    """Add --trace, --no-report and --png."""
    parser.add_argument(
        "--trace",
        metavar="FILE",
        help="also write every message as a JSON line with time, topic and payload, exactly as published",
    )
    parser.add_argument(
        "--no-report",
        action="store_false",
        dest="report",
        help="write no report.html (make it later with `gridfleet report`)",
    )
    add_png(parser)


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add --log."""
    parser.add_argument(
        "--log",
        choices=LOG_FORMATS,
        default=os.environ.get("GRIDFLEET_LOG", LOG_FORMATS[0]),
        help=f"format of the log on standard error (default: $GRIDFLEET_LOG, else {LOG_FORMATS[0]})",
    )
