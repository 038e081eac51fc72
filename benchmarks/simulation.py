"""What a device costs in the simulation: CPU for each tick, messages, memory; and how that grows with the fleet."""

from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks.fleets import SIZES, bare_market, default_mix
from benchmarks.floors import Markets, MessageFloor, bare_loop
from benchmarks.measure import child, exponent, spent
from benchmarks.table import Cell, show
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation

MICRO: Final = 1e6
DAY_TICKS: Final = 96
FLOOR_RUNS: Final = 3


class Plan(NamedTuple):
    """A fleet to measure: rows × columns of cells, how many ticks, and how often."""

    rows: int
    columns: int
    ticks: int
    runs: int
    recorded_runs: int


class Floors:
    """The two floors on the markets of one fleet, measured with each run of it."""

    def __init__(self, scenario: Scenario, ticks: int) -> None:
        self._markets = Markets(scenario, ticks)
        self._messages = MessageFloor(self._markets)
        self._agent_ticks = self._markets.devices * ticks
        assert bare_loop(self._markets) == self._markets.sold_at_home_wh == self._messages.run()

    def us(self) -> tuple[float, float]:
        """Return the µs per agent and tick of the bare loop and of messages alone, now."""
        bare = median(spent(lambda: bare_loop(self._markets)).cpu_s for _ in range(FLOOR_RUNS))
        messages = median(spent(self._messages.run).cpu_s for _ in range(FLOOR_RUNS))
        return bare / self._agent_ticks * MICRO, messages / self._agent_ticks * MICRO


class Measured(NamedTuple):
    """The runs of one fleet, each with its floors."""

    plan: Plan
    bare: list[dict[str, Any]]
    recorded: list[dict[str, Any]]
    over_loop: float
    over_messages: float
    recorded_over_bare: float | None

    @property
    def us(self) -> list[float]:
        """CPU in µs per agent and tick, of each run."""
        return sorted(_us(run) for run in self.bare)


def run(*, quick: bool) -> None:
    """Measure and print."""
    plans = [Plan(1, 1, 120, 3 if quick else 7, 1 if quick else 5)]
    if quick:
        plans += [Plan(*SIZES[1_000], 8, 1, 1), Plan(*SIZES[10_000], 4, 1, 0)]
    else:
        plans += [
            Plan(*SIZES[1_000], 24, 9, 3),
            Plan(*SIZES[10_000], 24, 3, 1),
            Plan(*SIZES[100_000], 24, 1, 1),
        ]
    own, shared = (
        Floors(default_mix(1, 1), plans[0].ticks),
        Floors(default_mix(*SIZES[1_000]), plans[1].ticks),
    )
    found = [_measure(plan, shared if number else own) for number, plan in enumerate(plans)]
    _print_cpu(found)
    _print_memory(found)
    _print_market(quick=quick)
    if not quick:
        _print_day(shared)


def _measure(plan: Plan, floors: Floors) -> Measured:
    bare, recorded = [], []
    over_loop, over_messages, over_bare = [], [], []
    for number in range(plan.runs):
        loop_us, messages_us = floors.us()
        bare.append(child("benchmarks.one_run", *plan[:3]))
        again = floors.us()
        us = _us(bare[-1])
        over_loop.append(us * 2 / (loop_us + again[0]))
        over_messages.append(us * 2 / (messages_us + again[1]))
        if number < plan.recorded_runs:
            recorded.append(child("benchmarks.one_run", *plan[:3], "recorded"))
            over_bare.append(_us(recorded[-1]) / us)
    ratio = median(over_bare) if over_bare else None
    return Measured(plan, bare, recorded, median(over_loop), median(over_messages), ratio)


