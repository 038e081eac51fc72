"""The shipped page matches its sources, and uses the colours of the figures."""

import filecmp
import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest

from gridfleet.dashboards.console import page_messages
from gridfleet.dashboards.plots.style import COLOURS
from gridfleet.devices.agents.trip import VehicleStatus
from tests.console.conftest import SOURCES

PAGE = SOURCES.parent / "dashboards" / "console" / "page"
VISION: Final = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
"""Linear RGB as it is seen, by kind of vision: Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009) 1291, table 1."""
TOGETHER: Final = (
    ("wind", "reactor", "consumer", "charger", "storage"),
    ("storage", "charger", "vehicle"),
    ("wind", "storage", "imported", "reactor"),
    ("price", "vehicle"),
)
"""Colours that are used in one chart; on the map, the roles also differ in shape."""
APART: Final = 10.0
"""Smallest distance of two lines in CIE L*a*b* (1976); 2.3 is just noticeable side by side."""


def source(name: str) -> str:
    return (SOURCES / "src" / name).read_text(encoding="utf-8")


@pytest.mark.node
def test_the_page_matches_its_sources(node_modules: Path, tmp_path: Path) -> None:
    for command in (
        ("tsc", "--noEmit"),
        ("vite", "build", "--outDir", str(tmp_path / "page"), "--emptyOutDir"),
    ):
        done = subprocess.run(
            [node_modules / ".bin" / command[0], *command[1:]],
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
    assert (different, missing) == ([], []), "run `make page`, and commit the result"


def test_the_page_names_no_other_host() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'/]+", html)) <= {"http://www.w3.org"}
    assert "<style" not in html
    assert " style=" not in html
    assert re.findall(r"<script(?![^>]* src=)", html) == []


def test_colours_are_those_of_the_figures() -> None:
    found = dict(re.findall(r"^  (\w+): (\['#\w{6}', '#\w{6}'\]),$", source("view/palette.ts"), re.MULTILINE))
    assert len(found) == 13
    css = source("style.css")
    for name, pair in found.items():
        light, dark = re.findall(r"#\w{6}", pair)
        assert (light, dark) == COLOURS[name]
        assert f"--{name}: {light}" in css
        assert f"--{name}: {dark}" in css


def test_the_message_types_are_generated_from_the_messages() -> None:
    assert source("model/messages.ts") == page_messages.source(), "run `make page`, and commit the result"


def test_the_page_knows_what_vehicles_do() -> None:
    found = re.search(r"^const STATUSES = \[(.+)\]", source("view/map/device.ts"), re.MULTILINE)
    assert found is not None
    assert set(re.findall(r"'(\w+)'", found[1])) <= set(VehicleStatus)


def test_the_page_has_a_text_for_each_reason_of_agents_to_ignore_a_message() -> None:
    agents = (SOURCES.parent / "devices" / "agents").rglob("*.py")
    code = "".join(path.read_text(encoding="utf-8") for path in agents)
    reasons = set(re.findall(r"\.refuse\(\s*\"([a-z ]+)\"", code))
    assert len(reasons) > 10
    texts = source("model/event-log.ts").partition("REASONS")[2]
    assert {
        reason for reason in reasons if not re.search(rf"^  '?{reason}'?: '", texts, re.MULTILINE)
    } == set()


@pytest.mark.node
def test_the_model_passes_its_unit_tests(node_modules: Path) -> None:
    vitest = node_modules / ".bin" / "vitest"
    done = subprocess.run([vitest, "run"], cwd=SOURCES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"]
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


@pytest.mark.parametrize("eye", VISION)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stay_apart_for_colour_blind_eyes(eye: str, theme: str) -> None:
    for colours in TOGETHER:
        for one, other in combinations(colours, 2):
            seen = [lab(VISION[eye], COLOURS[name][theme == "dark"]) for name in (one, other)]
            apart = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
            assert apart > APART, f"{one} and {other}: {apart:.1f}"


def lab(eye: tuple[tuple[float, ...], ...], colour: str) -> tuple[float, float, float]:
    """Return L*, a*, b* (D65) of a colour for a kind of vision; sRGB by IEC 61966-2-1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    red, green, blue = (
        min(max(sum(a * b for a, b in zip(row, linear, strict=True)), 0.0), 1.0) for row in eye
    )
    x, y, z = (
        cube((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505),
        cube(0.2126 * red + 0.7152 * green + 0.0722 * blue),
        cube((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089),
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def cube(share: float) -> float:
    """Return CIE's cube root, linear near black."""
    return share ** (1 / 3) if share > 0.008856 else 7.787 * share + 16 / 116
