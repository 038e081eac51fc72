"""Find the measurement, fields and tags that a Flux query reads."""

import re
from typing import Final, NamedTuple

from gridfleet.dashboards.telemetry.points import Point
from gridfleet.dashboards.telemetry.table import BY_NAME
from gridfleet.dashboards.telemetry.tags import TAGS

_MEASUREMENT: Final = re.compile(r'r\._measurement == "(\w+)"')
_FIELD: Final = re.compile(r'r\._field == "(\w+)"')
_EQUAL: Final = re.compile(r'r\.([a-z]\w*) == "([^"]*)"')
_MATCH: Final = re.compile(r"r\.([a-z]\w*) =~")
_GROUP: Final = re.compile(r"group\(columns: \[(.*?)\]\)")
_WORD: Final = re.compile(r'"(\w+)"')
OF_THE_PAGE: Final = {"site", "run", "device"}
"""Tags that the reader of a page chooses; the checks leave them out."""
MADE_UP: Final = {"row"}


class Reads(NamedTuple):
    """What a query reads; `wanted` are the values that it requires of tags."""

    measurement: str
    fields: frozenset[str]
    tags: frozenset[str]
    wanted: dict[str, frozenset[str]]

    def unknown(self) -> set[str]:
        """Names that are not in the telemetry table."""
        table = BY_NAME.get(self.measurement)
        if table is None:
            return {self.measurement}
        names = {field.name for field in table.fields}
        tags = {tag for tag in self.tags if tag not in table.tags and tag not in names}
        return {field for field in self.fields if field not in names} | tags

    def hits(self, point: Point, field: str) -> bool:
        """Whether the query reads a field of a point."""
        if point.measurement != self.measurement or point.fields.get(field) is None:
            return False
        return all(
            point.tags.get(tag) in values
            for tag, values in self.wanted.items()
            if tag not in OF_THE_PAGE | {"device"}
        )


def reads(flux: str) -> Reads:
    """Return what a query reads; raise ValueError for one that reads no measurement, or several."""
    found = set(_MEASUREMENT.findall(flux))
    if len(found) != 1:
        raise ValueError(f"reads {sorted(found)}")
    # Tags are compared where rows are chosen, before anything is computed.
    chosen = "\n".join(line for line in flux.splitlines() if "filter(fn:" in line or "predicate:" in line)
    wanted: dict[str, set[str]] = {}
    for tag, value in _EQUAL.findall(chosen):
        if tag in TAGS:
            wanted.setdefault(tag, set()).add(value)
    grouped = {
        word for group in _GROUP.findall(flux) for word in _WORD.findall(group) if not word.startswith("_")
    }
    tags = {tag for tag, _ in _EQUAL.findall(chosen)} | set(_MATCH.findall(chosen)) | (grouped - MADE_UP)
    return Reads(
        found.pop(),
        frozenset(_FIELD.findall(flux)),
        frozenset(tags),
        {tag: frozenset(values) for tag, values in wanted.items()},
    )
