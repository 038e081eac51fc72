"""The targets of `make mutants` are files and tests that exist."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = tomllib.loads((ROOT / "tools/mutants/targets.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TARGETS)
def test_files_and_tests_of_a_target_exist(name: str) -> None:
    target = TARGETS[name]
    paths = [*target["files"], *(test.partition("::")[0] for test in target["tests"])]
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    for path, _, test in (each.partition("::") for each in target["tests"]):
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TARGETS)
def test_an_equivalent_change_is_one_of_a_line_in_the_files(name: str) -> None:
    text = "".join((ROOT / path).read_text(encoding="utf-8") for path in TARGETS[name]["files"])
    for each in TARGETS[name].get("equivalent", ()):
        assert each["change"].split(" => ")[0] in text
        assert each["reason"]
