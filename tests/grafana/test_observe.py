"""`make observe-e2e` queries every panel; its logic on a fake Grafana."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridfleet.dashboards.grafana.observe import main
from tests.grafana.fake import TOKEN, FakeGrafana
from tests.grafana.pages import pages, panels

COUNT = sum(bool(panel.get("targets")) for page in pages().values() for panel in panels(page))


def frame(*columns: tuple[str, str, list[Any]]) -> dict[str, Any]:
    fields = [{"name": name, "type": kind} for name, kind, _ in columns]
    return {"schema": {"fields": fields}, "data": {"values": [values for _, _, values in columns]}}


def answers(query: dict[str, Any]) -> dict[str, Any]:
    """Answer a query of tags with a list of devices, any other query with a short series."""
    assert "${" not in query["query"]
    if "tagValues" in query["query"]:
        return {"status": 200, "frames": [frame(("_value", "string", ["one-1", "one-2"]))]}
    return {"status": 200, "frames": [frame(("Time", "time", [0, 1]), ("x", "number", [None, 3.5]))]}


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with FakeGrafana() as grafana:
        grafana.answer = answers
        yield grafana


def observe(fake: FakeGrafana, tmp_path: Path, *words: str) -> int:
    (tmp_path / "token").write_text(TOKEN)
    return main(["--url", fake.url, "--token-file", str(tmp_path / "token"), *(words or ("--run", "normal"))])


def test_it_succeeds_if_all_panels_have_values(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert observe(fake, tmp_path) == 0
    output = capsys.readouterr().out
    assert f"{COUNT} of {COUNT} panels answered" in output
    assert "FAIL" not in output


def test_an_empty_panel_fails(fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def without_prices(query: dict[str, Any]) -> dict[str, Any]:
        if "difference_wh" in query["query"]:
            return {"status": 200, "frames": [frame(("Time", "time", [0]), ("x", "number", [None]))]}
        return answers(query)

    fake.answer = without_prices
    assert observe(fake, tmp_path) == 1
    output = capsys.readouterr().out
    assert "FAIL gridfleet-overview: Power difference: EMPTY" in output
    assert f"{COUNT - 1} of {COUNT} panels answered" in output


def test_a_panel_with_a_wrong_query_fails(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(query: dict[str, Any]) -> dict[str, Any]:
        if '"merit"' in query["query"]:
            return {"status": 400, "error": "undefined identifier bnad"}
        return answers(query)

    fake.answer = broken
    assert observe(fake, tmp_path) == 1
    assert "FAIL gridfleet-market: Merit order: A: undefined identifier bnad" in capsys.readouterr().out


def test_a_panel_on_devices_passes_if_any_kind_has_values(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def only_one_kind(query: dict[str, Any]) -> dict[str, Any]:
        if "tagValues" in query["query"]:
            name = "vehicle-1" if '"vehicle"' in query["query"] else "other-1"
            return {"status": 200, "frames": [frame(("_value", "string", [name]))]}
        if "speed_km_h" in query["query"] and "other-1" in query["query"]:
            return {"status": 200, "frames": []}
        return answers(query)

    fake.answer = only_one_kind
    assert observe(fake, tmp_path) == 0


def test_panels_of_a_role_or_of_figures_that_the_run_does_not_have_may_be_empty(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_storages(query: dict[str, Any]) -> dict[str, Any]:
        text = query["query"]
        alone = '"storage"' in text and '"charger"' not in text
        return {"status": 200, "frames": []} if alone or '"figure"' in text else answers(query)

    fake.answer = without_storages
    assert observe(fake, tmp_path) == 0
    output = capsys.readouterr().out
    for panel in ("market: Stored energy per storage", "device: Figures of its own"):
        assert f"ok   gridfleet-{panel}: not in this run" in output
    assert output.count("not in this run") == 4


def test_without_a_name_it_uses_the_newest_run(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queried = []

    def one_run(query: dict[str, Any]) -> dict[str, Any]:
        queried.append(query["query"])
        if '"live_status"' in query["query"]:
            return {"status": 200, "frames": [frame(("run", "string", ["normal-1"]))]}
        return answers(query)

    fake.answer = one_run
    assert observe(fake, tmp_path, "--site", "germany") == 0
    assert sum('r.run == "normal-1"' in query for query in queried) > COUNT / 2
    fake.answer = lambda _: {"status": 200, "frames": []}
    assert observe(fake, tmp_path, "--site", "germany") == 2
    assert "no recorder of site 'germany' has reported a run" in capsys.readouterr().err


def test_a_missing_run_token_or_grafana_is_reported(
    fake: FakeGrafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.answer = lambda _: {"status": 200, "frames": []}
    assert observe(fake, tmp_path) == 2
    assert "no device of run 'normal'" in capsys.readouterr().err
    assert main(["--token-file", str(tmp_path / "none"), "--run", "x"]) == 2
    assert "none" in capsys.readouterr().err
    assert main(["--url", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token"), "--run", "x"]) == 2
    assert "no answer" in capsys.readouterr().err
