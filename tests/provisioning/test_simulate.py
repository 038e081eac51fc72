import csv
import json
import re
from pathlib import Path

import pytest

from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.reports.columns import TABLES
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import Invariant
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.runs.key_figures import verdict_lines
from tests.provisioning.shell import ESCAPE, gridfleet

HEADERS = {table.file: table.header for table in TABLES}


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def simulate(out: Path, *words: str) -> int:
    return main(["simulate", "normal", "--ticks", "8", "--out", str(out), *words])


def test_a_run_writes_its_files_and_prints_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, "--png") == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith("normal, seed 49: 8 ticks, ")
    assert output.out.splitlines()[-1] == f"Report    {tmp_path}/report.html"
    for group in ("Energy ", "Prices ", "Charging ", "Traffic ", "Checks "):
        assert f"\n{group}" in output.out
    for name, header in HEADERS.items():
        assert (tmp_path / name).read_text().partition("\n")[0] == header
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["scenario"], summary["seed"], summary["ticks"]) == ("normal", 49, 8)
    assert summary["verdict"] == "holds"
    with (tmp_path / "ticks.csv").open() as file:
        assert [row["tick"] for row in csv.DictReader(file)] == list("01234567")
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "plots" / "sell-price.png").is_file()


def test_the_same_seed_gives_the_same_bytes_with_any_hash_seed(tmp_path: Path) -> None:
    words = ("simulate", "normal", "--ticks", "12", "--out", "run", "--png", "--trace", "run/trace.jsonl")
    for name, hash_seed in (("one", "1"), ("other", "2")):
        (tmp_path / name).mkdir()
        done = gridfleet(*words, cwd=tmp_path / name, env={"PYTHONHASHSEED": hash_seed})
        assert (done.code, done.err) == (ExitCode.SUCCESS, "")
    one, other = files_of(tmp_path / "one"), files_of(tmp_path / "other")
    assert {"run/report.html", "run/trace.jsonl", f"run/{STORE}", "run/plots/map.png"} < one.keys()
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        assert simulate(tmp_path / seed, "--no-report", "--seed", seed) == ExitCode.SUCCESS
    assert (tmp_path / "1" / "ledger.csv").read_bytes() != (tmp_path / "2" / "ledger.csv").read_bytes()


def test_a_second_run_replaces_the_first_only_with_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path) == ExitCode.SUCCESS
    first = files_of(tmp_path)
    assert simulate(tmp_path, "--no-report", "--seed", "2") == ExitCode.USAGE
    assert capsys.readouterr().err == (
        f"gridfleet: --out {tmp_path}: holds results already (run.sqlite, summary.json, ticks.csv, …): "
        "name another directory, or add --force to replace them\n"
    )
    assert files_of(tmp_path) == first
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / f"{STORE}-wal").touch()  # as a killed run leaves it
    assert simulate(tmp_path, "--no-report", "--seed", "2", "--force") == ExitCode.SUCCESS
    names = {path.name for path in tmp_path.iterdir()}
    assert {"notes.txt", STORE, "ticks.csv", "summary.json"} < names
    assert not {"report.html", f"{STORE}-wal"} & names
    assert not (tmp_path / "plots").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["seed"] == 2


def test_plots_are_png_files_only_where_asked(tmp_path: Path) -> None:
    assert simulate(tmp_path) == ExitCode.SUCCESS
    page = (tmp_path / "report.html").read_text()
    assert not (tmp_path / "plots").exists()
    assert 'href="plots/"' not in page
    assert main(["report", str(tmp_path), "--png"]) == ExitCode.SUCCESS
    assert (tmp_path / "plots" / "map.png").read_bytes().startswith(b"\x89PNG")
    again = (tmp_path / "report.html").read_text()
    assert again.replace('; each plot as PNG in <a href="plots/">plots/</a>', "") == page


def test_a_report_written_again_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path, "--png") == ExitCode.SUCCESS
    first, output = files_of(tmp_path), capsys.readouterr().out
    for name in (*HEADERS, "summary.json", "report.html", "plots/map.png"):
        (tmp_path / name).unlink()
    assert main(["report", str(tmp_path), "--png"]) == ExitCode.SUCCESS
    assert without_times(capsys.readouterr().out) == without_times(output)
    assert files_of(tmp_path) == first


def without_times(output: str) -> list[str]:
    return [line for line in output.splitlines() if not line.startswith("Time ")]


