"""What ran is readable whatever ends a run; `report` makes the rest later; nothing is overwritten in silence."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gridfleet.broker.errors import StoreError
from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.runs.results import FolderError
from gridfleet.provisioning.runs.run_folder import claim_run_folder, is_locked
from tests.provisioning.shell import PROGRAM, alive_in_group, end, gridfleet, recorded_ticks, start
from tests.waiting import wait_until

SMALL = ("--set", "vehicles.count=3", "chargers.count=3")
LONG = ("simulate", "normal", "--ticks", "100000", *SMALL, "--no-report")
MOMENTS = 3


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    end(process)


# --- the lock of a folder ---


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    first = start(*LONG, "--out", "run", cwd=tmp_path)
    try:
        wait_until(lambda: recorded_ticks(tmp_path / "run") > 0)
        for force in ((), ("--force",)):
            second = gridfleet(
                "simulate", "scarce", "--ticks", "2", *SMALL, "--out", "run", *force, cwd=tmp_path
            )
            assert second.code == ExitCode.USAGE
            assert second.err == (
                "gridfleet: --out run: another run is writing there: name another directory, or wait until that run"
                " has ended\n"
            )
        first.terminate()
        assert end(first).code == ExitCode.INTERRUPTED
    finally:
        killed(first)
    assert "normal, seed 49" in gridfleet("report", "run", cwd=tmp_path).out


def test_a_lock_ends_with_its_run(tmp_path: Path) -> None:
    with claim_run_folder(str(tmp_path / "run"), "normal") as folder:
        assert is_locked(folder.path)
        with pytest.raises(FolderError, match="another run is writing there"):
            claim_run_folder(str(tmp_path / "run"), "normal")
    assert not (tmp_path / "run").exists()
    with claim_run_folder(str(tmp_path / "run"), "normal"):
        pass


def test_a_killed_run_is_readable_and_its_folder_free(tmp_path: Path) -> None:
    process = start(*LONG, "--out", "run", cwd=tmp_path)
    wait_until(lambda: recorded_ticks(tmp_path / "run") > 3)
    killed(process)
    assert not is_locked(tmp_path / "run")
    done = gridfleet("report", "run", cwd=tmp_path)
    assert (done.code, done.err) == (ExitCode.SUCCESS, "")
    assert "not yet: the run has not ended" in done.out
    assert (tmp_path / "run" / "report.html").is_file()


# --- full disks ---


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("first")
    with pytest.raises(OSError, match="No space left") as caught, replacing(path) as file:
        raise OSError(file.write("second") + 22, "No space left on device")  # 6 + 22 is ENOSPC
    assert (caught.value.filename, path.read_text()) == (str(path), "first")
    assert "free" in str(caught.value.strerror)
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        raise KeyboardInterrupt
    with pytest.raises(StoreError, match=r"b\.sqlite: is damaged"), replacing(path) as file:
        raise StoreError("b.sqlite", "is damaged", "restore it")
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    with replacing(path) as file:
        file.write("second")
    assert path.read_text() == "second"


def limited(*words: str, kilobytes: int, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command that can write no file beyond a size, which fails as a full disk does."""
    size = kilobytes << 10
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )


