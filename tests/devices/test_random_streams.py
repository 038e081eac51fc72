"""A stream for each purpose: how vehicles rank offers does not change where they go."""

from gridfleet.broker.protocol.messages import VehicleState
from gridfleet.devices.config.scenario import load
from gridfleet.devices.random_streams import RandomStream
from tests.system.message_log import simulate

TICKS = 40


def trips(ranking: str) -> dict[str, list[tuple[float, float]]]:
    """The destinations of each vehicle, in their order."""
    log = simulate(load("normal", (f"settings.algorithm='{ranking}'",)), TICKS)
    found: dict[str, list[tuple[float, float]]] = {}
    for _, vehicle, state in log.of(VehicleState):
        known = found.setdefault(vehicle, [])
        if state.destination is not None and state.destination not in known[-1:]:
            known.append(state.destination)
    return found


def test_a_derived_stream_leaves_its_parent_as_it_was() -> None:
    parent, untouched = RandomStream(1, "a"), RandomStream(1, "a")
    derived = parent.derived("ranking")
    assert [derived.bits() for _ in range(3)] != [untouched.bits() for _ in range(3)]
    assert parent.bits() == RandomStream(1, "a").bits()
    assert RandomStream(1, "a").derived("trips").bits() != RandomStream(1, "a").derived("ranking").bits()


def test_vehicles_that_rank_at_random_make_the_same_trips() -> None:
    best, chance = trips("best"), trips("random")
    pairs = [pair for vehicle, known in best.items() for pair in zip(known, chance[vehicle], strict=False)]
    assert len(pairs) > 30
    assert all(one == other for one, other in pairs)
