"""The generated parts of the documents are current, and say something about every key."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

from gridfleet.broker.protocol.topics import TOPIC_TABLE
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.provisioning.documents import keys, units, value_ranges
from gridfleet.provisioning.documents.__main__ import main
from gridfleet.provisioning.documents.pages import BLOCKS, WITH_BLOCKS, filled, pages

ROOT = Path(__file__).parents[2]
REMEDY = "write it again: make reference"


@pytest.mark.parametrize(
    ("page", "text"), [*pages(ROOT)], ids=lambda each: each.name if isinstance(each, Path) else ""
)
def test_the_page_is_current(page: Path, text: str) -> None:
    assert page.read_text(encoding="utf-8") == text, REMEDY


def test_every_block_is_on_one_page_and_is_filled() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in WITH_BLOCKS]
    marked = [name for text in texts for name in re.findall(r"<!-- generated: ([\w ]+) -->", text)]
    assert sorted(marked) == sorted(BLOCKS)
    assert filled("<!-- generated: topics -->\nold\n<!-- end of topics -->").count("gridfleet/{site}") == len(
        TOPIC_TABLE
    )


def test_an_unknown_block_is_an_error() -> None:
    with pytest.raises(KeyError, match="tpics"):
        filled("<!-- generated: tpics -->\n<!-- end of tpics -->")


def test_pages_are_written_only_in_a_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 2
    assert "call it in GridFleet's checkout" in capsys.readouterr().err
    for page, _ in pages(ROOT):
        copy = tmp_path / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, copy)
    assert main(tmp_path) == 0
    assert capsys.readouterr().out == ""
    stale = tmp_path / "docs" / "asyncapi.yaml"
    stale.write_text("old", encoding="utf-8")
    assert main(tmp_path) == 0
    assert capsys.readouterr().out == "docs/asyncapi.yaml\n"
    assert stale.read_bytes() == (ROOT / "docs" / "asyncapi.yaml").read_bytes()


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables' rows, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_key_has_a_meaning_and_a_value_range() -> None:
    made = (keys.scenario_keys, keys.battery_keys, keys.device_keys, keys.kind_keys, keys.fault_keys)
    found = [row for make in made for row in rows(make())]
    assert len(found) > 150
    for name, _, allowed, _, meaning in found:
        assert allowed, name
        assert len(meaning) > 10, name


def test_every_shipped_kind_is_documented() -> None:
    shipped = {
        name
        for name in AGENT_TYPES.names()
        if AGENT_TYPES.get(name).settings.__module__.startswith("gridfleet.")
    }
    assert shipped <= {*keys.KINDS}


@pytest.mark.parametrize("module", [units, value_ranges], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
