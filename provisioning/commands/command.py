"""What a command and a group of commands consist of; `tree` puts them together."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import NamedTuple


class Command(NamedTuple):
    """A command: name, one-line help, description, examples that work, and the functions that define and execute it."""

    name: str
    help: str
    description: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]


class Group(NamedTuple):
    """Commands about one thing, such as a site: name, one-line help, description, and the commands."""

    name: str
    help: str
    description: str
    commands: tuple[Command, ...]


class Section(NamedTuple):
    """Commands and groups that the help of `gridfleet` shows under one heading."""

    heading: str
    members: tuple[Command | Group, ...]


def command_of(name: str, module: ModuleType) -> Command:
    """Return the command that a module defines."""
    return Command(
        name, module.HELP, module.DESCRIPTION, module.EXAMPLES, module.add_arguments, module.execute
    )


def commands_by_path(sections: Iterable[Section]) -> Iterator[tuple[str, Command]]:
    """Yield every command with its path, such as `run` or `site init`."""
    for section in sections:
        for member in section.members:
            if isinstance(member, Group):
                yield from ((f"{member.name} {command.name}", command) for command in member.commands)
            else:
                yield member.name, member
