"""One simulation in a process of its own, so that its memory is its own; prints what it took as JSON.

python -m benchmarks.one_run ROWS COLUMNS TICKS [recorded]
"""

import gc
import json
import sys
import tempfile
from contextlib import ExitStack

from benchmarks.fleets import default_mix
from benchmarks.measure import memory_kb, spent
from gridfleet.broker.protocol.messages import Message
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.runs.results import facts_of


def main(rows: int, columns: int, ticks: int, *, recorded: bool) -> dict[str, float]:
    """Return CPU seconds, memory in kB and, for a recorded run, the count of messages."""
    scenario = default_mix(rows, columns)
    messages = 0

    with ExitStack() as stack:
        recording = None
        if recorded:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            recording = stack.enter_context(Recording(folder, facts_of(scenario)))
            record = recording.receive

            def receive(simulated_ms: int, scope: str, sender: str, message: Message) -> None:
                nonlocal messages
                messages += 1
                record(simulated_ms, scope, sender, message)

        gc.collect()
        before_kb = memory_kb("VmRSS")
        made: list[Simulation] = []
        build = spent(
            lambda: made.append(
                Simulation(scenario, ticks=ticks, receivers=(receive,) if recording is not None else ())
            )
        )
        simulation = made[0]
        built_kb = memory_kb("VmRSS")
        run = spent(simulation.run)
        gc.collect()
        live_kb, peak_kb = memory_kb("VmRSS"), memory_kb("VmHWM")
        finish_s = 0.0
        if recording is not None:
            finish_s = spent(recording.finish).cpu_s
            assert recording.finish().holds, recording.finish().broken
        assert simulation.clock.finished
        return {
            "devices": len(simulation.fleet.ids),
            "ticks": ticks,
            "build_s": build.cpu_s,
            "run_s": run.cpu_s,
            "wall_s": run.wall_s,
            "finish_s": finish_s,
            "messages": messages,
            "built_kb": built_kb - before_kb,
            "live_kb": live_kb - before_kb,
            "peak_kb": peak_kb - before_kb,
        }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:4]), recorded="recorded" in sys.argv[4:])))
