"""Each run has a folder of its own name; `latest` leads to the newest; nothing is overwritten in silence."""

import errno
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridfleet.dashboards.recording import recording
from gridfleet.dashboards.recording.durable.recorder import JOURNAL
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.runs import run_folder
from gridfleet.provisioning.runs.results import FolderError
from gridfleet.provisioning.runs.run_folder import claim_run_folder, latest_folder, replace_link
from tests.provisioning.shell import end, gridfleet, press_ctrl_c, recorded_ticks, start
from tests.provisioning.test_simulate import files_of
from tests.waiting import wait_until

NOON = datetime(2026, 11, 26, 14, 15, tzinfo=UTC)
NAME = "normal-2026-11-26T141500"
FEW = ("--ticks", "2", "--no-report", "--set", "vehicles.count=3", "chargers.count=3")
LONG = ("--ticks", "100000", "--no-report", "--set", "vehicles.count=3", "chargers.count=3")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "local_time", lambda: NOON)
    return tmp_path


def simulate(*words: str) -> int:
    return main(["simulate", "normal", *FEW, *words])


# --- names and the link ---


def test_runs_of_the_same_second_get_folders_of_their_own_with_the_same_files() -> None:
    for _ in range(3):
        assert simulate() == ExitCode.SUCCESS
    names = sorted(path.name for path in Path("out").iterdir() if not path.is_symlink())
    assert names == [NAME, f"{NAME}-2", f"{NAME}-3"]
    first, *others = (files_of(Path("out", name)) for name in names)
    assert others == [first, first]
    assert NAME.encode() not in b"".join(first.values())
    assert Path("out/latest").readlink() == Path(f"{NAME}-3")
    assert latest_folder() == Path("out", f"{NAME}-3")


