"""A site of real processes with a real Mosquitto recovers cleanly from each fault of the shipped plan `short`.

The command runs the plan once; each fault has its own test of the outcome.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gridfleet.provisioning.chaos.plan import load_plan
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import Ended, gridfleet

# One process runs all tests, so that the plan runs only once.
pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(1200)]
PLAN = load_plan("short")
NAMES = ["skew" for _ in PLAN.skews] + [fault.kind for fault in PLAN.faults]
CHECKS = [
    "all devices are back",
    "ledgers agree",
    "no money is lost",
    "no package is sold twice",
    "no port is booked twice",
    "retained tick is current",
    "no stale bid is acted on",
    "all other invariants hold",
]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, list[dict[str, Any]], Path]:
    folder = tmp_path_factory.mktemp("chaos")
    ended = gridfleet("site", "chaos", "normal", "--plan", "short", "--json", "--out", "out", cwd=folder)
    return ended, json.loads(ended.out or "[]"), folder / "out"


def test_the_site_recovers_cleanly_from_the_whole_plan(
    result: tuple[Ended, list[dict[str, Any]], Path],
) -> None:
    ended, outcomes, _ = result
    assert ended.code == ExitCode.SUCCESS, ended.err
    assert f"recovered cleanly from {len(NAMES)} of {len(NAMES)} faults" in ended.err
    assert [outcome["kind"] for outcome in outcomes] == NAMES


@pytest.mark.parametrize(("number", "kind"), list(enumerate(NAMES)), ids=str)
def test_the_site_recovers_cleanly_from_each_fault(
    result: tuple[Ended, list[dict[str, Any]], Path], number: int, kind: str
) -> None:
    outcome = result[1][number]
    assert outcome["kind"] == kind
    assert [check["name"] for check in outcome["checks"]] == CHECKS
    assert [check for check in outcome["checks"] if not check["holds"]] == []


def test_every_process_ends_in_an_orderly_way(result: tuple[Ended, list[dict[str, Any]], Path]) -> None:
    logs = {path.stem: path.read_text() for path in result[2].glob("*.log")}
    assert sorted(logs) == ["clock", *(f"fleet-{number + 1}" for number in range(PLAN.processes))]
    assert all(
        text.rstrip().splitlines()[-1].endswith(("all devices are offline", "start it again to continue"))
        for text in logs.values()
    )
