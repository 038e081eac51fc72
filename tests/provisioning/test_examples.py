import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning import cli
from provisioning.cli import COMMANDS, make_parser

EXAMPLE_DEVICES = Path(__file__).parents[2] / "examples" / "devices"
ON_THE_BENCH = {"flash", "revoke", "bundle", "upgrade", "doctor"}
"""They need a card, a device or the internet: tests/flash runs them on what stands for these."""
EXAMPLES = [
    *cli.EXAMPLES,
    *(
        example
        for command in COMMANDS
        if command.name not in ON_THE_BENCH
        for example in command.examples
        if ".example" not in example
    ),
]
SHORTER = {
    "run": "--ticks 2 --no-report",
    "simulate": "--ticks 2 --no-report",
    "chaos": "--plan skew --engine rumqttd",
    "compare": "--ticks 2 --seeds 1 --set vehicles.count=2 chargers.count=2",
}
"""Added to the examples that take long; of an option given twice, the last wins."""


@pytest.mark.parametrize(
    "example", [each for command in COMMANDS if command.name in ON_THE_BENCH for each in command.examples]
)
def test_examples_of_the_bench_are_understood(example: str) -> None:
    words = shlex.split(example.removeprefix("sudo "))
    assert make_parser().parse_args(words[1:]).command in ON_THE_BENCH


def shortened(example: str) -> str:
    words = shlex.split(example)
    if words[:2] == ["gridfleet", "broker"]:  # runs until Ctrl-C, and its log goes to standard error
        return f"timeout --preserve-status --signal INT 3 {example} --port 0 2>log"
    if words[:3] == ["gridfleet", "device", "run"]:
        return f"timeout --preserve-status --signal INT 3 {example} 2>log"
    return f"{example} {SHORTER.get(words[1], '')}" if words[0] == "gridfleet" else example


@pytest.mark.parametrize("example", dict.fromkeys(EXAMPLES))
def test_examples_in_help_work(example: str, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "gridfleet"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m provisioning "$@"\n')
    program.chmod(0o755)
    first = "gridfleet simulate normal --ticks 2 --no-report >/dev/null\n" if " report " in example else ""
    if "broker --secrets" in example:
        first = "gridfleet secrets secrets >/dev/null\n"
    if " health " in example:
        beat = "import pathlib as p, provisioning.heartbeat as h; h.Heartbeat(p.Path('heartbeat')).beat()"
        first = f'"{sys.executable}" -c "{beat}"\n'
    if " device " in example:
        first = f"cp {EXAMPLE_DEVICES}/*.toml .\n"
    done = subprocess.run(
        ["bash", "-ec", first + shortened(example)],  # noqa: S607  whichever bash the user has
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
