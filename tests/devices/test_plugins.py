"""Entry points of other packages: found by name, and one line for each that cannot be used, while all else works."""

import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.config.device_file import DeviceFile, DeviceFileError
from gridfleet.devices.config.device_file import parse as device_of
from gridfleet.devices.config.scenario import Scenario, ScenarioError
from gridfleet.devices.config.scenario import parse as scenario_of
from gridfleet.devices.kinds.agent_type import RESERVED, AgentSettings, AgentType
from gridfleet.devices.kinds.consumer import CONSUMER
from gridfleet.devices.kinds.registry import AGENT_TYPES
from gridfleet.devices.plugins import PluginError, Registry, place_of
from gridfleet.devices.runtime.fleet import Fleet

GROUP: Final = "gridfleet.agents"
GOOD: Final = """
from gridfleet import AgentSettings, AgentType, Consumer, Role, split_into_packages

class Settings(AgentSettings):
    energy_wh: int = 1000

class Kettle(Consumer):
    kind = "kettle"
    def __init__(self, context):
        super().__init__(*context.identity, **context.as_buyer)
        self.energy_wh = context.settings.energy_wh
    def packages_to_bid(self):
        return split_into_packages(self.energy_wh, 10_000, 950_000)

KETTLE = AgentType(name="kettle", role=Role.CONSUMER, settings=Settings, build=Kettle)
"""
Package = Callable[[str, str, str], None]
"""Installs a package: its name, the lines of its entry points, the source of its module `kettle_<n>`."""


def registry() -> Registry[AgentType[Any]]:
    """A registry that has looked at no package yet."""
    return Registry(
        GROUP, "kind of device", AgentType, {"consumer": "gridfleet.devices.kinds.consumer:CONSUMER"}
    )


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(tmp_path)

    def put(package: str, entries: str, source: str) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n", encoding="utf-8")
        (tmp_path / f"{package}_module.py").write_text(source, encoding="utf-8")

    yield put
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


def test_a_kind_of_another_package_is_found_by_its_name(install: Package) -> None:
    install("kettles", "kettle = kettles_module:KETTLE", GOOD)
    found = registry()
    assert "kettle" in found
    assert found.get("kettle").role is Role.CONSUMER
    assert found.names() == ["consumer", "kettle"]
    assert found.problems() == []


@pytest.mark.parametrize(
    ("entry", "source", "problem"),
    [
        (
            "kettle = broken_module:KETTLE",
            "import nosuch",
            "cannot be imported (ModuleNotFoundError: No module",
        ),
        (
            "kettle = broken_module:KETTLE",
            "1 / 0",
            "cannot be imported (ZeroDivisionError: division by zero (broken_module.py, line 1))",
        ),
        (
            "kettle = broken_module:KETTLE",
            "raise SystemExit(3)",
            "cannot be imported (SystemExit: 3 (broken_module.py, line 1))",
        ),
        ("kettle = broken_module:NOTHING", GOOD, "cannot be imported (AttributeError: "),
        ("kettle = broken_module", GOOD, "is of class module, not AgentType"),
        ("kettle = broken_module:Kettle", GOOD, "is of class type, not AgentType"),
        (
            "pot = broken_module:KETTLE",
            GOOD,
            "the kind of device is called 'kettle'; give both the same name",
        ),
        (
            "kettle = broken_module:KETTLE",
            GOOD.replace("Role.CONSUMER", "'boiler'"),
            "role = 'boiler'; allowed are producer, consumer, storage, charger, vehicle, grid-supply",
        ),
        (
            "market = broken_module:KETTLE",
            GOOD.replace('name="kettle"', 'name="market"'),
            "name = 'market': is a key of scenarios or device files; choose another name",
        ),
        (
            "consumer = broken_module:KETTLE",
            GOOD,
            "kind of device 'consumer' is shipped with GridFleet; rename",
        ),
    ],
)
def test_one_that_cannot_be_used_is_one_line_and_stops_nothing_else(
    install: Package, entry: str, source: str, problem: str
) -> None:
    install("broken", entry, source)
    install("kettles", "fine = kettles_module:KETTLE", GOOD.replace('"kettle"', '"fine"'))
    found = registry()
    (line,) = found.problems()
    assert line.startswith(f"package broken, entry point {GROUP} {entry.split(maxsplit=1)[0]!r}: ")
    assert problem in line
    assert "\n" not in line
    assert found.names() == ["consumer", "fine"]
    assert found.get("consumer") is CONSUMER


