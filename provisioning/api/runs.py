"""Runs of a scenario from Python: in the simulation, or over an MQTT broker."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Literal, TypeAlias

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import Mode
from gridfleet.broker.protocol.units import MS_PER_S
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.network_faults import faults_of
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.runtime.site import SiteRun
from gridfleet.devices.trust.liars.lying_devices import liars_of
from gridfleet.provisioning.api.result import Result
from gridfleet.provisioning.cli.clock_options import DEFAULT_SECONDS_PER_TICK, MAX_SECONDS_PER_TICK
from gridfleet.provisioning.runs.results import open_recording


class RunError(GridFleetError, ValueError):
    """An argument of `run` that is not allowed; the text names it, with what is allowed."""


ScenarioLike: TypeAlias = Scenario | str | PathLike[str]
OnTick: TypeAlias = Callable[[int], object]


def simulate(
    scenario: ScenarioLike,
    *,
    seed: int | None = None,
    algorithm: str | None = None,
    ticks: int | None = None,
    faults: Mapping[str, object] | None = None,
    liars: Mapping[str, str] | None = None,
    on_tick: OnTick | None = None,
) -> Result:
    """Run a scenario in the deterministic simulation, in memory; nothing is written to disk.

    The same scenario, seed and version give the same result to the byte.

    `scenario` is a Scenario, the name of a shipped one, or the path of a TOML file. `seed`, `algorithm` (how vehicles
    rank offers: weighted, best, cheapest, closest, random or another OfferRanking) and `ticks` (of 15 simulated
    minutes) replace the scenario's. `faults` are faults to inject, by the keys of docs/reference/scenario.md, such as
    {"loss": 0.05}. `liars` are devices that lie, by the lies of docs/how-to/studies/liars.md, such as
    {"turbine-2": "oversell,at:20"}. `on_tick` is called with the number of each tick that begins; when it returns
    False the run ends, with the ticks that ended.

    Raises a GridFleetError that names the key, its value and what is allowed. A breached invariant raises nothing: see
    `Result.findings`.

    >>> result = simulate("storm", ticks=4, seed=7)
    >>> result
    <Result storm, seed 7: 4 ticks, 57 devices, 186 trades, verdict holds>
    >>> result.ticks["simulated_time"][1].isoformat()
    '2025-06-02T00:15:00'
    """
    chosen = _scenario(scenario, seed=seed, algorithm=algorithm, ticks=ticks)
    injected = faults_of({} if faults is None else faults, "faults")
    lying = liars_of({} if liars is None else liars)
    skew_ms = round(injected.skew_s * MS_PER_S)
    with open_recording(chosen, None, exact=not injected.any, clock_skew_ms=skew_ms) as recorded:
        simulation = Simulation(
            chosen, faults=injected, receivers=(recorded.receive,), judge=recorded.judgements, liars=lying
        )
        follow = _TickCallback(on_tick)
        simulation.run(lambda running: follow(running.clock.tick))
        recorded.finish()
        return Result(recorded.store.image())


def run(  # noqa: PLR0913 - each is named where it is called
    scenario: ScenarioLike,
    *,
    broker: str | None = None,
    mode: Literal["lockstep", "scaled", "realtime"] | None = None,
    seconds_per_tick: float | None = None,
    seed: int | None = None,
    algorithm: str | None = None,
    ticks: int | None = None,
    liars: Mapping[str, str] | None = None,
    on_tick: OnTick | None = None,
) -> Result:
    """Run a scenario over an MQTT broker, each device with its own connection; nothing is written to disk.

    In lock-step, each tick ends as soon as all devices are ready, and the trades are those of `simulate`.

    `broker` is the URL of a broker, mqtt://… or mqtts://…, with user and password where it asks for them; without it,
    the run starts one of its own and stops it at the end. `mode` is lockstep, scaled (`seconds_per_tick`, above 0 and
    at most 900, 1 by default) or realtime (15 minutes a tick); without it, lockstep, or scaled where
    `seconds_per_tick` is given. The other arguments are those of `simulate`.

    Raises a GridFleetError as `simulate` does, and a BrokerError (a ConnectionError) where the broker cannot be started
    or reached, or is lost.
    """
    clock_mode, tick_s = _clock(mode, seconds_per_tick)
    address = None if broker is None else BrokerAddress.parse(broker)
    chosen = _scenario(scenario, seed=seed, algorithm=algorithm, ticks=ticks)
    fleet = Fleet(chosen, liars=liars_of({} if liars is None else liars))
    with ExitStack() as stack:
        if address is None:
            address = BrokerAddress.parse(stack.enter_context(EmbeddedBroker()).url)
        exact = clock_mode == Mode.LOCKSTEP
        recorded = stack.enter_context(open_recording(chosen, None, exact=exact))
        site = SiteRun(
            fleet,
            address,
            mode=clock_mode,
            seconds_per_tick=tick_s,
            receivers=(recorded.receive,),
            on_gap=recorded.note_gap,
            judge=recorded.judgements,
        )
        follow = _TickCallback(on_tick)
        site.run(lambda running: follow(running.clock.tick))
        recorded.finish()
        return Result(recorded.store.image())


def _clock(mode: str | None, seconds_per_tick: float | None) -> tuple[Mode, float]:
    """Return mode and seconds per tick; raise RunError where they are not allowed or contradict each other."""
    if mode is None:
        mode = Mode.LOCKSTEP if seconds_per_tick is None else Mode.SCALED
    if mode not in tuple(Mode):
        raise RunError(f"mode={mode!r}: must be {' or '.join(Mode)}")
    if seconds_per_tick is None:
        return Mode(mode), DEFAULT_SECONDS_PER_TICK
    if mode != Mode.SCALED:
        raise RunError(
            f"seconds_per_tick={seconds_per_tick}: goes with mode='scaled', not with mode={mode!r}"
        )
    if not 0 < seconds_per_tick <= MAX_SECONDS_PER_TICK:
        raise RunError(
            f"seconds_per_tick={seconds_per_tick}: must be above 0, and at most {MAX_SECONDS_PER_TICK:g}"
        )
    return Mode.SCALED, seconds_per_tick


class _TickCallback:
    """Calls a function once for each tick; returns whether the run continues."""

    def __init__(self, on_tick: OnTick | None) -> None:
        self._on_tick = on_tick
        self._tick = -1

    def __call__(self, tick: int) -> bool:
        if self._on_tick is None or tick == self._tick:
            return True
        self._tick = tick
        return self._on_tick(tick) is not False


def _scenario(given: ScenarioLike, *, seed: int | None, algorithm: str | None, ticks: int | None) -> Scenario:
    """Return a scenario with the arguments that replace its keys."""
    scenario = given if isinstance(given, Scenario) else Scenario.load(given)
    arguments = {"seed": seed, "settings.algorithm": algorithm, "ticks": ticks}
    changes = {key: value for key, value in arguments.items() if value is not None}
    return scenario.with_changes(changes) if changes else scenario
