"""agents.csv: the columns that every device has, then one for each figure that devices of the run reported."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from gridfleet.dashboards.reports.columns import AGENTS, Column, Quantity, TableFormat, optional
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow

FIGURE: Final = Quantity("float", repr, float)
"""A device's own figure: the shortest text that gives the same number again."""

MAX_FIGURES: Final = 500
"""The most columns of figures, those with most values: a device that invents names cannot fill the disk."""
_NAMES: Final = "SELECT name FROM figures GROUP BY name ORDER BY count(*) DESC, name LIMIT ?"


class ReportedAgent(NamedTuple):
    """A device at the end of a tick, with its own figures by name."""

    device: AgentRow
    figures: Mapping[str, float]


def agents_table(store: Store) -> TableFormat[Any]:
    """Return the table of devices as this run has it; kinds with a figure of the same name share its column."""
    names = sorted(name for (name,) in store.select(_NAMES, (MAX_FIGURES,)))
    if not names:
        return AGENTS
    own = [column._replace(read=partial(_of_device, column)) for column in AGENTS.columns]
    taken = {column.name for column in own}
    for name in names:
        title = name
        while title in taken:
            title += "_figure"
        taken.add(title)
        own.append(Column(title, partial(_figure, name), optional(FIGURE)))
    return TableFormat(AGENTS.file, _reported, tuple(own))


def _reported(store: Store) -> Iterator[ReportedAgent]:
    """Yield all devices with their figures; both are read by tick and device."""
    rows = store.figures()
    row = next(rows, None)
    for device in store.agents():
        here = device[:2]
        while row is not None and row[:2] < here:
            row = next(rows, None)
        found = {}
        while row is not None and row[:2] == here:
            found[row.name] = row.value
            row = next(rows, None)
        yield ReportedAgent(device, found)


def _of_device(column: Column, row: ReportedAgent) -> object:
    return column.read(row.device)


def _figure(name: str, row: ReportedAgent) -> float | None:
    return row.figures.get(name)
