"""The history for the live page: a page that joins, reloads or looks back knows what one from the start knows."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gridfleet.broker.protocol.messages import Tick
from gridfleet.dashboards.console.history.from_store import history_of_store
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.history.publications import READ_TYPES, publication
from gridfleet.dashboards.recording.recorder import Recorder
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import CellArea, RunFacts
from tests.console.conftest import SOURCES
from tests.dashboards.runs import message_log

SMALL = (
    "area.rows=2",
    "area.columns=2",
    "chargers.count=12",
    "vehicles.count=12",
    "turbines.count=6",
    "battery.count=2",
)
FAULTS = ("loss=0.02", "duplicate=0.02", "crash=0.01")


def test_a_store_gives_the_totals_of_the_messages() -> None:
    """What a run without a page can show later: to the Wh what was traded, and generated but for rounding."""
    log = message_log("storm", SMALL, (), ticks=30)
    with Store.create() as store, PageHistory("germany") as history:
        store.put_facts(RunFacts("storm", "A storm", 1, "", log[0][0], cells=(CellArea("germany"),)))
        recorder = Recorder(store)
        for message in log:
            recorder.receive(*message)
            history.receive(*message)
        recorder.finish()
        with history_of_store(store) as stored:
            ours, theirs = (frames(each) for each in (stored, history))
    assert len(ours) == 27  # the last ticks are still there as messages
    for tick, found in ours.items():
        expected = theirs[tick]
        for name in (
            "soldWh",
            "soldNeur",
            "bought",
            "charged",
            "gridSupply",
            "storageSold",
            "storedVehicles",
        ):
            assert found.get(name, 0) == expected.get(name, 0), (tick, name)
        assert found["reports"] == expected["reports"]
        assert abs(found["generated"] - expected["generated"]) <= 6


def frames(history: PageHistory) -> dict[int, dict[str, Any]]:
    """The totals of each older tick, as the page gets them."""
    found = json.loads(history.follow(lambda _line: None))
    return {each["tick"]: each["totals"] for each in found["frames"] if each["totals"]}


@pytest.mark.node
@pytest.mark.parametrize(("name", "faults"), [("storm", ()), ("normal", FAULTS)], ids=["storm", "faults"])
def test_a_page_that_joins_late_knows_all(
    name: str, faults: tuple[str, ...], node_modules: Path, tmp_path: Path
) -> None:
    log = message_log(name, SMALL, faults, ticks=30)
    with PageHistory("germany") as history:
        joins = []
        lines: list[str] = []
        ends: dict[int, int] = {}
        for at, (_, scope, sender, message) in enumerate(log):
            if message.TYPE not in READ_TYPES:
                continue
            if isinstance(message, Tick) and message.tick > history.last:
                ends[history.last] = len(lines)
            each = publication("germany", at * 5, scope, sender, message)
            history.take(each)
            lines.append(each.line)
            if len(lines) in {200, 3_000} or at == len(log) - 1:
                joins.append({"lines": len(lines), "history": json.loads(history.follow(lambda _line: None))})
        for tick in (0, 1, 4, 15, 25):
            shown, text = history.at(tick)
            assert shown == tick
            joins.append({"lines": ends[tick], "history": json.loads(text)})
    recorded = tmp_path / "history.json"
    recorded.write_text(
        json.dumps({"site": "germany", "lines": [json.loads(each) for each in lines], "joins": joins})
    )
    done = subprocess.run(
        [node_modules / ".bin" / "vitest", "run", "--config", "tests/history/vitest.config.ts"],
        cwd=SOURCES,
        env={**os.environ, "HISTORY": str(recorded)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
