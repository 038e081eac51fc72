"""Commands in the documents have the arguments that the command line knows; the changelog names modules that exist."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from gridfleet.provisioning.commands.document import document
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"^ {4}(?:sudo )?(?:\S*/)?(gridfleet \S.*)$", re.MULTILINE)
COMMENT = re.compile(r"\s{2,}\S.*$")
SHELL_OPERATORS = {"|", ">", "&", "&&", "#"}


def commands(document: Path) -> list[str]:
    """Return the `gridfleet` commands in a document's code blocks, without comments."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    return [COMMENT.sub("", each) for each in COMMAND.findall(text)]


def words_of(command: str) -> list[str]:
    """Return the arguments of a command, up to the next operator of the shell."""
    return list(takewhile(lambda word: word not in SHELL_OPERATORS, shlex.split(command)))[1:]


EXAMPLES = [(document.name, command) for document in DOCUMENTS for command in commands(document)]


@pytest.mark.parametrize(("name", "command"), EXAMPLES)
def test_commands_in_documents_are_accepted(name: str, command: str) -> None:
    words = words_of(command)
    if words not in (["--help"], ["--version"]):
        make_parser().parse_args(words)


def test_the_reference_of_the_commands_is_current() -> None:
    page = ROOT / "docs" / "reference" / "commands.md"
    remedy = "write it again: python -m gridfleet.provisioning.commands.document >docs/reference/commands.md"
    assert page.read_text(encoding="utf-8") == document(), remedy


def test_the_reference_has_every_command_and_option() -> None:
    text = document()
    for path in COMMANDS:
        assert f"\n### gridfleet {path}\n" in text
    for option in (
        "`--part-locks DIR`",
        "`--mode lockstep\\|scaled\\|realtime`",
        "`[SCENARIO]`",
        "`--device FILE`",
    ):
        assert option in text
    assert "%(" not in text


def test_there_are_commands_in_the_documents() -> None:
    assert len(EXAMPLES) > 40
    used = {
        make_parser().parse_args(words_of(command)).command
        for _, command in EXAMPLES
        if "--help" not in command
    }
    assert {"run", "simulate", "set", "site init", "site broker", "site clock", "device flash"} <= used


def modules_in_changelog() -> list[str]:
    """Return the modules that the changelog's table of imports names as successors."""
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if line.startswith("|"))
    found: list[str] = re.findall(r"`gridfleet\.([\w.]+)`", text)
    for package, names in re.findall(r"in `gridfleet\.([\w.]+)`: ([^|\n]+)\|", text):
        found += [f"{package}.{name}" for name in re.findall(r"`([\w.]+)`", names)]
    return found


@pytest.mark.parametrize("module", modules_in_changelog())
def test_modules_in_the_changelog_exist(module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    assert path.is_dir() or path.with_suffix(".py").is_file()
