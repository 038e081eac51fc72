"""The runs of the benchmark of lies: their scenario, and the site without the device that lies.

A case is run three times with the same seed: with the liar, with the same device honest, and with the device silent, as
if the site did not have it. The runs differ from the first lie on.
"""

from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Message
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.trust.liars.lie import ALL_ROLES, Honest, Liar, Lie
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.provisioning.runs.lie_effects import LieRun, Outcome, observe

FIRST_TICK: Final = 8
"""The first tick in which a liar lies."""
TICKS: Final = 48
SERVED_AFTER: Final = 4
"""The energy of the honest is counted from so many ticks after the first lie."""
GAIN_AFTER: Final = 8
"""The liar's gain is counted in so many ticks from the first lie on."""
CELL_DEGREES: Final = 2.5
MIDDLE: Final = (51.0, 9.5)
PER_CELL: Final = {
    "turbines": 3,
    "households": 3,
    "commerce": 1,
    "farms": 1,
    "battery": 1,
    "chargers": 6,
    "vehicles": 48,
}
SILENT: Final = "silent"


class Silent(Liar):
    """Publishes nothing and receives nothing: the site without the device."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:  # noqa: ARG002
        """Drop everything."""
        return NOTHING

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:  # noqa: ARG002
        """Ignore everything."""
        return NOTHING


class Case(NamedTuple):
    """One simulation: how many cells, which seed, and who lies."""

    cells: int
    """Rows, and columns."""
    seed: int
    defended: bool
    liars: tuple[LyingDevice, ...]


def scenario_of(case: Case) -> Scenario:
    """Return the scenario: per cell 63 devices, energy that is scarce at times, vehicles that charge soon."""
    cells = case.cells
    (latitude, longitude), half = MIDDLE, cells * CELL_DEGREES / 2
    edges = {
        "south": latitude - half,
        "north": latitude + half,
        "west": longitude - half,
        "east": longitude + half,
    }
    return load(
        "normal",
        [
            f"ticks={TICKS}",
            f"seed={case.seed}",
            f"trust.enabled={'true' if case.defended else 'false'}",
            f"area.rows={cells}",
            f"area.columns={cells}",
            *(f"area.{edge}={degrees}" for edge, degrees in edges.items()),
            "turbines.sites=[]",
            "battery.selling_price_eur_per_kwh=0.5",
            *(f"{kind}.count={count * cells * cells}" for kind, count in PER_CELL.items()),
            "chargers.stored_share=0.5",
            "vehicles.stored_share=[0.25, 1.0]",
        ],
    )


def run_case(case: Case) -> Outcome:
    """Simulate."""
    if SILENT not in LIES:
        LIES.register(Lie(SILENT, ALL_ROLES, "publishes nothing", Silent))
    return observe(LieRun(scenario_of(case), case.liars))
