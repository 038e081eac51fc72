"""Each project in examples/ passes its own tests, as a copy in an empty folder, beside the installed wheel.

A folder of examples/ with a `pyproject.toml` is a project. What it needs is in its `dependencies`, and what only its
tests need in the extra `test`; it gets an environment with that alone.
"""

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import ROOT
from tests.installation import Installation, install

EXAMPLES: Final = ROOT / "examples"
PROJECTS: Final = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
BUILD: Final = "setuptools"
"""The back end of every example; it must be installed, because a build without network cannot fetch it."""
WHERE: Final = """
import importlib.metadata, json, shutil, sys
import gridfleet
print(json.dumps({
    "package": gridfleet.__file__,
    "command": shutil.which("gridfleet"),
    "path": [each for each in sys.path if each],
    "installed": sorted(each.name for each in importlib.metadata.distributions()),
}))
"""


def project_table(folder: Path) -> dict[str, Any]:
    """The table `[project]` of a project."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module", params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, without what earlier runs have left in the checkout."""
    name: str = request.param
    ignore = shutil.ignore_patterns("__pycache__", ".*", "build", "out", "*.egg-info")
    return Path(shutil.copytree(EXAMPLES / name, tmp_path_factory.mktemp(name) / name, ignore=ignore))


@pytest.fixture(scope="module")
def environment(project: Path, own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the project, and with what it declares."""
    table = project_table(project)
    assert "test" in table.get("optional-dependencies", ()), "declare what the tests need in the extra `test`"
    declared = [*table["dependencies"], *table["optional-dependencies"]["test"]]
    made = install(tmp_path_factory.mktemp("environment"), own_wheel, *declared, BUILD)
    made.pip_install(f"{project}[test]")
    return made


def test_a_project_passes_its_own_tests(environment: Installation, project: Path) -> None:
    ended = environment.run(project, "python", "-m", "pytest", "-p", "no:cacheprovider")
    assert ended.code == 0, ended.out + ended.err
    summary = ended.out.splitlines()[-1]
    assert re.search(r"\b[1-9]\d* passed\b", summary), ended.out
    assert not re.search(r"skipped|xfailed|deselected|warning", summary), ended.out


def test_a_project_has_nothing_of_the_checkout(environment: Installation, project: Path) -> None:
    found = json.loads(environment.run(project, "python", "-c", WHERE).out)
    assert Path(found["package"]).is_relative_to(environment.folder)
    assert Path(found["command"]).is_relative_to(environment.folder)
    assert project_table(project)["name"] in found["installed"]
    assert not [each for each in found["path"] if Path(each).is_relative_to(ROOT)]
    assert not [path for path in project.rglob("*.py") if str(ROOT) in path.read_text(encoding="utf-8")]
