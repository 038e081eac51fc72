"""`gridfleet completion SHELL`: prints a script with which a shell completes commands, options, scenarios and files."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode

HELP: Final = "print a script for command completion in your shell"
DESCRIPTION: Final = (
    "Print a script that completes commands, options, scenario names and files.\n"
    "bash: eval it in ~/.bashrc; zsh: write it to a file _gridfleet in a directory of $fpath;\n"
    "tcsh: source it from ~/.tcshrc."
)
EXAMPLES: Final = ('eval "$(gridfleet completion bash)"',)
SHELLS: Final = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `completion`."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="one of bash, zsh, tcsh")


def execute(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
    from gridfleet.devices.config.scenario import shipped

    parser: argparse.ArgumentParser = arguments.root_parser
    names = " ".join(shipped())
    completions = {
        "scenario": {
            "bash": "_gridfleet_scenarios",
            "zsh": f"{{compadd {names}; _files -g '*.toml'}}",
            "tcsh": f"({names})",
        },
        "out": shtab.DIRECTORY,
        "directory": shtab.DIRECTORY,
        "trace": shtab.FILE,
    }
    for action in _actions(parser):
        if action.dest in completions:
            action.complete = completions[action.dest]  # type: ignore[attr-defined]
        elif action.dest == "algorithm":
            action.choices = OFFER_RANKINGS.names()
    print(
        shtab.complete(
            parser, arguments.shell, preamble=_PREAMBLE.get(arguments.shell, "") % {"names": names}
        )
    )
    return ExitCode.SUCCESS


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser and of its commands."""
    found = []
    for action in parser._actions:  # noqa: SLF001  shtab reads them the same way
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in action.choices.values():
                found += _actions(inner)
    return found


_PREAMBLE: Final = {
    "bash": """\
_gridfleet_scenarios() {
  compgen -W '%(names)s' -- "$1"
  compgen -f -X '!*.toml' -- "$1"
  compgen -d -S / -- "$1"
}
"""
}