def _us(one: dict[str, Any]) -> float:
    return float(one["run_s"] / (one["devices"] * one["ticks"]) * MICRO)


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _print_cpu(found: list[Measured]) -> None:
    rows: list[list[Cell]] = []
    for each in found:
        one = each.bare[0]
        agent_ticks = one["devices"] * one["ticks"]
        messages_each = each.recorded[0]["messages"] / agent_ticks if each.recorded else None
        run_s = median(run["run_s"] for run in each.bare)
        spread = f"{each.us[0]:.1f}–{each.us[-1]:.1f}"
        shape = f"{_count(one['devices'])} devices, {one['ticks']} ticks"
        rows.append(
            [
                shape,
                len(each.bare),
                run_s,
                median(each.us),
                spread,
                messages_each,
                each.over_loop,
                each.over_messages,
                1.0,
            ]
        )
        if each.recorded:
            us = sorted(map(_us, each.recorded))
            rows.append(
                [
                    *("… with recorder and auditor", len(us), median(run["run_s"] for run in each.recorded)),
                    *(
                        median(us),
                        f"{us[0]:.1f}–{us[-1]:.1f}",
                        messages_each,
                        None,
                        None,
                        each.recorded_over_bare,
                    ),
                ]
            )
    sizes = [float(each.bare[0]["devices"]) for each in found[1:]]
    costs = [median(run["run_s"] / run["ticks"] for run in each.bare) for each in found[1:]]
    paired = [each.over_messages * size for each, size in zip(found[1:], sizes, strict=True)]
    growth = f"{exponent(sizes, costs):.3f}, of CPU over its message floor {exponent(sizes, paired):.3f}"
    finish = [
        run["finish_s"] / (run["devices"] * run["ticks"]) * MICRO for each in found for run in each.recorded
    ]
    ticks = (
        "" if len({each.plan.ticks for each in found[1:]}) == 1 else " (of different ticks: not for quoting)"
    )
    show(
        "Simulation: CPU per agent and tick, with the whole negotiation",
        [
            "fleet",
            "runs",
            "CPU s",
            "µs",
            "from–to",
            "messages",
            "× bare loop",
            "× messages alone",
            "× unrecorded",
        ],
        rows,
        [
            f"Exponent of CPU over devices, fitted to {' / '.join(f'{size:.0f}' for size in sizes)}: {growth}{ticks}",
            f"Besides: writing the files after a recorded run, {median(finish):.1f} µs per agent and tick.",
        ],
    )


def _print_memory(found: list[Measured]) -> None:
    rows: list[list[Cell]] = []
    for each in found:
        name = f"{_count(each.bare[0]['devices'])} devices"
        for mode, runs in ((name, each.bare), ("… with recorder and auditor", each.recorded)):
            if runs:
                devices = runs[0]["devices"]
                kb = [median(run[key] for run in runs) for key in ("built_kb", "live_kb", "peak_kb")]
                rows.append([mode, *(amount / devices for amount in kb), kb[2] / 1024])
    show(
        "Simulation: memory, above the process with everything imported",
        ["fleet", "built, kB per device", "after the run", "at its highest", "highest in all, MB"],
        rows,
    )


def _print_market(*, quick: bool) -> None:
    """Print the cost of the market alone, on the workload of the floors in SPEED: ten bids of ten packages."""
    ticks, runs = (4, 1) if quick else (24, 5)
    scenario = bare_market(cells=100, consumers=10, producers=1, packages=10)
    floors = Floors(scenario, ticks)
    costs, loops, messages = [], [], []
    for _ in range(runs):
        loop_us, messages_us = floors.us()
        simulation = Simulation(scenario, ticks=ticks)
        costs.append(spent(simulation.run).cpu_s / (len(simulation.fleet.ids) * ticks) * MICRO)
        loops.append(loop_us)
        messages.append(messages_us)
    shown = {"bare loop": loops, "messages alone": messages, "simulation": costs}
    rows: list[list[Cell]] = [
        [
            mode,
            median(us),
            median(one / loop for one, loop in zip(us, loops, strict=True)),
            median(one / floor for one, floor in zip(us, messages, strict=True)),
        ]
        for mode, us in shown.items()
    ]
    show(
        "Simulation: a market alone, 1 000 chargers with ten packages each, 100 turbines, 100 cells",
        ["", "µs per agent and tick", "× bare loop", "× messages alone"],
        rows,
    )


def _print_day(floors: Floors) -> None:
    rows: list[list[Cell]] = []
    for mode in ("bare", "recorded"):
        floor_us = floors.us()
        one = child("benchmarks.one_run", *SIZES[10_000], DAY_TICKS, mode)
        again = floors.us()
        loop_us, messages_us = ((a + b) / 2 for a, b in zip(floor_us, again, strict=True))
        total_s = one["build_s"] + one["run_s"] + one["finish_s"]
        peak_kb = one["peak_kb"] / one["devices"]
        rows.append(
            [
                *(mode, one["build_s"], one["run_s"], one["finish_s"], total_s, one["wall_s"]),
                *(_us(one), _us(one) / loop_us, _us(one) / messages_us, peak_kb),
            ]
        )
    columns = ["a day of 10 081 devices", "build, CPU s", "run", "write files", "in all", "run, wall s"]
    columns += ["µs per agent and tick", "× bare loop", "× messages alone", "highest kB per device"]
    show("Simulation: a day (96 ticks) of 10 081 devices", columns, rows)
