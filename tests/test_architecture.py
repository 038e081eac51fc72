"""Holds the layout of the code true: who may import whom, no import circles, one import name, few imports on a Pi."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "gridfleet"
SOURCES: Final = ROOT / "src"
"""Where `gridfleet` is imported from; it links to the four folders of the product."""

# A folder of the product may import itself and these.
MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "broker": frozenset(),
    "devices": frozenset({"broker"}),
    "dashboards": frozenset({"broker"}),
    "provisioning": frozenset({"broker", "devices", "dashboards"}),
}
# Modules of a forbidden folder that hold plain data only, and so may be imported all the same.
PLAIN_DATA: Final[dict[str, frozenset[str]]] = {
    "dashboards": frozenset({"devices.config.scenario"}),
}
# Ours, but part of no product: nothing in the product imports them.
OUTSIDE: Final = frozenset({"tests", "benchmarks"})
MOST_ENTRIES: Final = 14
"""Most files and folders side by side in one folder of the product, `__init__.py` included."""

# What an agent on a Raspberry Pi loads (packages with all their modules), and what must never come along.
PI_MODULES: Final = (
    "gridfleet.broker.protocol",
    "gridfleet.broker.mqtt",
    "gridfleet.devices.agents",
    "gridfleet.devices.clock",
    "gridfleet.devices.edge.device",
    "gridfleet.devices.edge.device_process",
    "gridfleet.devices.edge.hardware",
    "gridfleet.devices.config.device_file",
    "gridfleet.devices.kinds",
    "gridfleet.devices.runtime.agent_runner",
)
NEVER_ON_A_PI: Final = (
    "influxdb_client",
    "grafana_client",
    "matplotlib",
    "numpy",
    "rich",
    "sqlite3",
    "iotcore",
    "gridfleet.dashboards",
    "gridfleet.provisioning",
    "gridfleet.devices.runtime.simulation",
)

READERS: Final = "gridfleet.broker.readers"
ONE_WAY_IN: Final[dict[str, frozenset[str]]] = {
    "tomllib": frozenset({f"{READERS}.toml_text"}),
    "json": frozenset({f"{READERS}.json_values"}),
    "csv": frozenset({f"{READERS}.csv_rows"}),
    "zipfile": frozenset({f"{READERS}.archives"}),
    "gzip": frozenset({f"{READERS}.archives"}),
    "sqlite3": frozenset({"gridfleet.dashboards.store.database", "gridfleet.dashboards.store.check"}),
    "influxdb_client": frozenset(
        {
            "gridfleet.dashboards.telemetry.influx.client",
            "gridfleet.dashboards.telemetry.influx.buckets",
        }
    ),
    "grafana_client": frozenset({"gridfleet.dashboards.grafana.client"}),
    "urllib3": frozenset({"gridfleet.dashboards.telemetry.influx.client"}),
    "niquests": frozenset({"gridfleet.dashboards.grafana.client"}),
    **dict.fromkeys(("http.client", "urllib.request", "requests", "httpx"), frozenset()),
}
"""Libraries that read what comes from outside, with the modules that may import them."""


@dataclass(frozen=True, order=True)
class Breach:
    """An import that the table forbids."""

    file: str
    line: int
    imported: str


def module_of(root: Path, file: Path) -> str:
    """Return the module that a file is, by the name under which it is imported."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join([NAME, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def is_module(root: Path, name: str) -> bool:
    first, *rest = name.split(".")
    path = root.joinpath(*rest) if first == NAME else root.joinpath(first, *rest)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported_modules(root: Path, file: Path) -> Iterator[tuple[int, str]]:
    """Every module a file names in an import, wherever it stands, as (line, absolute name)."""
    module = module_of(root, file).split(".")
    package = module if file.name == "__init__.py" else module[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=named, names=names, level=level):
                above = package[: len(package) - level + 1] if level else []
                base = ".".join([*above, *([named] if named else [])])
                for alias in names:
                    inner = f"{base}.{alias.name}" if base else alias.name
                    yield node.lineno, inner if is_module(root, inner) else base
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def other_ways_in(root: Path, module: str, file: Path) -> list[str]:
    """Return the libraries that a module imports although only others may."""
    return sorted(
        {
            library
            for _, imported in imported_modules(root, file)
            for library, allowed in ONE_WAY_IN.items()
            if is_within(imported, library) and module not in allowed
        }
    )


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def is_allowed(folder: str, imported: str) -> bool:
    first, _, rest = imported.partition(".")
    if first in OUTSIDE or first in MAY_IMPORT:  # ours goes by one name
        return False
    other = rest.partition(".")[0]
    if first != NAME or not other or other == folder or other in MAY_IMPORT[folder]:
        return True
    return any(is_within(rest, module) for module in PLAIN_DATA.get(folder, ()))


