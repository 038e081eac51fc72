"""Nobody honest is accused, whatever the network, the recorder and the machine do; a liar among them is."""

from pathlib import Path

import pytest

from benchmarks.cpu_limit import CpuLimit
from benchmarks.honest_faults import Mix, audit, mix_of
from benchmarks.late_recorder import LateRecorder, Reception
from benchmarks.loaded_site import VICTIMS, LoadedSite
from gridfleet.broker.protocol.messages import Message, Tick
from gridfleet.dashboards.audit import Auditor
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from tests.dashboards.runs import message_log

WORST = mix_of(1)._replace(
    ticks=32,
    faults={
        "loss": 0.3,
        "delay_s": 300.0,
        "reorder": 0.3,
        "duplicate": 0.3,
        "crash": 0.02,
        "partition": 0.4,
        "skew_s": 200.0,
        "keep_state": False,
    },
    reception=Reception(120.0, in_order=False, joins_at=9, gaps=((40, 7, False), (60, 3, True))),
)


@pytest.mark.parametrize("mix", [*map(mix_of, range(1, 7)), WORST], ids=lambda mix: f"run {mix.number}")
def test_an_honest_run_with_faults_accuses_nobody(mix: Mix) -> None:
    result = audit(mix)
    assert (result.lies, result.suspended, result.avoided) == ({}, [], set())
    assert [each for each in result.findings if not each.holds] == []
    assert sum(each.checked for each in result.findings) > 1_000


def test_a_liar_among_the_honest_is_the_only_one_that_is_accused() -> None:
    result = audit(WORST._replace(number=4), parse_liars(["turbine-2=announce,at:12"]))
    assert {device for device, _ in result.suspended} == {"turbine-2"}
    assert {liar for _, liar in result.avoided} <= {"turbine-2"}
    assert result.lies.total() > 0


def test_a_recorder_joins_misses_and_receives_late() -> None:
    log = message_log("normal", (), (), 8)
    received: list[tuple[int, Message]] = []

    class Noted(Auditor):
        def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
            received.append((simulated_ms, message))
            super().receive(simulated_ms, scope, sender, message)

    def ticks(reception: Reception) -> list[int]:
        received.clear()
        recorder = LateRecorder(Noted(exact=False), reception, 1)
        for each in log:
            recorder.receive(*each)
        recorder.finish()
        return [message.tick for _, message in received if isinstance(message, Tick)]

    everything = ticks(Reception())
    assert everything == [tick for tick in range(8) for _ in range(4)]
    assert len(received) == len(log)
    assert ticks(Reception(joins_at=10)) == everything[9:]  # the last phase before it is retained
    assert ticks(Reception(gaps=((9, 3, False),))) == everything[:10] + everything[13:]
    ticks(Reception(loss=0.1))
    assert 0.05 < 1 - len(received) / len(log) < 0.15
    ticks(Reception(delay_s=300.0))
    assert [message for _, message in received] == [each[3] for each in log]
    assert sum(now_ms > each[0] for (now_ms, _), each in zip(received, log, strict=True)) > 100


@pytest.mark.mosquitto
@pytest.mark.slow
def test_an_honest_site_on_a_fifth_of_a_core_accuses_nobody(tmp_path: Path) -> None:
    with LoadedSite(tmp_path, CpuLimit(0.2, by_signals=True)) as site:
        found = site.run(30, 0.2)
    assert [each for each in found.findings if each.breaches] == []
    assert found.trades > 0


@pytest.mark.mosquitto
@pytest.mark.slow
def test_two_runs_in_which_broker_and_recorder_are_killed_accuse_nobody(tmp_path: Path) -> None:
    with LoadedSite(tmp_path, CpuLimit(1.0)) as site:
        for _ in range(2):
            found = site.run(40, 0.4, kill=VICTIMS)
            assert [each for each in found.findings if each.breaches] == []
            assert {each.name: each.checked for each in found.findings}["books"] > 100
