"""`gridfleet replay`: a trace gives the files of its run again, and a damaged one is refused with file and line."""

import gzip
import json
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main

SMALL = ("--ticks", "8", "--set", "vehicles.count=6", "chargers.count=4")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    words = [
        "simulate",
        "normal",
        *SMALL,
        "--no-report",
        "--out",
        str(tmp_path / "run"),
        "--trace",
        str(path),
    ]
    assert main(words) == ExitCode.SUCCESS
    return path


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("simulate", "storm"), "t.jsonl"),
        (("simulate", "normal", "--faults", "loss=0.1", "crash=0.05", "skew_s=2"), "t.jsonl.gz"),
        (("run", "normal"), "t.jsonl"),
        (("run", "normal", "--seconds-per-tick", "0.2"), "t.jsonl"),
    ],
    ids=["simulation", "faults", "lock-step", "scaled"],
)
def test_a_replay_gives_the_files_of_the_run_to_the_byte(
    words: tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main([*words, *SMALL, "--png", "--out", "run", "--trace", name])
    assert main(["replay", name, "--png", "--out", "again"]) == code
    again = files(Path("again"))
    assert {"ledger.csv", "summary.json", "report.html", "plots/map.png"} <= again.keys()
    run = files(Path("run"))
    assert again == {name: content for name, content in run.items() if name != "manifest.json"}


def test_the_newest_replay_has_a_link(trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["replay", str(trace), "--no-report"]) == ExitCode.SUCCESS
    assert str(Path("out/latest-replay").readlink()).startswith("replay-normal-2")
    assert not Path("out/latest").exists()
    assert main(["replay", str(trace), "--no-report", "--out", "run"]) == ExitCode.USAGE


def test_a_changed_message_breaches_an_invariant(trace: Path, tmp_path: Path) -> None:
    lines = trace.read_text(encoding="utf-8").splitlines(keepends=True)
    number = next(each for each, line in enumerate(lines) if "/receipt/" in line and "energy_wh" in line)
    line = json.loads(lines[number])
    lot = next(each for each in line["payload"]["lots"] if each["energy_wh"] > 1)
    lot["energy_wh"] -= 1
    lines[number] = json.dumps(line) + "\n"
    trace.write_text("".join(lines), encoding="utf-8")
    assert main(["replay", str(trace), "--no-report", "--out", str(tmp_path / "x")]) == ExitCode.BREACHED


def damaged(content: bytes, how: str) -> bytes:
    lines = content.splitlines(keepends=True)
    return {
        "cut within a line": content[:-20],
        "cut between lines": b"".join(lines[:-5]),
        "a line is missing": b"".join(lines[:50] + lines[51:]),
        "beginning is missing": b"".join(lines[1:]),
        "schema": content.replace(b'"schema":"2"', b'"schema":"1"', 1),
        "facts": content.replace(b'"seed":', b'"sead":', 1),
        "empty": b"",
        "foreign": b'{"name": "gridfleet-page"}\n',
    }[how]


@pytest.mark.parametrize(
    ("how", "line", "problem"),
    [
        ("cut within a line", -1, "is not JSON: the line is cut off; copy the whole file again"),
        ("cut between lines", -5, "ends here, but the run went on: lines are missing; copy the whole file"),
        ("a line is missing", -1, "messages, not "),
        ("beginning is missing", 1, "does not begin with the facts of a run"),
        (
            "schema",
            1,
            "schema version '1': this GridFleet reads '2'; replay it with the version that wrote it, ",
        ),
        ("facts", 1, "the facts of the run are damaged at facts"),
        ("empty", 1, "is empty; name a file that `gridfleet run --trace`"),
        ("foreign", 1, "exactly the keys time, topic and payload; name a file that"),
    ],
)
def test_a_damaged_trace_is_refused_with_its_line(
    how: str, line: int, problem: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = len(trace.read_bytes().splitlines())
    number = {-1: total, -5: total - 5}.get(line, line) - (how == "a line is missing")
    trace.write_bytes(damaged(trace.read_bytes(), how))
    capsys.readouterr()
    assert main(["replay", str(trace), "--out", str(tmp_path / "x")]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert err.startswith(f"gridfleet: {trace}, line {number}: ")
    assert problem in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_cut_compressed_trace_and_a_folder_are_refused(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "t.jsonl.gz"
    packed.write_bytes(gzip.compress(trace.read_bytes())[:-200])
    assert main(["replay", str(packed), "--out", str(tmp_path / "x")]) == ExitCode.USAGE
    assert "copy the whole file again" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["replay", str(tmp_path / "empty")]) == ExitCode.USAGE
    assert "contains no run" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "nowhere")]) == ExitCode.USAGE
    assert "cannot be read: no such file or directory; name a file" in capsys.readouterr().err