def test_simulation_and_report_are_timed_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = r"\d+\.\d s"
    assert simulate(tmp_path / "one") == ExitCode.SUCCESS
    line = rf"Time      simulation {number}, report {number} \(--no-report leaves it out\)"
    assert re.fullmatch(line, capsys.readouterr().out.splitlines()[-2])
    assert simulate(tmp_path / "other", "--no-report") == ExitCode.SUCCESS
    assert re.fullmatch(rf"Time      simulation {number}", capsys.readouterr().out.splitlines()[-2])
    assert main(["report", str(tmp_path / "other")]) == ExitCode.SUCCESS
    assert re.fullmatch(rf"Time      report {number}", capsys.readouterr().out.splitlines()[-2])


def test_changes_by_set_add_up_over_several_uses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--set", "vehicles.count=3", "chargers.count=2")
    each = ("--set", "vehicles.count=3", "--set", "chargers.count=2")
    for name, words in (("both", both), ("each", each)):
        assert simulate(tmp_path / name, "--no-report", *words) == ExitCode.SUCCESS
    assert (tmp_path / "both" / "agents.csv").read_bytes() == (tmp_path / "each" / "agents.csv").read_bytes()
    text = (tmp_path / "both" / "agents.csv").read_text()
    assert "vehicle-3" in text
    assert "vehicle-4" not in text
    assert "charger-3" not in text


def test_options_win_over_set(tmp_path: Path) -> None:
    assert simulate(tmp_path, "--no-report", "--set", "ticks=3", "seed=7") == ExitCode.SUCCESS
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["ticks"], summary["seed"]) == (8, 7)


def test_faults_change_a_run_and_are_repeatable(tmp_path: Path) -> None:
    faults = ("--no-report", "--faults", "loss=0.2", "crash=0.05", "--faults", "delay_s=20")
    assert simulate(tmp_path / "none", "--no-report") == ExitCode.SUCCESS
    for name in ("one", "other"):
        assert simulate(tmp_path / name, *faults) == ExitCode.SUCCESS
    assert files_of(tmp_path / "one") == files_of(tmp_path / "other")
    assert (tmp_path / "one" / "ledger.csv").read_bytes() != (tmp_path / "none" / "ledger.csv").read_bytes()


def test_an_own_file_and_its_default_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("ticks = 2\n[vehicles]\ncount = 4\n")
    assert main(["simulate", "mine.toml", "--no-report"]) == ExitCode.SUCCESS
    name = (tmp_path / "out" / "latest").readlink()
    assert re.fullmatch(r"mine-\d{4}-\d\d-\d\dT\d{6}", str(name))
    assert capsys.readouterr().out.splitlines()[-1] == f"Files     out/{name}/"
    assert (tmp_path / "out" / "latest" / "summary.json").is_file()


def test_a_trace_has_one_json_document_per_line(tmp_path: Path) -> None:
    trace = tmp_path / "deep" / "trace.jsonl"
    assert simulate(tmp_path / "run", "--no-report", "--trace", str(trace)) == ExitCode.SUCCESS
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert any(line["topic"].startswith("gridfleet/germany/bid/") for line in lines)


def test_a_breached_invariant_is_named_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Invariant("energy", "in = out", 8, 0), Invariant("ports", "never more than ports", 2_400, 3)]
    monkeypatch.setattr(Store, "invariants", lambda _store: found)
    assert simulate(tmp_path) == ExitCode.BREACHED
    output = capsys.readouterr()
    assert "Checks    1 holds in 8 checks: energy\n" in output.out
    assert "          BREACHED ports, in 3 of 2 400 checks: never more than ports\n" in output.out
    assert output.err.startswith("gridfleet: an invariant was breached")
    assert json.loads((tmp_path / "summary.json").read_text())["verdict"] == "broken"


def test_a_run_without_an_auditor_is_reported_as_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Store, "invariants", lambda _store: [])
    assert simulate(tmp_path, "--no-report") == ExitCode.SUCCESS
    assert "Checks    no auditor checked this run\n" in capsys.readouterr().out


def test_a_run_that_has_not_ended_is_not_checked_yet() -> None:
    assert verdict_lines([], {}, finished=False) == ["Checks    not yet: the run has not ended"]


@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}], ids=["plain", "forced"])
def test_only_the_key_figures_are_printed_without_a_terminal(env: dict[str, str], tmp_path: Path) -> None:
    done = gridfleet("simulate", "normal", "--ticks", "4", "--no-report", cwd=tmp_path, env=env)
    assert (done.code, done.err) == (ExitCode.SUCCESS, "")
    assert ESCAPE not in done.out
    assert re.fullmatch(r"Files     out/normal-\S+/", done.out.splitlines()[-1])
