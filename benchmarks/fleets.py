"""Fleets to measure: the default mix in every cell, and a bare market that other frameworks can play as well."""

from typing import Final

from gridfleet.devices.config.scenario import Scenario, load

CELL_DEGREES: Final = 0.5
"""A cell of a larger fleet is half a degree wide and high, however many there are: a fleet grows, distances stay."""
MIDDLE: Final = (51.0, 9.5)
SIZES: Final = {1_000: (3, 6), 10_000: (12, 15), 100_000: (38, 47)}
"""About so many devices, as rows × columns of cells with 56 devices each."""
_PER_CELL: Final = {"turbines": 3, "households": 1, "commerce": 1, "farms": 1, "chargers": 20, "vehicles": 30}
PRODUCERS: Final = _PER_CELL["turbines"]


def default_mix(rows: int, columns: int) -> Scenario:
    """Return the default fleet for one cell; else its mix in every cell, and the same one reactor."""
    if (rows, columns) == (1, 1):
        return load("normal")
    counts = [f"{kind}.count={count * rows * columns}" for kind, count in _PER_CELL.items()]
    return load("normal", [*_area(rows, columns), *counts])


def bare_market(cells: int, consumers: int, producers: int, packages: int = 1) -> Scenario:
    """Return cells of chargers that bid for so many packages of 10 kWh in every tick, and turbines; nothing else.

    A turbine has energy for about ten packages, or for half of the hundred that ten bids of ten make.
    """
    rotor_m = 60.0 if packages == 1 else 134.0
    return load(
        "normal",
        [
            *_area(1, cells),
            "weather.weibull_shape=10",
            f"turbines.rotor_diameter_m=[{rotor_m}, {rotor_m}]",
            f"turbines.count={producers * cells}",
            *(f"{kind}.count=0" for kind in ("households", "commerce", "farms", "vehicles", "reactors")),
            f"chargers.count={consumers * cells}",
            "chargers.capacity_kwh=100000",
            f"chargers.max_kwh_per_tick={10 * packages}",
        ],
    )


def _area(rows: int, columns: int) -> list[str]:
    latitude, longitude = MIDDLE
    up, right = rows * CELL_DEGREES / 2, columns * CELL_DEGREES / 2
    edges = {
        "south": latitude - up,
        "north": latitude + up,
        "west": longitude - right,
        "east": longitude + right,
    }
    shape = [f"area.rows={rows}", f"area.columns={columns}"]
    return [*shape, *(f"area.{edge}={degrees}" for edge, degrees in edges.items())]
