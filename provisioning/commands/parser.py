"""The parser of the command line, made from the command tree."""

import argparse
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from gridfleet.broker.errors import printable
from gridfleet.provisioning.cli.arguments import HelpFormatter
from gridfleet.provisioning.cli.exit_codes import MEANING
from gridfleet.provisioning.commands.command import Command, Group
from gridfleet.provisioning.commands.tree import DESCRIPTION, EXAMPLES, TREE

MOST_LETTERS: Final = 2_000
"""Most characters of an error in a command line."""
_HEADINGS: Final = {section.members[0].name: section.heading for section in TREE}
"""The heading above the first member of each section."""


class _Grouped(HelpFormatter):
    """Shows the commands in sections."""

    def _format_action(self, action: argparse.Action) -> str:
        """Format an action, with the heading above the first command of a section."""
        heading = _HEADINGS.get(str(action.metavar))
        text = super()._format_action(action)
        return text if heading is None else f"\n  {heading}:\n{text}"


class _Parser(argparse.ArgumentParser):
    """Shows wrong words of a command line without the characters that a terminal would obey, and not at any length."""

    def error(self, message: str) -> NoReturn:
        """Print how the command is used and what is wrong, and exit with 2."""
        text = message if len(message) <= MOST_LETTERS else f"{message[:MOST_LETTERS]}…"
        super().error(printable(text, keep="\n"))


class _Version(argparse.Action):
    """Prints the version, which is looked up only when it is needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:  # noqa: ANN401  argparse's own
        """Print the version and exit."""
        from gridfleet.provisioning.cli.version import product_version

        print(f"gridfleet {product_version()}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    A parsed command line has the path of its command, such as `site init`, as `command`. It is None where the line
    names no command, and `help_parser` is then the parser of the group that it names, or of the whole command line.
    """
    parser: argparse.ArgumentParser = _Parser(
        "gridfleet",
        description=DESCRIPTION,
        epilog=f"{_examples(EXAMPLES)}\n\n{_exit_codes()}\n\n`gridfleet COMMAND --help` explains a command.",
        formatter_class=_Grouped,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.set_defaults(
        command=None, help_parser=parser, root_parser=parser
    )  # `completion` needs all commands
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for section in TREE:
        for member in section.members:
            if isinstance(member, Group):
                _add_group(commands, member)
            else:
                _add_command(commands, member, member.name)
    return parser


def _add_group(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", group: Group) -> None:
    parser = commands.add_parser(
        group.name,
        help=group.help,
        description=group.description,
        epilog=f"`gridfleet {group.name} COMMAND --help` explains a command.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=None, help_parser=parser)
    inner = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in group.commands:
        _add_command(inner, command, f"{group.name} {command.name}")


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", command: Command, path: str
) -> None:
    parser = commands.add_parser(
        command.name,
        help=command.help,
        description=command.description,
        epilog=_examples(command.examples),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    parser.set_defaults(command=path)


def _examples(examples: Sequence[str]) -> str:
    return "\n".join(["examples:" if len(examples) > 1 else "example:", *(f"  {line}" for line in examples)])


def _exit_codes() -> str:
    return "\n".join(["exit codes:", *(f"  {code.value:<5}{text}" for code, text in MEANING.items())])
