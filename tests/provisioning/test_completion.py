import subprocess
from pathlib import Path

import pytest

from gridfleet.devices.config.scenario import shipped
from gridfleet.provisioning.cli.arguments import ALGORITHMS
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.completion import SHELLS
from gridfleet.provisioning.commands.tree import COMMANDS

ASK = """
source ./script
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_gridfleet
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_commands_and_scenarios(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*(word for path in COMMANDS for word in path.split()), *shipped(), *ALGORITHMS):
        assert word in script


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["co"], ["compare", "console", "completion"]),
        (["site", "b"], ["broker"]),
        (["de"], ["device", "deploy"]),
        (["simulate", "s"], ["scarce", "storm", "sub/"]),
        (["scenario", "check", "m"], ["mine.toml"]),
        (["compare", "normal", "sc"], ["scarce"]),
        (["run", "n"], ["normal"]),
        (["run", "--mode", ""], ["lockstep", "scaled", "realtime"]),
        (["simulate", "--algorithm", "c"], ["cheapest", "closest"]),
        (["simulate", "normal", "--o"], ["--out"]),
        (["simulate", "normal", "--out", "s"], ["sub"]),
        (["completion", ""], list(SHELLS)),
    ],
    ids=" ".join,
)
def test_bash_offers(
    words: list[str], offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "mine.toml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "sub").mkdir()
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "gridfleet", *words],  # noqa: S607  whichever bash the user has
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.split() == offered
