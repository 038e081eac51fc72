import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import COMMANDS
from gridfleet.provisioning.commands.tree import EXAMPLES as FIRST_EXAMPLES
from tests.provisioning.shell import LONGEST_S
from tests.waiting import wait_until

EXAMPLE_DEVICES = Path(__file__).parents[2] / "examples" / "devices"
ELSEWHERE = {
    *(f"device {name}" for name in ("safe", "enrol", "flash", "revoke", "bundle", "upgrade", "doctor")),
    "site status",
    "influx setup",
}
"""They need a card, a device, a server or internet access; tests/flash and tests/telemetry run them on a substitute."""
UNTIL_CTRL_C = {"site broker", "site clock", "site fleet", "site record", "device run"}
FIRST_OUTPUT = re.compile(r"^(?!.*: a turbine of cell|backend |  (GPIO|CH)).+$", re.MULTILINE)
"""What a process that runs until Ctrl-C says once it runs; `device check --watch` describes the device before."""
NEED_RUN = {
    "gridfleet watch",
    "gridfleet set wind_scale=0.5",
    "gridfleet trust",
    "gridfleet trust --lift charger-03 --reason 'meter replaced'",
    "gridfleet console",
}
"""They need a run in progress; test_running_site.py runs them beside one."""
EXAMPLES = [
    *FIRST_EXAMPLES,
    *(
        example
        for path, command in COMMANDS.items()
        if path not in ELSEWHERE
        for example in command.examples
        if ".example" not in example and "…" not in example and example not in NEED_RUN
    ),
]
SHORTER = {
    "run": "--ticks 2 --no-report",
    "simulate": "--ticks 24 --no-report",
    "site chaos": "--plan skew --engine rumqttd",
    "sweep": "--ticks 2 --seeds 1",
    "compare": "--ticks 10 --seeds 1",
}
"""Appended to the examples that take long; the last use of an option wins."""
FEW_DEVICES = ("vehicles.count=2", "chargers.count=2")
"""Set in the studies, except what a study varies."""


@pytest.mark.parametrize("example", [each for path in sorted(ELSEWHERE) for each in COMMANDS[path].examples])
def test_examples_that_need_hardware_or_servers_are_parsed(example: str) -> None:
    words = shlex.split(example.removeprefix("sudo "))
    assert make_parser().parse_args(words[1:]).command in ELSEWHERE


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedBroker() as running:
        yield running.url


def command_of(example: str) -> str:
    """Return the path of an example's command; nothing for that of another program."""
    _, first, *rest = shlex.split(example)
    path = f"{first} {rest[0]}" if rest else first
    return path if path in COMMANDS else first if first in COMMANDS else ""


def runs_until_ctrl_c(example: str) -> bool:
    return command_of(example) in UNTIL_CTRL_C or "--watch" in shlex.split(example)


def shortened(example: str) -> str:
    words = shlex.split(example)
    if command_of(example) == "site broker":
        return f"exec {example} --port 0" + (" --ws-port 0" if "--ws-port" in words else "")
    if runs_until_ctrl_c(example):
        return f"exec {example}"
    if words[0] != "gridfleet":
        return example
    few = [value for value in FEW_DEVICES if value.partition("=")[0] not in example]
    chosen = f"--set {' '.join(few)}" if command_of(example) in {"sweep", "compare"} else ""
    return f"{example} {SHORTER.get(command_of(example), '')} {chosen}"


def prepared(example: str) -> str:
    """Return the commands that prepare an example."""
    if example.startswith("gridfleet report"):
        return "gridfleet simulate normal --ticks 2 --no-report >/dev/null\n"
    if example.startswith("gridfleet replay"):
        trace = next(word for word in shlex.split(example) if ".jsonl" in word)
        return f"mkdir -p out; gridfleet simulate normal --ticks 2 --no-report --trace {trace} >/dev/null\n"
    if "broker --secrets" in example:
        return "gridfleet site init >/dev/null\n"
    if "site rotate" in example:
        return "gridfleet site init >/dev/null\n"
    if " health " in example:
        beat = (
            "from pathlib import Path; from gridfleet.provisioning.processes.heartbeat import Heartbeat; "
            "Heartbeat(Path('heartbeat')).beat()"
        )
        return f'"{sys.executable}" -c "{beat}"\n'
    mocked = 'sed -i \'s/^backend = "gpio"/backend = "mock"/\' *.toml\n' if "--watch" in example else ""
    return f"cp {EXAMPLE_DEVICES}/*.toml .\n{mocked}" if " device " in example else ""


@pytest.mark.parametrize("example", dict.fromkeys(EXAMPLES))
def test_examples_in_help_work(example: str, broker: str, tmp_path: Path) -> None:
    example = example.replace("mqtt://127.0.0.1:1883", broker)
    program = tmp_path / "bin" / "gridfleet"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gridfleet "$@"\n')
    program.chmod(0o755)
    command = ["bash", "-ec", prepared(example) + shortened(example)]
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    out, err = tmp_path / "out.txt", tmp_path / "err.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=stdout, stderr=stderr)
        if runs_until_ctrl_c(example):  # its status goes to standard error
            wait_until(
                lambda: process.poll() is not None or FIRST_OUTPUT.search(out.read_text() + err.read_text())
            )
            process.send_signal(signal.SIGINT)
        code = process.wait(LONGEST_S)
    assert (code, "" if runs_until_ctrl_c(example) else err.read_text()) == (0, ""), err.read_text()
