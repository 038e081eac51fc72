"""The documents are true: every key, column and fault is named, every command of the README is one that exists."""

import re
import shlex
from pathlib import Path
from typing import TypeGuard, get_args

import pytest
from pydantic import BaseModel

from gridfleet.dashboards.reports.columns import TABLES
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.provisioning.chaos.faults import FAULT_KINDS, Skew
from gridfleet.provisioning.chaos.plan import Plan, shipped_plans
from gridfleet.provisioning.cli.main import main

ROOT = Path(__file__).parents[2]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def keys(model: type[BaseModel]) -> set[str]:
    """Return the keys of a table, of the tables in it, and of arrays of tables such as `[[events]]`."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if is_model(each)]
        found |= set().union(*map(keys, inner)) if inner else {name}
    return found


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_every_key_of_a_scenario_and_every_fault_is_documented() -> None:
    words = set(re.findall(r"\w+", text("docs/reference/scenario.md")))
    assert {"rotor_diameter_m", "hour", "outage_s"} <= keys(Scenario)
    assert (keys(Scenario) | set(Faults.model_fields)) - words == {"folder"}


def test_every_key_of_a_plan_and_every_kind_of_fault_is_documented() -> None:
    words = set(re.findall(r"`([\w-]+)`", text("docs/reference/chaos-plan.md")))
    tables = (Plan, Skew, *FAULT_KINDS.values())
    assert {key for table in tables for key in table.model_fields} <= words
    assert FAULT_KINDS.keys() <= words
    assert set(shipped_plans()) <= words


def test_every_column_is_documented() -> None:
    words = set(re.findall(r"\w+", text("docs/reference/output.md")))
    assert len(TABLES) == 6
    assert {column.name for table in TABLES for column in table.columns} <= words


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).lower()
        found.append(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return {
        anchor if not (number := found[:index].count(anchor)) else f"{anchor}-{number}"
        for index, anchor in enumerate(found)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), target


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = re.findall(r"\]\(([\w/.-]+\.md)", index.read_text(encoding="utf-8"))
    pages = {str(page.relative_to(index.parent)) for page in index.parent.rglob("*.md")}
    assert pages - {*linked, "README.md"} == set()


def commands() -> list[str]:
    return re.findall(
        r"^    gridfleet (simulate|compare|run)(.*?)(?:  .*)?$", text("README.md"), re.MULTILINE
    )


@pytest.mark.parametrize("line", commands(), ids=" ".join)
def test_commands_of_the_readme_are_understood(
    line: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(text("devices/config/scenarios/normal.toml"), encoding="utf-8")
    command, rest = line
    words = [command, *shlex.split(rest), "--ticks", "2"]
    if command != "compare":
        words.append("--no-report")
    assert main(words) == 0
