"""The commands of the README and of guides to sites, in a clone: they leave no file that git would list."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/how-to/site/processes.md", "docs/how-to/deploy/compose.md")
COMMAND = re.compile(r"^    gridfleet (.*?)(?:  +[^ ].*)?$", re.MULTILINE)
SHORT = {
    "simulate": ("--ticks", "2", "--no-report"),
    "run": ("--ticks", "2", "--no-report"),
    "compare": ("--ticks", "2", "--seeds", "1"),
    "sweep": ("--ticks", "2", "--seeds", "1"),
}
"""What shortens a command that takes long; the last use of an option wins."""
NEED_MORE = ("set ", "watch", "site broker ", "site fleet ", "site clock ", "site record ", "report")
"""Beginnings of the commands that need a run in progress or a broker, or plot a report."""


def test_the_commands_leave_no_untracked_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)  # noqa: S607
    Path(".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    done = []
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    for line in COMMAND.findall(text):
        if line.startswith(NEED_MORE):
            continue
        words, _, target = line.partition(" > ")
        command, *rest = shlex.split(words)
        capsys.readouterr()
        assert main([command, *rest, *SHORT.get(command, ())]) == 0, line
        if target:
            Path(target).write_text(capsys.readouterr().out, encoding="utf-8")
        done.append(command)
    assert {"run", "simulate", "compare", "scenario", "site", "deploy"} <= set(done)
    listed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    assert listed.stdout.splitlines() == ["?? .gitignore"]
