"""Export the store as files for other programs: CSV in UTF-8 with line feeds, and a summary in JSON.

Rows are sorted: the same store gives the same bytes.
"""

import math
from pathlib import Path
from typing import Final

from gridfleet.broker.readers.csv_rows import csv_writer
from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.indicators.definitions import INDICATORS
from gridfleet.dashboards.indicators.values import indicator_values
from gridfleet.dashboards.reports.agents_table import agents_table
from gridfleet.dashboards.reports.columns import AGENTS, TABLES
from gridfleet.dashboards.reports.summary import summary_json
from gridfleet.dashboards.store.database import Store

INDICATORS_FILE: Final = "indicators.csv"


def write_exports(store: Store, directory: Path) -> list[Path]:
    """Write a CSV file for each table, indicators.csv and summary.json; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    tables = [agents_table(store) if table is AGENTS else table for table in TABLES]
    for table in tables:
        with replacing(directory / table.file) as file:
            file.write(table.header + "\n")
            csv_writer(file, lineterminator="\n").writerows(table.lines(store))
    summary = directory / "summary.json"
    with replacing(summary) as file:
        file.write(summary_json(store))
    indicators = directory / INDICATORS_FILE
    with replacing(indicators) as file:
        file.write(indicators_csv(store))
    return [*(directory / table.file for table in tables), summary, indicators]


def indicators_csv(store: Store) -> str:
    """Return the indicators of a run as CSV: name, value (empty where there is nothing to take it from), unit."""
    values = indicator_values(store)
    lines = ["indicator,value,unit"]
    for each in INDICATORS:
        value = values[each.name]
        lines.append(f"{each.name},{'' if math.isnan(value) else f'{value:.6f}'},{each.unit or 'count'}")
    return "\n".join(lines) + "\n"