def breaches(root: Path, folder: str) -> list[Breach]:
    return sorted(
        Breach(str(file.relative_to(root)), line, imported)
        for file in (root / folder).rglob("*.py")
        for line, imported in imported_modules(root, file)
        if not is_allowed(folder, imported)
    )


def import_graph(root: Path) -> dict[str, set[str]]:
    """Every module of the product with the modules that it imports, at the top or inside a function."""
    graph: dict[str, set[str]] = {}
    for folder in MAY_IMPORT:
        for file in (root / folder).rglob("*.py"):
            module = module_of(root, file)
            imported = {name for _, name in imported_modules(root, file) if is_within(name, NAME)}
            graph[module] = imported - {module}
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one import circle, in order; nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def heaps(root: Path, most: int) -> list[str]:
    """Return the folders of Python files that hold more entries than a reader takes in at a glance."""
    return sorted(
        f"{folder.relative_to(root)}: {count}"
        for top in MAY_IMPORT
        for folder in (root / top, *(path for path in (root / top).rglob("*") if path.is_dir()))
        if (folder / "__init__.py").is_file()
        and (count := sum(path.name != "__pycache__" for path in folder.iterdir())) > most
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


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_the_table_allows(folder: str) -> None:
    assert (ROOT / folder / "__init__.py").is_file()
    assert breaches(ROOT, folder) == []


def test_foreign_formats_have_one_way_in() -> None:
    found = {
        module: others
        for folder in MAY_IMPORT
        for file in (ROOT / folder).rglob("*.py")
        if (others := other_ways_in(ROOT, module := module_of(ROOT, file), file))
    }
    assert found == {}
    assert all(is_module(ROOT, module) for allowed in ONE_WAY_IN.values() for module in allowed)


def test_checker_finds_another_way_in(tree: Path) -> None:
    (tree / "devices" / "wrong.py").write_text(
        "import json\ndef f():\n    from urllib3.exceptions import HTTPError"
    )
    assert other_ways_in(tree, "gridfleet.devices.wrong", tree / "devices" / "wrong.py") == [
        "json",
        "urllib3",
    ]
    assert other_ways_in(tree, f"{READERS}.json_values", tree / "devices" / "wrong.py") == ["urllib3"]


def test_there_is_no_import_circle() -> None:
    assert circle(import_graph(ROOT)) == []


def test_no_folder_is_a_heap() -> None:
    assert heaps(ROOT, MOST_ENTRIES) == []


def test_one_import_name_reaches_all_folders() -> None:
    """The links in `src/gridfleet` are all there is beside its own three files and the marker for type checkers."""
    found = {path.name: path.resolve() for path in (SOURCES / NAME).iterdir() if path.is_symlink()}
    assert found == {folder: ROOT / folder for folder in MAY_IMPORT}
    files = {path.name for path in (SOURCES / NAME).iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed", "testing.py"}


@pytest.mark.parametrize("module", PI_MODULES)
def test_a_pi_loads_nothing_of_plots_stores_or_simulation(module: str) -> None:
    assert is_module(ROOT, module), f"{module} is no module any more: bring PI_MODULES up to date"
    assert loaded_against_the_rule(SOURCES, module) == []


RUN_AND_LIST: Final = """
import sys
from gridfleet.provisioning.cli.main import main
assert main(["device", "check", sys.argv[1]]) == 0
import gridfleet.devices.edge.device_process
from gridfleet.devices.edge.device_agent import build_agent
from gridfleet.devices.config.device_file import load
build_agent(load(sys.argv[1]))
print("\\n".join(sys.modules))
"""
NEVER_FOR_A_DEVICE: Final = (
    *(name for name in NEVER_ON_A_PI if name != "gridfleet.provisioning"),
    "gridfleet.devices.runtime.fleet",
    "gridfleet.devices.edge.hil",
    "gridfleet.devices.runtime.site",
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


@pytest.mark.parametrize("name", sorted({*NEVER_ON_A_PI, *NEVER_FOR_A_DEVICE}))
def test_what_must_not_be_loaded_exists(name: str) -> None:
    """A name that nothing has any more would forbid nothing."""
    exists = is_module(ROOT, name) if is_within(name, NAME) else find_spec(name) is not None
    assert exists, f"there is no module {name} (any more)"


# --- the checkers themselves: each must be able to fail ---


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small product with all four folders, and modules to import."""
    for folder in MAY_IMPORT:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "devices" / "config").mkdir()
    (tmp_path / "devices" / "config" / "__init__.py").touch()
    for module in ("broker/topics", "devices/config/scenario", "devices/market", "dashboards/plots"):
        (tmp_path / module).with_suffix(".py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "source", "imported"),
    [
        ("broker", "import gridfleet.devices", "gridfleet.devices"),
        ("broker", "from gridfleet.devices import market", "gridfleet.devices.market"),
        ("broker", "def f():\n    from gridfleet.devices.market import clear", "gridfleet.devices.market"),
        ("broker", "if TYPE_CHECKING:\n    import gridfleet.provisioning as c", "gridfleet.provisioning"),
        ("broker", "from importlib import import_module\nimport_module('devices.market')", "devices.market"),
        ("devices", "from gridfleet.dashboards import plots", "gridfleet.dashboards.plots"),
        ("devices", "import importlib\nimportlib.import_module('dashboards.plots')", "dashboards.plots"),
        ("devices", "from .. import dashboards", "gridfleet.dashboards"),
        ("devices", "from ..dashboards.plots import draw", "gridfleet.dashboards.plots"),
        ("devices", "import devices.market", "devices.market"),
        ("devices", "from broker import topics", "broker.topics"),
        (
            "dashboards",
            "from gridfleet.devices.config import scenario\nfrom gridfleet.devices import market",
            "gridfleet.devices.market",
        ),
        ("dashboards", "from gridfleet.devices import *", "gridfleet.devices"),
        ("dashboards", "import gridfleet.devices.config.more", "gridfleet.devices.config.more"),
        ("provisioning", "from tests import conftest", "tests"),
    ],
)
def test_checker_finds_a_forbidden_import(tree: Path, folder: str, source: str, imported: str) -> None:
    (tree / folder / "wrong.py").write_text(source)
    assert [breach.imported for breach in breaches(tree, folder)] == [imported]


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("broker", "import json, paho.mqtt.client\nfrom . import topics\nfrom .topics import parse"),
        ("devices", "from gridfleet.broker import topics\nfrom . import market"),
        (
            "dashboards",
            "from gridfleet.broker.topics import parse\nfrom gridfleet.devices.config.scenario import Scenario",
        ),
        ("dashboards", "from gridfleet.devices.config import scenario"),
        ("provisioning", "import gridfleet.broker, gridfleet.devices.market, gridfleet.dashboards.plots"),
    ],
)
def test_checker_lets_an_allowed_import_pass(tree: Path, folder: str, source: str) -> None:
    (tree / folder / "right.py").write_text(source)
    assert breaches(tree, folder) == []


def test_checker_finds_a_circle(tree: Path) -> None:
    assert circle(import_graph(tree)) == []
    (tree / "broker" / "topics.py").write_text("def f():\n    from gridfleet.broker import wire")
    (tree / "broker" / "wire.py").write_text("from . import topics")
    assert set(circle(import_graph(tree))) == {"gridfleet.broker.topics", "gridfleet.broker.wire"}


def test_checker_finds_a_heap(tree: Path) -> None:
    assert heaps(tree, 4) == []
    (tree / "devices" / "more.py").touch()
    (tree / "devices" / "most.py").touch()
    assert heaps(tree, 4) == ["devices: 5"]


def test_checker_finds_what_a_pi_must_not_load(tree: Path) -> None:
    (tree / "pi_agents").mkdir()
    (tree / "pi_agents" / "__init__.py").touch()
    (tree / "pi_agents" / "wind.py").write_text("import json, pi_helper")
    (tree / "pi_helper.py").write_text("import sqlite3")
    assert loaded_against_the_rule(tree, "pi_agents") == ["sqlite3"]
