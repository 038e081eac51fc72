"""CONTRIBUTING, SECURITY and CITATION are true: the files, targets and keys that they name exist."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("CONTRIBUTING.md", "SECURITY.md")
PRODUCED: Final = frozenset({"build/", "ca.key", "dist/"})
"""Names in backticks that look like files of the repository, but are made by a user."""
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`([\w.-]+(?:/[\w.-]*)+|[\w.-]+\.(?:py|md|toml|key))`", text(page)))
    assert [name for name in sorted(named - PRODUCED) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_readme_links_to_it(page: str) -> None:
    assert f"]({page})" in text("README.md")


def test_every_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text("CONTRIBUTING.md"), re.MULTILINE))
    assert {"test", "test-all", "check", "mutants"} <= named
    assert named - targets == set()


def test_every_name_in_code_that_is_named_exists() -> None:
    """Names in capitals, and modules that are to be run."""
    page = text("CONTRIBUTING.md")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in python_files())
    assert [
        name for name in re.findall(r"`([A-Z_]{4,})`", page) if not re.search(rf"\b{name}\b", sources)
    ] == []
    for module in re.findall(r"python -m (gridfleet[\w.]*)", page):
        path = ROOT / "src" / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def python_files() -> list[Path]:
    folders = ("broker", "devices", "dashboards", "provisioning", "tests")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)]


def test_the_citation_file_has_what_its_format_requires() -> None:
    """Citation File Format 1.2.0: the required keys, and an entity as author, which has a name."""
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all(isinstance(citation[key], str) and citation[key] for key in ("message", "title", "abstract"))
    assert citation["authors"] == [{"name": "GridFleet contributors"}]
    assert citation.keys() <= {
        "abstract",
        "authors",
        "cff-version",
        "date-released",
        "keywords",
        "license",
        "message",
        "title",
        "type",
        "version",
    }
    assert "CITATION.cff" in text("README.md")


def test_the_citation_file_has_the_version_and_licence_of_the_package() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
