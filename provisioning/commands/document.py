"""Writes docs/reference/commands.md, the reference of all commands, from the parser.

Run: python -m gridfleet.provisioning.commands.document >docs/reference/commands.md
"""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Final

from gridfleet.provisioning.cli.exit_codes import MEANING
from gridfleet.provisioning.commands.aliases import FORMER
from gridfleet.provisioning.commands.command import Command, Group
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import TREE

HEAD: Final = """\
# Commands

This page is generated from the command line itself; a test checks that the two are equal:
`python -m gridfleet.provisioning.commands.document >docs/reference/commands.md`.

`gridfleet COMMAND --help` prints the same on a terminal. `--debug` of every command prints the traceback of an error.
"""
FORMER_HEAD: Final = """\
## Former names

For one release these names still work; each prints the new name on standard error.

| former name | now |
| --- | --- |
"""


def document() -> str:
    """Return the text of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    parsers = _parsers(make_parser())
    yield HEAD
    yield "| command | |\n| --- | --- |"
    for section in TREE:
        for member in section.members:
            for path, command in _commands(member):
                yield f"| [`{path}`](#gridfleet-{path.replace(' ', '-')}) | {_cell(command.help)} |"
    yield "\n| exit code | |\n| --- | --- |"
    for code, meaning in MEANING.items():
        yield f"| {code.value} | {meaning} |"
    for section in TREE:
        yield f"\n## {section.heading.capitalize()}"
        for member in section.members:
            if isinstance(member, Group):
                yield from ("", f"**`gridfleet {member.name}`**: {_one_line(member.description)}")
            for path, command in _commands(member):
                yield from _reference(path, command, parsers[path])
    yield "\n" + FORMER_HEAD + "\n".join(f"| `{former}` | `{new}` |" for former, new in FORMER.items())


def _commands(member: Command | Group) -> Iterator[tuple[str, Command]]:
    if isinstance(member, Group):
        yield from ((f"{member.name} {command.name}", command) for command in member.commands)
    else:
        yield member.name, member


def _parsers(parser: argparse.ArgumentParser, path: str = "") -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of all commands and groups by path."""
    found = {path: parser}
    for action in parser._actions:  # noqa: SLF001  argparse has no public way to read its arguments
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, inner in action.choices.items():
                found |= _parsers(inner, f"{path} {name}".strip())
    return found


def _reference(path: str, command: Command, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines about one command."""
    yield from ("", f"### gridfleet {path}", "")
    yield from _description(command.description)
    yield ""
    yield from (f"    {example}" for example in command.examples)
    actions = [action for action in parser._actions if action.dest not in {"help", "debug"}]  # noqa: SLF001
    if actions:
        yield "\n| argument | |\n| --- | --- |"
        for action in actions:
            needed = "required: " if action.option_strings and action.required else ""
            yield f"| {_argument(action)} | {needed}{_cell((action.help or '') % _values(action, parser))} |"


def _description(text: str) -> Iterator[str]:
    """Yield a description as Markdown; lines that are aligned in columns stay as they are."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("  "):
            yield from (f"  {line}" for line in paragraph.splitlines())
        else:
            yield _one_line(paragraph)


def _argument(action: argparse.Action) -> str:
    """Return how an argument is written, as Markdown code."""
    value = _value_text(action)
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{f'{option} {value}'.strip()}`" for option in action.option_strings)


def _value_text(action: argparse.Action) -> str:
    """Return the placeholder for the values of an argument."""
    if action.nargs == 0:
        return ""
    choices = "\\|".join(map(str, action.choices)) if action.choices else ""
    name = str(action.metavar or choices or action.dest.upper())
    if action.nargs == "+":
        return f"{name} …"
    return f"[{name}]" if action.nargs == "?" else name


def _values(action: argparse.Action, parser: argparse.ArgumentParser) -> dict[str, object]:
    """Return what a help text may refer to, as argparse does."""
    return {**vars(action), "prog": parser.prog}


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return _one_line(text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
