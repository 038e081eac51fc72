"""Arguments that several commands share, each defined once: their words, their limits, their help."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

ALGORITHMS: Final = ("weighted", "best", "cheapest", "closest", "random")
"""As in gridfleet.broker.protocol.messages.Algorithm, which takes too long to load for a help text."""
LOG_FORMS: Final = ("human", "json")
MOST_TICKS: Final = 1_000_000
MOST_SEED: Final = 2**63 - 1


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are written, and leaves the options room on the left."""

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401  argparse's own
        super().__init__(prog, max_help_position=30, **options)
        self._action_max_length = 16  # the names of commands, which argparse leaves out of account


class KeyValues(argparse.Action):
    """Gathers `key=value` words over all uses of an option; a word without `=` gets a hint, `const` an example."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add this use's words to those before."""
        words = list(values or ())
        for word in words:
            if "=" not in word or word.startswith("="):
                command = parser.prog
                parser.error(
                    f"{option_string} {word}: expected key=value, e.g. {option_string} {self.const}\n"
                    f"Is {word!r} the scenario? Then put it first: {command} {word} {option_string} …"
                )
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *words])


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a converter to a whole number within limits."""

    def convert(text: str) -> int:
        allowed = f"{text!r} is not a whole number from {least} to {most}"
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(allowed) from None
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(allowed)
        return number

    return convert


def algorithm(text: str) -> str:
    """Return the name of a choice algorithm; say which exist when it is none."""
    if text not in ALGORITHMS:
        raise argparse.ArgumentTypeError(f"{text!r} is unknown; allowed are {', '.join(ALGORITHMS)}")
    return text


def add_scenario(parser: argparse.ArgumentParser, **options: Any) -> None:  # noqa: ANN401  argparse's own
    """Add the positional argument that names a scenario or a file."""
    options = {"metavar": "SCENARIO", "help": "a shipped scenario or your own TOML file", **options}
    parser.add_argument("scenario", **options)


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add what changes a scenario for one run: ticks, seed, algorithm, --set."""
    add_ticks(parser)
    parser.add_argument(
        "--seed",
        type=whole(0, MOST_SEED),
        metavar="S",
        help="same seed, same run, to the byte (default: the one in the scenario)",
    )
    parser.add_argument(
        "--algorithm",
        type=algorithm,
        metavar="A",
        help=f"how vehicles choose a charger: {', '.join(ALGORITHMS)} (default: the scenario's)",
    )
    add_set(parser)


def add_ticks(parser: argparse.ArgumentParser) -> None:
    """Add the number of ticks."""
    parser.add_argument(
        "--ticks",
        type=whole(1, MOST_TICKS),
        metavar="N",
        help="how many ticks of 15 simulated minutes to run (default: the scenario's, 120 unless it says)",
    )


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set",
        action=KeyValues,
        nargs="+",
        default=[],
        const="settings.turbine_scale=0.5",
        dest="changes",
        metavar="key=value",
        help="change keys of the scenario, e.g. settings.turbine_scale=0.5 vehicles.count=60; "
        "`gridfleet check` shows them all",
    )


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add where the results go."""
    parser.add_argument("--out", metavar="DIR", help=f"directory for the results (default: {default})")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """Add what else is written: the trace, or no report."""
    parser.add_argument(
        "--trace",
        metavar="FILE",
        help="also write every message as a JSON line with time, topic and payload, as on the wire",
    )
    parser.add_argument(
        "--no-report",
        action="store_false",
        dest="report",
        help="leave out report.html and its plots (make them later with `gridfleet report DIR`)",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add how a command logs."""
    parser.add_argument(
        "--log",
        choices=LOG_FORMS,
        default=os.environ.get("GRIDFLEET_LOG", LOG_FORMS[0]),
        help=f"what is logged on standard error (default: $GRIDFLEET_LOG, else {LOG_FORMS[0]})",
    )