def test_processes_that_start_together_share_no_folder(tmp_path: Path) -> None:
    code = (
        "from gridfleet.provisioning.runs import run_folder as r; r.local_time = lambda: r.datetime(2026, 1, 1)\n"
        "print(*[r.claim_run_folder(None, 'x').path for _ in range(20)], sep='\\n')"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    names = [name for each in running for name in each.communicate()[0].split()]
    assert len(names) == len(set(names)) == 60


def test_a_folder_of_the_user_is_the_latest_only_within_out() -> None:
    assert simulate("--out", "out/mine") == ExitCode.SUCCESS
    assert simulate("--out", "elsewhere") == ExitCode.SUCCESS
    assert latest_folder() == Path("out/mine")
    assert not Path("latest").exists()


def test_a_comparison_has_a_link_of_its_own() -> None:
    assert simulate() == ExitCode.SUCCESS
    small = ("--seeds", "1", "--jobs", "1", "--ticks", "2", "--set", "vehicles.count=2", "chargers.count=2")
    assert main(["compare", "normal", *small]) == ExitCode.SUCCESS
    assert Path("out/latest").readlink() == Path(NAME)
    assert Path("out/latest-compare").readlink() == Path(f"compare-{NAME}")
    assert main(["compare", "normal", *small, "--out", "out/latest-compare"]) == ExitCode.USAGE


def test_report_takes_the_latest_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == ExitCode.USAGE
    assert "no link out/latest to a newest run here: name the folder" in capsys.readouterr().err
    assert simulate() == ExitCode.SUCCESS
    assert main(["report"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out.splitlines()[-1] == f"Report    out/{NAME}/report.html"
    Path("out", NAME).rename("moved")
    assert main(["report"]) == ExitCode.USAGE
    assert f"out/latest leads to out/{NAME}, which was deleted" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_a_user_has_named_latest_is_left_as_it_is(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    mine = Path("out/latest/mine" if kind == "folder" else "out/latest")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert simulate() == ExitCode.SUCCESS
    assert f"out/latest does not lead to this run: it is a {kind}, not a link" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert Path("out", NAME, STORE).is_file()


def test_without_symbolic_links_the_run_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    assert simulate() == ExitCode.SUCCESS
    assert capsys.readouterr().err == (
        "out/latest does not lead to this run: the link cannot be made here (operation not permitted); "
        f"the folder of the run is out/{NAME}\n"
    )


def test_the_link_always_exists_while_it_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "latest"
    assert replace_link(link, "0") == ""
    seen: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(lambda: [replace_link(link, str(number)) for number in range(1, 300)])
        while not replacing.done():
            seen.add(str(link.readlink()))  # raises where the link is missing
    assert set(replacing.result()) == {""}
    assert seen <= set(map(str, range(300)))
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


# --- what is there already ---


def test_a_trace_is_replaced_only_with_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--trace", "trace.jsonl") == ExitCode.SUCCESS
    before = Path("trace.jsonl").read_bytes()
    assert simulate("--trace", "trace.jsonl", "--seed", "2") == ExitCode.USAGE
    assert "--trace trace.jsonl: exists already: name another file, or add --force" in capsys.readouterr().err
    assert Path("trace.jsonl").read_bytes() == before
    assert not Path("out", f"{NAME}-2").exists()
    assert simulate("--trace", "trace.jsonl", "--seed", "2", "--force") == ExitCode.SUCCESS
    assert Path("trace.jsonl").read_bytes() != before


@pytest.mark.parametrize("name", ["run.sqlite", "report.html", "compare.csv", "plots/map.png"])
def test_any_kind_of_result_is_kept(name: str) -> None:
    Path("here", name).parent.mkdir(parents=True)
    Path("here", name).write_text("mine")
    with pytest.raises(FolderError, match=rf"holds results already \({name.partition('/')[0]}\)"):
        claim_run_folder("here", "normal")
    assert Path("here", name).read_text() == "mine"


def test_a_recorder_keeps_its_folder_for_itself() -> None:
    Path("here", JOURNAL).mkdir(parents=True)
    with pytest.raises(
        FolderError, match="here: is the folder of a recorder, which keeps each run apart in runs/"
    ):
        claim_run_folder("here", "normal", force=True)


def test_a_folder_with_other_files_is_used_and_they_are_kept() -> None:
    Path("here").mkdir()
    Path("here/notes.txt").write_text("mine")
    assert simulate("--out", "here") == ExitCode.SUCCESS
    assert Path("here/notes.txt").read_text() == "mine"


def test_a_run_that_does_not_begin_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--trace", ".") == ExitCode.USAGE
    assert list(Path("out").iterdir()) == []
    Path("empty").mkdir()
    assert simulate("--trace", ".", "--out", "empty") == ExitCode.USAGE
    assert list(Path("empty").iterdir()) == []


# --- folders that cannot be used ---


def test_a_file_named_out(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").touch()
    assert simulate() == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "gridfleet: --out out: cannot be used as a directory (not a directory): name another\n"
    )


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("locked").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert simulate("--out", "locked") == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "gridfleet: --out locked: cannot be used as a directory (permission denied): name another\n"
    )


def test_a_disk_that_is_full_when_the_report_is_written(tmp_path: Path) -> None:
    limit = 150_000  # bytes: between the store of two ticks and the page
    done = subprocess.run(
        [sys.executable, "-m", "gridfleet", "simulate", "normal", *FEW[:2], *FEW[3:], "--out", "full"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "gridfleet: full/report.html: cannot be written (file too large): make room, then write the report again with "
        "`gridfleet report full`\n"
    )
    assert main(["report", "full"]) == ExitCode.SUCCESS


def test_a_disk_that_is_full_when_the_tables_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(recording, "write_exports", fail)
        assert simulate("--out", "full") == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "gridfleet: full: cannot be written (no space left on device): make room, then write the files again with "
        "`gridfleet report full`\n"
    )
    assert main(["report", "full"]) == ExitCode.SUCCESS
    assert Path("full/ledger.csv").stat().st_size > 0


def test_a_folder_that_is_deleted_during_the_run_ends_it(tmp_path: Path) -> None:
    process = start("simulate", "normal", *LONG, "--out", "run", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "run") > 0)
    (tmp_path / "run").rename(tmp_path / "moved")
    done = end(process)
    assert done.code == ExitCode.USAGE
    assert done.err == (
        "gridfleet: run: was deleted or moved during the run: run again, and leave the folder until the run has "
        "ended\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_killed_run_is_kept_and_the_next_one_has_its_own_folder(tmp_path: Path) -> None:
    process = start("run", "normal", *LONG, cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "out" / "latest") > 0)
    process.kill()
    end(process)
    killed = (tmp_path / "out" / "latest").readlink()
    assert gridfleet("simulate", "normal", *FEW, cwd=tmp_path).code == ExitCode.SUCCESS
    assert (tmp_path / "out" / "latest").readlink() != killed
    assert recorded_ticks(tmp_path / "out" / killed) > 0


def test_results_of_a_run_in_progress_are_not_replaced_even_with_force(tmp_path: Path) -> None:
    process = start("run", "normal", *LONG, "--out", "out/run", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "out" / "run") > 0)
    other = gridfleet("simulate", "normal", *FEW, "--out", "out/run", "--force", cwd=tmp_path)
    press_ctrl_c(process)
    assert other.code == ExitCode.USAGE
    assert f"process {process.pid} is writing a run there: name another directory, or stop" in other.err
    assert end(process).code == ExitCode.INTERRUPTED
    assert json.loads((tmp_path / "out" / "run" / "summary.json").read_text())["ticks"] > 2
