"""What `scenario check` accepts runs: each key of a scenario at each end of its range."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from gridfleet.devices.config.scenario import Scenario, ScenarioError
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.runs.results import open_recording

FEW = {
    "vehicles.count": 2,
    "chargers.count": 2,
    "turbines.count": 2,
    "weather.measured_at_m": 10.0,
    "ticks": 2,
}
TINIEST = 5e-324
SIZES = ("count", "ticks", "rows", "columns")
"""Keys whose largest values make a run of hours, which `check` warns of."""


def limits(model: type[BaseModel], table: str = "") -> Iterator[tuple[str, float]]:
    """Yield every numeric key of a model with the values at both ends of its range."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from limits(inner, f"{table}{name}.")
            continue
        metadata = [
            *field.metadata,
            *(each for part in get_args(inner) for each in getattr(part, "__metadata__", ())),
        ]
        for limit in _flat(metadata):
            if isinstance(limit, Ge | Le):
                yield f"{table}{name}", float(limit.ge if isinstance(limit, Ge) else limit.le)  # type: ignore[arg-type]
            elif isinstance(limit, Gt | Lt):
                end = float(limit.gt if isinstance(limit, Gt) else limit.lt)  # type: ignore[arg-type]
                yield f"{table}{name}", end + TINIEST if isinstance(limit, Gt) else end * (1 - 1e-9)


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for each in metadata:
        yield from getattr(each, "metadata", (each,))


ENDS = sorted({(key, value) for key, value in limits(Scenario) if key.rpartition(".")[2] not in SIZES})


def test_most_keys_have_ends() -> None:
    assert len(ENDS) > 40
    assert {"turbines.hub_height_m", "weather.measured_at_m", "chargers.stored_share"} <= {
        key for key, _ in ENDS
    }


@pytest.mark.parametrize(("key", "value"), ENDS, ids=str)
def test_a_scenario_at_the_end_of_a_range_runs(key: str, value: float) -> None:
    whole = value if value != int(value) or abs(value) > 2**62 else int(value)
    refused = ""
    try:
        scenario = Scenario.load("normal", {**FEW, key: whole})
    except ScenarioError as error:
        refused = str(error)
    if refused:  # by a rule between two keys
        assert key.split(".", maxsplit=1)[0] in refused
        return
    with open_recording(scenario, None) as recorded:
        Simulation(scenario, receivers=(recorded.receive,), judge=recorded.judgements).run()
        recorded.finish()
        assert all(invariant.holds for invariant in recorded.store.invariants())
