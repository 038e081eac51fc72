"""`set`, `watch`, `trust` and `console` find the run in progress, and say which site they connect to."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.clients.running_site import running_site
from gridfleet.provisioning.runs.live_run import BROKER_FILE, LiveRunFile, live_run
from tests.provisioning.shell import end, gridfleet, press_ctrl_c, recorded_ticks, start
from tests.waiting import wait_until

ADDRESS = BrokerAddress.parse("mqtt://127.0.0.1:4711")
DEFAULT = BrokerAddress.parse("mqtt://127.0.0.1:1883")
SLOW = (
    "--mode",
    "scaled",
    "--seconds-per-tick",
    "0.3",
    "--ticks",
    "10000",
    "--no-report",
    "--set",
    "vehicles.count=3",
)


def arguments(**given: str | None) -> Namespace:
    return Namespace(**{"broker": None, "run": None, "site": None, "secrets": None, **given})


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    folder = Path("out/normal-1")
    folder.mkdir(parents=True)
    Path("out/latest").symlink_to("normal-1")
    with LiveRunFile(folder, ADDRESS, "north", login=False):
        yield folder


def test_set_and_watch_need_no_address_while_a_run_is_in_progress(tmp_path: Path) -> None:
    process = start("run", "normal", *SLOW, cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "out" / "latest") > 0)
    changed = gridfleet("set", "wind_scale=0.5", cwd=tmp_path)
    watched = gridfleet("watch", "--ticks", "1", cwd=tmp_path)
    judged = gridfleet("trust", cwd=tmp_path)
    lifted = gridfleet("trust", "--lift", "charger-03", "--reason", "meter replaced", cwd=tmp_path)
    console = start("console", cwd=tmp_path)
    assert console.stdout is not None
    served = console.stdout.readline()
    press_ctrl_c(console)
    name = (tmp_path / "out" / "latest").readlink()
    broker = json.loads((tmp_path / "out" / name / BROKER_FILE).read_text())["broker"]
    press_ctrl_c(process)
    assert end(process).code == ExitCode.INTERRUPTED
    note = f"Run       out/{name}: site germany at {broker}, process {process.pid}\n"
    assert (judged.code, judged.err) == (ExitCode.SUCCESS, note)
    assert judged.out.startswith("Site germany, tick ")
    assert judged.out.endswith(": nobody is suspended\n")
    assert (lifted.code, lifted.out) == (ExitCode.FAILED, "")
    assert lifted.err == f"{note}gridfleet trust: charger-03 is not suspended\n"
    assert (changed.code, changed.out, changed.err) == (ExitCode.SUCCESS, "wind_scale = 0.5\n", note)
    assert (watched.code, watched.err) == (ExitCode.SUCCESS, note)
    assert served.startswith("Console   http://127.0.0.1:")
    ended = end(console)
    assert (ended.code, ended.err) == (ExitCode.SUCCESS, note)
    assert not (tmp_path / "out" / name / BROKER_FILE).exists()


def test_an_address_that_is_given_is_used_without_a_word(
    live: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert running_site(arguments(broker="mqtt://a.example")) == (BrokerAddress("a.example", 1883), "germany")
    assert capsys.readouterr().err == ""


def test_the_run_of_a_folder_is_found(live: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given in (
        arguments(),
        arguments(run=str(live)),
        arguments(run="out/latest"),
        arguments(site="north"),
    ):
        assert running_site(given) == (ADDRESS, "north")
        assert "site north at mqtt://127.0.0.1:4711, process " in capsys.readouterr().err


def test_another_site_than_that_of_the_run_is_refused(live: Path) -> None:
    with pytest.raises(
        CommandError, match=r"--site south: the run in progress in out/normal-1 is of site north"
    ):
        running_site(arguments(site="south"))


def test_a_broker_with_a_login_asks_for_its_name_and_password(live: Path) -> None:
    address = BrokerAddress.parse("mqtt://ann:secret@127.0.0.1:4711")
    with LiveRunFile(live, address, "north", login=False):
        assert "secret" not in (live / BROKER_FILE).read_text()
        with pytest.raises(CommandError, match="asks for a login: name it with --broker, with its user name"):
            running_site(arguments())


def test_without_a_run_in_progress_the_address_that_is_tried_is_printed(
    live: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out/ended").mkdir()
    Path("out/ended", BROKER_FILE).write_text((live / BROKER_FILE).read_text())  # as a killed run leaves it
    Path("out/latest").unlink()
    Path("out/latest").symlink_to("ended")
    assert running_site(arguments(site="south")) == (DEFAULT, "south")
    assert capsys.readouterr().err == (
        "No run is in progress in out/latest: trying site south at mqtt://127.0.0.1:1883. "
        "Name another with --broker URL. In progress: --run out/normal-1\n"
    )
    with pytest.raises(CommandError, match="no run is in progress there"):
        running_site(arguments(run="out/ended"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"broker": 1}'])
def test_a_file_that_is_no_run_is_ignored(text: str, tmp_path: Path) -> None:
    (tmp_path / BROKER_FILE).write_text(text)
    assert live_run(tmp_path) is None
