import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.provisioning.commands.parser import make_parser
from gridfleet.provisioning.commands.tree import COMMANDS
from gridfleet.provisioning.commands.tree import EXAMPLES as FIRST_EXAMPLES
from tests.physics.test_weather_formats import METEOSTAT, OPEN_METEO
from tests.provisioning.shell import LONGEST_S
from tests.waiting import wait_until

EXAMPLE_DEVICES = Path(__file__).parents[2] / "examples" / "devices"
ELSEWHERE = {
    *(f"device {name}" for name in ("safe", "enrol", "flash", "revoke", "bundle", "upgrade", "doctor")),
    "site status",
    "influx setup",
    "influx check",
}
"""They need a card, a device, a server or internet access; tests/flash and tests/telemetry run them on a substitute."""
UNTIL_CTRL_C = {"site broker", "site clock", "site fleet", "site record", "device run"}
FIRST_OUTPUT = re.compile(
    r"^(?!.*: a turbine of cell|backend |  (GPIO|CH)|This run has no page\.history).+$", re.MULTILINE
)
"""What a process that runs until Ctrl-C says once it runs; `device check --watch` describes the device before, and
`replay` says what the run lacks."""
NOTE = re.compile(r"2 runs were finished before, 0 are left\n")
"""What `sweep --resume` says on standard error, without a fault."""
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
REPLAY_OF_FOLDER = "gridfleet replay out/latest"
"""Shows the run on its page until Ctrl-C; a replay of a trace ends by itself."""
RUN = "gridfleet simulate normal --ticks 2 --no-report"
INPUT_FILES = {
    "study.toml": (
        'scenario = "normal"\n[vary]\n"settings.turbine_scale" = [0.5, 1.0]\n'
        '[set]\n"vehicles.count" = 2\n"chargers.count" = 2\n'
    ),
    "open-meteo-53.62N10.02E12m.csv": OPEN_METEO.format(offset=0),
    "10147.csv": METEOSTAT,
    "mast.csv": "time,latitude,longitude,v_80,T\n2025-03-01 00:00,53.6,10.0,36.0,278.15\n",
    "stundenwerte_FF_01975_akt.zip": "STATIONS_ID;MESS_DATUM;QN_3;   F;   D;eor\n 1975;2025030100;3; 8.4; 210;eor\n",
    "stundenwerte_TU_01975_akt.zip": "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\n 1975;2025030100;3; 5.2; 80;eor\n",
}
"""What the files contain that an example reads; of an archive, its product file."""
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
    return (
        command_of(example) in UNTIL_CTRL_C
        or "--watch" in shlex.split(example)
        or example == REPLAY_OF_FOLDER
    )


def shortened(example: str) -> str:
    words = shlex.split(example)
    if command_of(example) == "site broker":
        return f"exec {example} --port 0" + (" --ws-port 0" if "--ws-port" in words else "")
    if example == REPLAY_OF_FOLDER:
        return f"exec {example} --port 0 --no-browser"
    if runs_until_ctrl_c(example):
        return f"exec {example}"
    if words[0] != "gridfleet":
        return example
    few = [value for value in FEW_DEVICES if value.partition("=")[0] not in example]
    chosen = f"--set {' '.join(few)}" if command_of(example) in {"sweep", "compare"} else ""
    return f"{example} {SHORTER.get(command_of(example), '')} {chosen}"


def prepared(example: str) -> str:
    """Return the commands that prepare an example."""
    if example.startswith(("gridfleet report", "gridfleet rerun", REPLAY_OF_FOLDER)):
        return f"{RUN} {'--out published' if 'published' in example else ''} >/dev/null\n"
    if "--resume" in example:
        return shortened(example.replace("--resume", "--out")) + " >/dev/null 2>&1\n"
    if example.startswith("gridfleet replay"):
        trace = next(word for word in shlex.split(example) if ".jsonl" in word)
        return f"mkdir -p out; {RUN} --trace {trace} >/dev/null\n"
    if "broker --secrets" in example or "site rotate" in example:
        return "gridfleet site init >/dev/null\n"
    if " health " in example:
        beat = (
            "from pathlib import Path; from gridfleet.provisioning.processes.heartbeat import Heartbeat; "
            "Heartbeat(Path('heartbeat')).beat()"
        )
        return f'"{sys.executable}" -c "{beat}"\n'
    mocked = 'sed -i \'s/^backend = "gpio"/backend = "mock"/\' *.toml\n' if "--watch" in example else ""
    return f"cp {EXAMPLE_DEVICES}/*.toml .\n{mocked}" if " device " in example else ""


def write_input_files(example: str, folder: Path) -> None:
    """Write the files that an example reads."""
    for name in set(shlex.split(example)) & set(INPUT_FILES):
        if not name.endswith(".zip"):
            (folder / name).write_text(INPUT_FILES[name], encoding="utf-8")
            continue
        quantity = name.split("_")[1].lower()
        with ZipFile(folder / name, "w") as archive:
            archive.writestr(f"produkt_{quantity}_stunde_20250301_20250301_01975.txt", INPUT_FILES[name])
            archive.writestr(
                "Metadaten_Geographie_01975.txt",
                "Stations_id;Stationshoehe;Geogr.Breite;Geogr.Laenge;von_datum;bis_datum;Stationsname\n"
                "       1975;  11.00;  53.6332;   9.9881;19930501;        ;Hamburg-Fuhlsbuettel\n",
            )


@pytest.mark.parametrize("example", dict.fromkeys(EXAMPLES))
def test_examples_in_help_work(example: str, broker: str, tmp_path: Path) -> None:
    """The nodes of a cluster are the one broker, by two names of its host."""
    write_input_files(example, tmp_path)
    for written, url in (
        ("mqtt://127.0.0.1:1883", broker),
        ("mqtt://node-1", broker),
        ("mqtt://node-2", broker.replace("127.0.0.1", "localhost")),
    ):
        example = example.replace(written, url)
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
    said = NOTE.sub("", err.read_text()) if "--resume" in example else err.read_text()
    assert (code, "" if runs_until_ctrl_c(example) else said) == (0, ""), err.read_text()
