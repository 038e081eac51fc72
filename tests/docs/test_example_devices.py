"""Device ids in examples, help texts and guides: no shipped scenario uses them, so both can be at one broker."""

import re
import tomllib
from pathlib import Path

import pytest

from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.commands.tree import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
ID = re.compile(r'^ *id = "([^"]+)"', re.MULTILINE)
FLASHED = re.compile(r"device (?:flash|revoke|enrol|doctor) ([a-z][\w-]*)")
"""A device that a command names; a folder or a file of another ending does not match as a whole."""


def device_files() -> dict[str, str]:
    """Return the ids of the device files in examples/, by path."""
    found = {}
    for path in sorted(ROOT.glob("examples/**/*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if "backend" in content:
            found[str(path.relative_to(ROOT))] = str(content["id"])
    return found


def ids_in_texts() -> dict[str, set[str]]:
    """Return the ids of devices in the guides and in the examples of help texts, by their place."""
    help_texts = {path: "\n".join(command.examples) for path, command in COMMANDS.items()}
    pages = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
    found = {
        place: {*ID.findall(text), *FLASHED.findall(text)} for place, text in {**help_texts, **pages}.items()
    }
    return {place: ids for place, ids in found.items() if ids}


@pytest.fixture(scope="module")
def used() -> set[str]:
    """The ids of all shipped scenarios."""
    return {each for name in Scenario.shipped() for each in Fleet(Scenario.load(name)).ids}


def test_device_files_have_ids_of_their_own(used: set[str]) -> None:
    found = device_files()
    assert {"examples/devices/charger.toml", "examples/devices/turbine.toml"} <= set(found)
    assert {path: name for path, name in found.items() if name in used} == {}
    assert len(set(found.values())) == len(found)


def test_guides_and_help_texts_name_no_device_of_a_scenario(used: set[str]) -> None:
    found = ids_in_texts()
    assert {"docs/how-to/devices/flash.md", "docs/tutorials/raspberry-pi.md", "device flash"} <= set(found)
    assert {place: ids & used for place, ids in found.items() if ids & used} == {}
