"""What keeps and shows data depends on the roles of devices, never on the names of kinds: anybody may add a kind."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.kinds.registry import AGENT_TYPES

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("dashboards", "provisioning") for path in (ROOT / folder).rglob("*.py"))
KINDS = {*AGENT_TYPES.names(), *(group.prefix for group in Scenario().groups)}
"""The shipped kinds, and the prefixes of the ids of their devices."""
IN_TEXT = re.compile(
    r"\bkind\b\W*(?:==?|!=|<>|=~|\bIN\b|\bLIKE\b)\W*(?:" + "|".join(sorted(KINDS)) + r")\b", re.IGNORECASE
)
"""A comparison of a kind in SQL or Flux."""
ALLOWED = {
    ("provisioning/documents/keys.py", "turbine"): "the reference lists the settings of the shipped kinds",
    (
        "provisioning/runs/scenario_summary.py",
        "commerce",
    ): "an id's prefix that is no noun: shops and offices",
}
"""Places that may name a kind, by file and name, and why."""
TEXT_METHODS = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition"}


def texts(node: ast.AST | None) -> list[str]:
    """The texts of a literal, or of the elements of a literal collection."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [text for element in node.elts for text in texts(element)]
    return []


def is_role(node: ast.AST) -> bool:
    """Whether an expression is a role, such as `state.role`: roles and kinds may have the same name."""
    return getattr(node, "attr", getattr(node, "id", "")) == "role"


def conditions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of the literals by which the code decides."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and not any(map(is_role, (node.left, *node.comparators))):
            for each in (node.left, *node.comparators):
                yield from ((node.lineno, text) for text in texts(each))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in TEXT_METHODS:
            for argument in node.args:
                yield from ((node.lineno, text.rstrip("-_")) for text in texts(argument))
        elif isinstance(node, ast.MatchValue):
            yield from ((node.lineno, text) for text in texts(node.value))
        elif isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
            found = (
                [text for key in node.keys for text in texts(key)]
                if isinstance(node, ast.Dict)
                else texts(node)
            )
            size = len(node.keys) if isinstance(node, ast.Dict) else len(node.elts)
            if size > 1 and len(found) == size and KINDS.issuperset(found):
                yield node.lineno, found[0]


def named_kinds(source: str) -> list[tuple[int, str]]:
    """Return line and text of what depends on the name of a kind."""
    tree = ast.parse(source)
    found = [(line, text) for line, text in conditions(tree) if text in KINDS]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [(node.lineno, match[0]) for match in IN_TEXT.finditer(node.value)]
    return found


def test_no_condition_names_a_kind() -> None:
    found = [
        (str(path.relative_to(ROOT)), line, text)
        for path in FILES
        for line, text in named_kinds(path.read_text(encoding="utf-8"))
    ]
    assert len(FILES) > 150
    assert [each for each in found if (each[0], each[2]) not in ALLOWED] == []
    assert {(file, text) for file, _, text in found} == set(ALLOWED), "an exception that nothing needs"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("device.kind == 'turbine'", ["turbine"]),
        ("kind in ('charger', 'heat-pump')", ["charger"]),
        ("name.startswith('reactor-')", ["reactor"]),
        ("MARKS = {'turbine': 1, 'reactor': 2}", ["turbine"]),
        ("KINDS = ('turbine', 'consumer')", ["turbine"]),
        ("match kind:\n    case 'battery': pass", ["battery"]),
        ("select(\"SELECT 1 FROM agents WHERE kind = 'charger'\")", ["kind = 'charger"]),
        ("select(\"WHERE kind IN ('turbine', 'reactor')\")", ["kind IN ('turbine"]),
        ("flux('r.kind == \"vehicle\"')", ['kind == "vehicle']),
        ("state.role == 'charger'", []),
        ("COLOURS = {'wind': 1, 'reactor': 2}", []),
        ("select(\"WHERE role = 'charger' GROUP BY kind\")", []),
    ],
)
def test_the_check_finds_names_of_kinds(source: str, named: list[str]) -> None:
    assert [text for _, text in named_kinds(source)] == named
