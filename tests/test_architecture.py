"""Holds the table of rooms true: who may import whom, and what an agent on a Pi never loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent

# The rooms table: a room may import itself and these.
MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "broker": frozenset(),
    "devices": frozenset({"broker"}),
    "dashboards": frozenset({"broker"}),
    "provisioning": frozenset({"broker", "devices", "dashboards"}),
}
# Modules of a forbidden room that hold plain data only, and so may be imported all the same.
PLAIN_DATA: Final[dict[str, frozenset[str]]] = {
    "dashboards": frozenset({"devices.scenario"}),
}
# Ours, but part of no product: no room imports them.
OUTSIDE: Final = frozenset({"tests", "benchmarks"})

# What an agent on a Raspberry Pi loads (packages with all their modules), and what must never come along.
PI_MODULES: Final = (
    "broker.messages",
    "broker.topics",
    "broker.codec",
    "broker.mqtt",
    "devices.agents",
    "devices.runtime",
    "devices.device",
    "devices.device_file",
    "devices.hardware",
    "devices.running",
)
NEVER_ON_A_PI: Final = (
    "influxdb_client",
    "grafana_client",
    "matplotlib",
    "numpy",
    "rich",
    "sqlite3",
    "iotcore",
    "dashboards",
    "provisioning",
    "devices.simulation",
)


@dataclass(frozen=True, order=True)
class Breach:
    """An import that the rooms table forbids."""

    file: str
    line: int
    imported: str


def is_module(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported_modules(root: Path, file: Path) -> Iterator[tuple[int, str]]:
    """Every module a file names in an import, wherever it stands, as (line, absolute name)."""
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package[: len(package) - level + 1] if level else ()
                base = ".".join([*above, *([module] if module else [])])
                for alias in names:
                    inner = f"{base}.{alias.name}" if base else alias.name
                    yield node.lineno, inner if is_module(root, inner) else base
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def is_allowed(room: str, imported: str) -> bool:
    other = imported.partition(".")[0]
    if other in OUTSIDE:
        return False
    if other not in MAY_IMPORT or other == room or other in MAY_IMPORT[room]:
        return True
    return any(is_within(imported, module) for module in PLAIN_DATA.get(room, ()))


def breaches(root: Path, room: str) -> list[Breach]:
    return sorted(
        Breach(str(file.relative_to(root)), line, imported)
        for file in (root / room).rglob("*.py")
        for line, imported in imported_modules(root, file)
        if not is_allowed(room, imported)
    )


LOAD_AND_LIST: Final = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
module = importlib.import_module(sys.argv[2])
for inner in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
    importlib.import_module(inner.name)
print("\\n".join(set(sys.modules) - before))
"""


def loaded_against_the_rule(root: Path, module: str) -> list[str]:
    """What a fresh interpreter has loaded of NEVER_ON_A_PI after it imported the module and all within it."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_LIST, str(root), module], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    return [name for name in NEVER_ON_A_PI if any(is_within(each, name) for each in loaded)]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_what_the_table_allows(room: str) -> None:
    assert (ROOT / room / "__init__.py").is_file()
    assert breaches(ROOT, room) == []


@pytest.mark.parametrize("module", PI_MODULES)
def test_a_pi_loads_nothing_of_plots_stores_or_simulation(module: str) -> None:
    if not is_module(ROOT, module):
        if is_module(ROOT, "provisioning.cli"):  # the product is whole: a listed module was renamed
            pytest.fail(f"{module} is gone; bring PI_MODULES up to date", pytrace=False)
        pytest.xfail(f"{module} is not written yet")
    assert loaded_against_the_rule(ROOT, module) == []


RUN_AND_LIST: Final = """
import sys
from provisioning.cli import main
assert main(["device", "check", sys.argv[1]]) == 0
import devices.running
from devices.device_agent import simulated
from devices.device_file import load
simulated(load(sys.argv[1]))
print("\\n".join(sys.modules))
"""
NEVER_FOR_A_DEVICE: Final = (
    *(name for name in NEVER_ON_A_PI if name != "provisioning"),
    "devices.fleet",
    "devices.hil",
    "devices.site",
    "gpiozero",
    "pytest",
    "cryptography",
    "http.client",
)
"""What the command that runs a device never loads; the command line itself is light, and pins are not asked for."""


def test_the_command_that_runs_a_device_is_lean() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, "examples/devices/turbine.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert [name for name in NEVER_FOR_A_DEVICE if any(is_within(each, name) for each in loaded)] == []


# --- the checkers themselves: each must be able to fail ---


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small product with all four rooms, and modules to import."""
    for room in MAY_IMPORT:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    for module in ("broker/topics", "devices/scenario", "devices/market", "dashboards/plots"):
        (tmp_path / module).with_suffix(".py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("room", "source", "imported"),
    [
        ("broker", "import devices", "devices"),
        ("broker", "from devices import market", "devices.market"),
        ("broker", "def f():\n    from devices.market import clear", "devices.market"),
        ("broker", "if TYPE_CHECKING:\n    import provisioning.cli as c", "provisioning.cli"),
        ("broker", "from importlib import import_module\nimport_module('devices.market')", "devices.market"),
        ("devices", "from dashboards import plots", "dashboards.plots"),
        ("devices", "import importlib\nimportlib.import_module('dashboards.plots')", "dashboards.plots"),
        ("devices", "from .. import dashboards", "dashboards"),
        ("devices", "from ..dashboards.plots import draw", "dashboards.plots"),
        ("dashboards", "from devices import scenario, market", "devices.market"),
        ("dashboards", "from devices import *", "devices"),
        ("dashboards", "import devices.scenarios_more", "devices.scenarios_more"),
        ("provisioning", "from tests import conftest", "tests"),
    ],
)
def test_checker_finds_a_forbidden_import(tree: Path, room: str, source: str, imported: str) -> None:
    (tree / room / "wrong.py").write_text(source)
    assert [breach.imported for breach in breaches(tree, room)] == [imported]


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("broker", "import json, paho.mqtt.client\nfrom . import topics\nfrom .topics import parse"),
        ("devices", "from broker import topics\nfrom . import market"),
        ("dashboards", "from broker.topics import parse\nfrom devices.scenario import Scenario"),
        ("dashboards", "from devices import scenario"),
        ("provisioning", "import broker, devices.market, dashboards.plots"),
    ],
)
def test_checker_lets_an_allowed_import_pass(tree: Path, room: str, source: str) -> None:
    (tree / room / "right.py").write_text(source)
    assert breaches(tree, room) == []


def test_checker_finds_what_a_pi_must_not_load(tree: Path) -> None:
    (tree / "pi_agents").mkdir()
    (tree / "pi_agents" / "__init__.py").touch()
    (tree / "pi_agents" / "wind.py").write_text("import json, pi_helper")
    (tree / "pi_helper.py").write_text("import sqlite3")
    assert loaded_against_the_rule(tree, "pi_agents") == ["sqlite3"]
