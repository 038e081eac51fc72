"""What an agent of another package does wrong is one line with device, tick and place."""

from typing import Any, ClassVar

import pytest

import gridfleet
from gridfleet import Agent, AgentSettings, AgentType, Consumer, Figure, Package, Producer, Role
from gridfleet.devices.agents.base import AgentError
from gridfleet.devices.kinds.registry import AGENT_TYPES
from tests.plugins import registered


class Dam(Producer):
    """Feeds in 10 kWh a tick, and counts what was taken."""

    kind = "dam"
    figures = (Figure("delivered_wh", "Wh", "Energy that buyers have taken."),)
    energy_wh: ClassVar[Any] = 10_000
    watts: ClassVar[Any] = 40_000
    delivered: ClassVar[dict[str, Any]] = {}

    def __init__(self, context: gridfleet.AgentContext[Any]) -> None:
        super().__init__(*context.identity, **context.as_seller)
        self.delivered_wh = 0

    def generate(self) -> int:
        self.power_w = self.watts
        return self.energy_wh  # type: ignore[no-any-return]

    def deliver(self, energy_wh: int) -> None:
        self.delivered_wh += energy_wh

    def read_figures(self) -> dict[str, float]:
        return {"delivered_wh": self.delivered_wh, **self.delivered}


class Kettle(Consumer):
    kind = "kettle"

    def __init__(self, context: gridfleet.AgentContext[Any]) -> None:
        super().__init__(*context.identity, **context.as_buyer)

    def packages_to_bid(self) -> tuple[Package, ...]:
        return (Package(0, 1_000, 0.95),)  # type: ignore[arg-type]


def run(agent_class: type[Agent], role: Role = Role.PRODUCER, ticks: int = 3) -> gridfleet.Result:
    kind = AgentType(name=agent_class.kind, role=role, settings=AgentSettings, build=agent_class)
    with registered(AGENT_TYPES, kind):
        scenario = gridfleet.Scenario.load("scarce", {agent_class.kind: {"count": 1}, "vehicles.count": 0})
        return gridfleet.simulate(scenario, ticks=ticks)


def failure(agent_class: type[Agent], role: Role = Role.PRODUCER) -> str:
    with pytest.raises(gridfleet.GridFleetError) as error:
        run(agent_class, role)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_right_one_runs_and_hears_what_was_taken() -> None:
    result = run(Dam)
    trades: list[dict[str, Any]] = [*map(dict, result.trades)]
    sold_wh = round(1000 * sum(row["energy_kwh"] for row in trades if row["producer"] == "dam-1"))
    assert sold_wh == 30_000
    assert sold_wh in result.agents["delivered_wh"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"energy_wh": 10.5},
            "dam-1, a dam: tick 0: generate() returned 10.5: it must return whole Wh, at least 0",
        ),
        ({"energy_wh": -1}, "generate() returned -1"),
        ({"watts": 0.5}, "publishes an invalid state: producer.power_w = 0.5: must be a whole number"),
        (
            {"delivered": {"delivered_wh": float("nan")}},
            "publishes an invalid state: producer.figures.delivered_wh",
        ),
        ({"delivered": {"levl": 1.0}}, "read_figures() returns levl, which `figures` does not declare"),
        (
            {"generate": lambda _: 1 // 0},
            "ZeroDivisionError: integer division or modulo by zero (test_checked_agent.py, ",
        ),
    ],
)
def test_a_wrong_producer(changes: dict[str, Any], text: str) -> None:
    found = failure(type("Dam", (Dam,), {"__module__": __name__, **changes}))
    assert text in found
    assert found.startswith("dam-1, a dam: tick 0: ")
    assert found.endswith("; correct Dam")


def test_a_wrong_bid() -> None:
    assert (
        "publishes an invalid bid: packages.0.price_ueur_per_kwh = 0.95: must be a whole number"
        in failure(Kettle, Role.CONSUMER)
    )


def test_an_agent_that_cannot_be_built() -> None:
    def fail(_: object) -> Dam:
        raise KeyError("rotor")

    kind = AgentType(name="dam", role=Role.PRODUCER, settings=AgentSettings, build=fail)
    with (
        registered(AGENT_TYPES, kind),
        pytest.raises(AgentError, match=r"dam-1, a dam: cannot be built: KeyError: 'rotor'"),
    ):
        gridfleet.simulate(gridfleet.Scenario.load("scarce", {"dam": {"count": 1}}), ticks=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [("Pond share", "figures: name = 'Pond share': must match"), ("x" * 49, "figures: name = 'x")],
)
def test_a_figure_with_a_name_that_is_no_column(name: str, text: str) -> None:
    assert text in failure(type("Dam", (Dam,), {"__module__": __name__, "figures": (Figure(name),)}))


def test_a_class_of_another_role_or_kind_is_refused_when_its_type_is_made() -> None:
    with pytest.raises(
        ValueError, match="Dam: role = 'producer', but its AgentType says 'consumer'; give both"
    ):
        AgentType(name="dam", role=Role.CONSUMER, settings=AgentSettings, build=Dam)
    with pytest.raises(ValueError, match="Dam: kind = 'dam', but its AgentType says 'mill'; give both"):
        AgentType(name="mill", role=Role.PRODUCER, settings=AgentSettings, build=Dam)


def test_a_setting_without_a_default_is_refused_when_the_type_is_made() -> None:
    class Settings(AgentSettings):
        head_m: float

    with pytest.raises(ValueError, match="Settings: every setting needs a valid default: head_m"):
        AgentType(name="dam", role=Role.PRODUCER, settings=Settings, build=Dam)


def test_shipped_agents_are_not_wrapped() -> None:
    from gridfleet.devices.runtime.fleet import Fleet

    modules = {type(agent).__module__ for agent in Fleet(gridfleet.Scenario.load("normal")).agents()}
    assert all(module.startswith("gridfleet.devices.agents.") for module in modules)