def test_a_store_that_cannot_grow_ends_the_run_and_keeps_what_ran(tmp_path: Path) -> None:
    done = limited(*LONG, "--out", "run", kilobytes=400, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "gridfleet: run: the run ended in tick " in done.stderr
    assert "what ran before is kept" in done.stderr
    assert "make room; what was stored before is kept, and `gridfleet report run` reads it" in done.stderr
    again = gridfleet("report", "run", cwd=tmp_path)
    assert (again.code, again.err) == (ExitCode.SUCCESS, "")


def test_files_that_do_not_fit_are_named_and_made_later(tmp_path: Path) -> None:
    words = ("simulate", "normal", "--ticks", "8", "--out", "run")
    done = limited(*words, kilobytes=256, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == (
        "gridfleet: run/report.html: cannot be written (file too large): make room, then write the report again with"
        " `gridfleet report run`\n"
    )
    again = gridfleet("report", "run", cwd=tmp_path)
    assert (again.code, again.err) == (ExitCode.SUCCESS, "")
    assert "Checks    all " in again.out
    whole = gridfleet("simulate", "normal", "--ticks", "8", "--out", "whole", cwd=tmp_path)
    assert whole.code == ExitCode.SUCCESS
    for name in ("ledger.csv", "agents.csv", "summary.json", "report.html"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_trace_that_does_not_fit_takes_nothing_else_with_it(tmp_path: Path) -> None:
    words = ("simulate", "normal", "--ticks", "8", "--no-report", "--out", "run", "--trace", "trace.jsonl")
    done = limited(*words, kilobytes=256, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "gridfleet: trace.jsonl: the trace ends early (file too large)" in done.stderr
    assert (tmp_path / "run" / "summary.json").is_file()
    assert gridfleet("report", "run", cwd=tmp_path).code == ExitCode.SUCCESS


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_start_ends_with_130(number: signal.Signals, tmp_path: Path) -> None:
    """At the first instruction of ours: the module that handles signals has just been imported."""
    process = start(*LONG, "--out", "run", cwd=tmp_path, env={"PYTHONVERBOSE": "1"})
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("import 'gridfleet.provisioning.cli.main'") or "provisioning/cli/main." in line:
            break
    process.send_signal(number)
    code = process.wait(300)
    process.communicate()
    assert code == ExitCode.INTERRUPTED


def handles(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler of its own for a signal: before, the interpreter has just begun."""
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_signal_at_any_moment_leaves_readable_results(moment: int, tmp_path: Path) -> None:
    rng = random.Random(43 + moment)
    words = ("simulate", "normal", "--ticks", "40", *SMALL, "--out", "run")
    process = start(*words, cwd=tmp_path)
    wait_until(lambda: handles(process.pid, signal.SIGTERM))
    time.sleep(rng.random() * 1.5)  # the moment is what is tried
    os.killpg(process.pid, rng.choice((signal.SIGINT, signal.SIGTERM)))
    done = end(process)
    assert done.code in {ExitCode.INTERRUPTED, ExitCode.SUCCESS}
    assert "Traceback" not in done.err
    assert alive_in_group(process.pid) == []
    if (tmp_path / "run" / STORE).is_file():
        assert gridfleet("report", "run", cwd=tmp_path).code == ExitCode.SUCCESS


def test_a_signal_for_a_group_ends_a_comparison_with_130(tmp_path: Path) -> None:
    words = ("compare", "normal", "--ticks", "100000", *SMALL, "--seeds", "2", "--jobs", "2")
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = start(*words, cwd=tmp_path)
        wait_until(lambda process=process: len(alive_in_group(process.pid)) >= 3)  # type: ignore[misc]
        os.killpg(process.pid, number)
        done = end(process)
        assert (done.code, done.err) == (ExitCode.INTERRUPTED, "Interrupted: no run had finished.\n")
        wait_until(lambda process=process: not alive_in_group(process.pid))  # type: ignore[misc]


def test_workers_end_with_a_comparison_that_is_killed(tmp_path: Path) -> None:
    process = start(
        "compare", "normal", "--ticks", "100000", *SMALL, "--seeds", "2", "--jobs", "2", cwd=tmp_path
    )
    wait_until(lambda: len(alive_in_group(process.pid)) >= 4)
    process.kill()
    end(process)
    wait_until(lambda: not alive_in_group(process.pid))


def test_a_worker_that_is_killed_is_named(tmp_path: Path) -> None:
    process = start(
        "compare", "normal", "--ticks", "100000", *SMALL, "--seeds", "2", "--jobs", "2", cwd=tmp_path
    )

    def workers() -> list[int]:
        return [
            pid
            for pid in alive_in_group(process.pid)
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    wait_until(lambda: len(workers()) == 2)
    os.kill(workers()[0], signal.SIGKILL)
    done = end(process)
    assert done.code == ExitCode.USAGE
    assert done.err == (
        "gridfleet: compare: a process of a run was killed, perhaps for want of memory: try again with fewer --jobs\n"
    )


# --- streams ---


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full"])
def test_a_closed_or_full_stream_loses_no_result(redirection: str, tmp_path: Path) -> None:
    shell = shutil.which("sh") or pytest.fail("no shell")
    command = f'exec "$@" {redirection}'
    words = ("simulate", "normal", "--ticks", "2", *SMALL, "--out", "run")
    done = subprocess.run(
        [shell, "-c", command, "sh", *PROGRAM, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    full = redirection == "> /dev/full"
    assert done.returncode == (ExitCode.FAILED if full else ExitCode.SUCCESS)
    assert done.stderr == (
        "gridfleet: standard output cannot be written (no space left on device)\n" if full else ""
    )
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("words", [("scenario", "show", "normal"), ("scenario", "list")])
def test_a_full_output_is_one_line_and_a_code(words: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ExitCode.FAILED
    assert done.stderr == "gridfleet: standard output cannot be written (no space left on device)\n"


def test_an_error_that_cannot_be_printed_has_its_code(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "scenario", "check", "nowhere"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, b"")