def test_two_packages_with_the_same_kind_are_both_named(install: Package) -> None:
    install("kettles", "kettle = kettles_module:KETTLE", GOOD)
    install("teapots", "kettle = teapots_module:KETTLE", GOOD)
    with pytest.raises(
        PluginError, match="'kettle': kettles and teapots both have it; uninstall one of them"
    ):
        registry().get("kettle")


def test_an_unknown_kind_names_the_one_that_was_meant() -> None:
    with pytest.raises(PluginError, match=r"unknown kind of device; did you mean 'consumer'\?"):
        registry().get("consumr")


def test_a_shipped_kind_looks_at_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise AssertionError

    monkeypatch.setattr("importlib.metadata.entry_points", fail)
    assert registry().get("consumer") is CONSUMER


def test_a_name_is_registered_once() -> None:
    own = AgentType(name="own", role=Role.CONSUMER, settings=CONSUMER.settings, build=CONSUMER.build)
    found = registry()
    found.register(own)
    with pytest.raises(PluginError, match="'own' exists already"):
        found.register(own)
    found.register(own, replace=True)
    found.forget("own")
    assert "own" not in found.names()


# --- where kinds are named ----------------------------------------------------------------------------------


def test_a_kind_that_cannot_be_used_is_an_error_only_where_it_is_named(
    install: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken", "kettle = broken_module:KETTLE", "import nosuch")
    monkeypatch.setattr(AGENT_TYPES, "_installed", None)
    assert scenario_of("", "fine.toml", "").groups
    with pytest.raises(
        ScenarioError, match=r"^kettle\.toml: package broken, entry point gridfleet\.agents 'kettle'"
    ):
        scenario_of("[kettle]\ncount = 1\n", "kettle.toml", "")
    with pytest.raises(DeviceFileError, match=r"line 2: kind = 'kettle': package broken, entry point"):
        device_of('id = "k"\nkind = "kettle"\nbackend = "synthetic"\n[broker]\nurl = "mqtt://x"\n', "k.toml")
    monkeypatch.setattr(AGENT_TYPES, "_installed", None)


def test_every_key_of_scenarios_and_device_files_is_reserved() -> None:
    assert {*Scenario.model_fields, *DeviceFile.model_fields} - {"reactor"} == RESERVED


def test_an_agent_that_is_not_what_its_type_says_is_refused() -> None:
    household = Fleet(scenario_of("", "fine.toml", "")).build_agent("household-1")
    wrong_kind = AgentType(
        name="kettle", role=Role.CONSUMER, settings=AgentSettings, build=lambda _: household
    )
    wrong_role = AgentType(
        name="consumer", role=Role.PRODUCER, settings=AgentSettings, build=lambda _: household
    )
    context: Any = SimpleNamespace(id="k-1")
    with pytest.raises(
        ValueError, match="k-1, a kettle: cannot be built: Household: kind = 'consumer', but its"
    ):
        wrong_kind.make(context)
    with pytest.raises(ValueError, match="Household: role = 'consumer', but its AgentType says 'producer'"):
        wrong_role.make(context)


def test_a_scenario_with_another_kind_can_be_pickled_and_changed() -> None:
    scenario = scenario_of("[battery]\ncount = 2\ncapacity_kwh = 40\n", "battery.toml", "")
    again = pickle.loads(pickle.dumps(scenario))  # noqa: S301 - made here
    assert again.model_dump() == scenario.model_dump()
    assert [group.settings.count for group in again.groups][-1] == 2
    changed = scenario.with_changes({"battery.count": 3})
    assert [group.settings.count for group in changed.groups][-1] == 3


def test_the_place_of_a_mistake_is_named_below_any_folder(tmp_path: Path) -> None:
    """Also below one that is called as the package is, as a clone is."""
    folder = tmp_path / "gridfleet" / "mine"
    folder.mkdir(parents=True)
    file = folder / "kettle.py"
    file.write_text("\n\n1 / 0\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as error:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"))  # noqa: S102 - written above
    assert place_of(error.value) == " (kettle.py, line 3)"
