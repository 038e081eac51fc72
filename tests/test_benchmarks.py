"""The benchmarks run, and the figures without noise hold: messages per device, and the receivers of a bid."""

import itertools
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from benchmarks import flood, flooder, lies
from benchmarks.fleets import PRODUCERS, bare_market, default_mix
from benchmarks.floors import Markets, MessageFloor, bare_loop
from benchmarks.measure import ROOT, exponent
from benchmarks.peers import plain_round
from gridfleet.broker.mqtt.packet_codec import decode_publish
from gridfleet.broker.protocol.messages import Bid, Message, Role
from gridfleet.devices.agents.base import Out
from gridfleet.devices.agents.turbine import Turbine
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation

TICKS = 4


def message_counts(scenario: Scenario, ticks: int = TICKS) -> tuple[Counter[type[Message]], int]:
    """Return the number of messages of each class in a run, and the number of devices."""
    counts: Counter[type[Message]] = Counter()
    simulation = Simulation(
        scenario,
        ticks=ticks,
        receivers=(lambda _now, _scope, _sender, message: counts.update([type(message)]),),
    )
    simulation.run()
    return counts, len(simulation.fleet.ids)


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_quick_benchmarks_print_their_tables() -> None:
    done = benchmarks("--quick", "codec", "start", "pins")
    assert done.returncode == 0, done.stderr
    assert "not for quoting" in done.stdout
    titles = re.findall("^### (.*)", done.stdout, re.MULTILINE)
    assert [title.partition(":")[0] for title in titles] == [
        "Codec",
        "Codec",
        "Start",
        "Pins",
        "Pins",
        "Pins",
    ]
    for row in ("GridFleet: dataclass", "bare Python", "gridfleet --help"):
        assert re.search(rf"^\| {row}.*\d", done.stdout, re.MULTILINE), row


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    done = benchmarks("nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert "simulation" in done.stderr


def test_messages_per_device_and_tick_do_not_grow_with_the_fleet() -> None:
    rates = []
    for rows, columns in ((2, 2), (6, 6)):
        counts, devices = message_counts(default_mix(rows, columns))
        rates.append(counts.total() / (devices * TICKS))
    assert rates[1] == pytest.approx(rates[0], rel=0.1)


def test_only_the_producers_of_its_cell_receive_a_bid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received: Counter[str] = Counter()
    handle = Turbine.handlers[Bid]

    def counting(turbine: Turbine, scope: str, sender: str, bid: Bid, now_ms: int) -> Out:
        assert scope == turbine.cell
        received[sender] += 1
        return handle(turbine, scope, sender, bid, now_ms)

    handlers: dict[type[Message], Any] = {**Turbine.handlers, Bid: counting}
    monkeypatch.setattr(Turbine, "handlers", handlers)
    bids = message_counts(default_mix(2, 2))[0][Bid]
    assert bids == TICKS * 4 * 23
    assert received.total() == bids * PRODUCERS
    assert set(received.values()) == {TICKS * PRODUCERS}


def test_floors_sell_what_the_simulation_sells() -> None:
    scenario = bare_market(cells=3, consumers=10, producers=1, packages=10)
    markets = Markets(scenario, TICKS)
    assert bare_loop(markets) == MessageFloor(markets).run() == markets.sold_at_home_wh > 0
    wanted = 10 * 10 * 10_000 * TICKS * 3
    assert 0.3 * wanted < markets.sold_at_home_wh < 0.7 * wanted


def test_plain_round_serves_as_many_as_there_are_packages_at_most() -> None:
    called = [[0, 1, 2] for _ in range(30)]
    assert plain_round(called, 3, 0) == 10
    assert plain_round([[consumer // 10] for consumer in range(30)], 3, 0) == 30


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_exponent_is_that_of_a_power_law(power: float) -> None:
    sizes = [10.0, 100.0, 1000.0]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_benchmark_of_lies_compares_with_the_run_without_the_lie() -> None:
    trials = [*lies.trials(["steal"], [1])]
    on, off = lies.measure(trials, [1], 1)
    assert [row.trial.defended for row in (on, off)] == [True, False]
    (defended,), (plain,) = on.results, off.results
    assert defended.lied
    assert plain.lied
    assert defended.named_for == "award beyond supply"
    assert plain.named_after is None
    assert plain.gain_eur > 100 > defended.gain_eur
    assert plain.loss_eur > 100
    assert (on.misses(), defended.accused) == ([], frozenset())
    assert len(on.cells()) == len(lies.COLUMNS)


def test_the_benchmark_of_floods_compares_tick_by_tick() -> None:
    def seen(*sold: int) -> flood.Seen:
        return flood.Seen(dict(enumerate(sold)), 1, 2, 13.0, 12.0, 0.1, 9, 1, "holds")

    honest = seen(100, 100, 100, 100, 100)
    assert flood.judged(honest, honest) == (1.0, 0)
    assert flood.judged(seen(100, 80, 60, 10, 95), honest) == (0.7, 1)
    assert flood.judged(seen(100, 80, 60), honest) == (0.7, flood.AFTER)


def test_the_flooder_writes_packets_of_mqtt_5() -> None:
    given = flooder.Flood("localhost", 1, "", "car-1", "", ("a/b",), "x" * 300, 1, 10.0, 1.0)
    first, second = itertools.islice(flooder.packets(given), 2)
    assert first[:3] == b"\x32\xb4\x02"  # PUBLISH with QoS 1; 308 bytes follow
    assert len(first) == 3 + 308
    assert decode_publish(first[0], first[3:], mqtt5=True) == ("a/b", b"x" * 300, b"\x00\x01", b"")
    assert second[8:10] == b"\x00\x02"


def test_a_missed_target_is_named() -> None:
    trial = lies.Trial("no-receipt", Role.CONSUMER, 1, defended=True)
    result = lies.Result(
        97.0, 100.0, 3.0, "turbine-1", 2.0, 3.0, True, None, "", None, frozenset({"turbine-2"})
    )
    assert lies.Row(trial, (result,)).misses() == ["served", "gain", "named", "accused"]
    assert lies.Row(trial._replace(defended=False), (result,)).misses() == []
