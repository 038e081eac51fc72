# ruff: noqa: INP001 - a script to run once, not a package
"""Derive devices/physics/data/bdew_2025.json from the tables of demandlib.

Run it with: pip install demandlib==0.2.2 && python tools/derive_bdew.py
The result is committed; tests/physics/test_demand.py compares it with demandlib's own calculation.
"""

import csv
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

TARGET = Path(__file__).parents[1] / "devices" / "physics" / "data" / "bdew_2025.json"
DYNAMIC = {"H25": True, "G25": False, "L25": False}
MONTHS = 12
DAY_TYPES = ("SA", "FT", "WT")
WH_PER_KWH = 1_000


def months(name: str) -> list[dict[str, list[int]]]:
    """Return a profile by month and day type: 96 values in Wh per quarter hour at 1 000 000 kWh a year."""
    text = files("demandlib").joinpath("bdew", "bdew_data", f"{name.lower()}.csv").read_text(encoding="utf-8")
    _, kinds, *quarters = list(csv.reader(text.splitlines()))
    expected = ["[kWh]", *DAY_TYPES * MONTHS]
    if kinds != expected:
        raise SystemExit(f"{name}: the table has columns {kinds}, expected {expected}")
    columns = [
        [round(float(row[column]) * WH_PER_KWH) for row in quarters] for column in range(1, len(kinds))
    ]
    width = len(DAY_TYPES)
    return [dict(zip(DAY_TYPES, columns[width * month :][:width], strict=True)) for month in range(MONTHS)]


def main() -> None:
    """Write the file."""
    profiles = {name: {"dynamic": dynamic, "months": months(name)} for name, dynamic in DYNAMIC.items()}
    content = {
        "source": f"BDEW standard load profiles 2025 as tabulated in demandlib {version('demandlib')} (PyPI)",
        "licence": "demandlib: MIT, Deutsches Zentrum für Luft- und Raumfahrt and Patrik Schönfeldt;"
        " profiles: published by BDEW e. V.",
        "unit": "Wh per quarter hour at an annual demand of 1 000 000 kWh",
        "derived_by": "tools/derive_bdew.py",
        "profiles": profiles,
    }
    TARGET.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
