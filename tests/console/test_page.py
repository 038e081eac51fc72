"""The page that is shipped: built from the sources that are here, in the colours of the figures, complete."""

import filecmp
import json
import re
import subprocess
from pathlib import Path

import pytest

from broker.messages import PHASES, Algorithm, Kind
from broker.topics import BY_WORD
from dashboards.style import TONES
from tests.console.conftest import SOURCES

PAGE = SOURCES.parent / "dashboards" / "console" / "page"


def source(name: str) -> str:
    return (SOURCES / "src" / name).read_text(encoding="utf-8")


@pytest.mark.node
def test_the_page_is_what_the_sources_make(node_modules: Path, tmp_path: Path) -> None:
    for words in (
        ("tsc", "--noEmit"),
        ("vite", "build", "--outDir", str(tmp_path / "page"), "--emptyOutDir"),
    ):
        done = subprocess.run(
            [node_modules / ".bin" / words[0], *words[1:]],
            cwd=SOURCES,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    built = sorted(str(path.relative_to(tmp_path / "page")) for path in (tmp_path / "page").rglob("*.*"))
    shipped = sorted(str(path.relative_to(PAGE)) for path in PAGE.rglob("*.*"))
    assert built == shipped
    _, different, missing = filecmp.cmpfiles(PAGE, tmp_path / "page", built, shallow=False)
    assert (different, missing) == ([], []), "run `make page`, and commit what it makes"


def test_the_page_names_no_other_host() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'/]+", html)) <= {"http://www.w3.org"}
    assert "<style" not in html
    assert " style=" not in html
    assert re.findall(r"<script(?![^>]* src=)", html) == []


def test_colours_are_those_of_the_figures() -> None:
    found = dict(re.findall(r"^  (\w+): (\['#\w{6}', '#\w{6}'\]),$", source("palette.ts"), re.MULTILINE))
    assert len(found) == 12
    css = source("style.css")
    for name, pair in found.items():
        light, dark = re.findall(r"#\w{6}", pair)
        assert (light, dark) == TONES[name]
        assert f"--{name}: {light}" in css
        assert f"--{name}: {dark}" in css


def test_the_page_speaks_the_topics_and_words_of_the_broker_room() -> None:
    wire = source("wire.ts")
    words = re.search(r"WORDS:.*?= \{(.*?)\};", wire, re.DOTALL)
    assert words is not None
    for word, levels in re.findall(r"(\w+): (\d)", words[1]):
        assert len(BY_WORD[word].scope.levels) == int(levels)
    for name, expected in (
        ("PHASES", [*PHASES]),
        ("ALGORITHMS", [*Algorithm]),
        ("KINDS", [kind for kind in Kind if kind is not Kind.CLOCK]),
    ):
        listed = re.search(rf"{name} = \[(.*?)\]", wire)
        assert listed is not None
        assert sorted(re.findall(r"'(\w+)'", listed[1])) == sorted(expected)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"]
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
