"""A site of several processes: clock, parts of a fleet, and who listens; killed and brought back."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Award, Bid, ClockState, Lease, Receipt, Tick
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import end, gridfleet, start
from tests.system.heard import Heard, heard

SMALL = ("turbines.count=2", "households.count=4", "farms.count=0", "chargers.count=3", "vehicles.count=3")
TICKS = 6


@pytest.fixture
def url() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.url


@contextmanager
def ear_on(url: str) -> Iterator[tuple[Heard, Callable[[Callable[[], bool]], None]]]:
    """All that is said on the site, and a way to listen until something holds."""
    said = Heard()
    with MqttLoop(BrokerAddress.parse(url), schema=SCHEMA) as loop:
        ear = SiteListener(loop, SiteDecoder("germany"), (said.tap,))
        loop.wait_online(60)

        def listen(until: Callable[[], bool]) -> None:
            assert loop.run_until(until, 60)

        yield said, listen
        ear.connection.close()


def children(stack: ExitStack, cwd: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start gridfleet's processes, each of which is ended with the stack."""

    def run(*words: str) -> "subprocess.Popen[str]":
        process = start(*words, "--set", *SMALL, cwd=cwd)

        def reap() -> None:
            if process.poll() is None:
                process.kill()
            process.communicate()

        stack.callback(reap)
        return process

    return run


def is_over(said: Heard) -> bool:
    return any(state.status == "finished" for _, _, state in said.of(ClockState))


def test_two_processes_and_a_clock_give_the_ledger_of_the_simulation(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        said, listen = stack.enter_context(ear_on(url))
        run = children(stack, tmp_path)
        fleets = [run("fleet", "normal", "--broker", url, "--part", f"{number}/2") for number in (1, 2)]
        clock = run("clock", "normal", "--broker", url, "--mode", "lockstep", "--ticks", str(TICKS))
        listen(lambda: is_over(said))
        assert end(clock).code == ExitCode.SUCCESS
        for process in fleets:
            process.send_signal(signal.SIGTERM)
            ended = end(process)
            assert (ended.code, "all devices are offline" in ended.err) == (ExitCode.SUCCESS, True)
    expected = heard(load("normal", SMALL), TICKS)
    for kind in (Bid, Award, Receipt, Lease):
        assert sorted(map(repr, said.of(kind))) == sorted(map(repr, expected.of(kind)))
        assert next(expected.of(kind), None) is not None


def test_a_clock_that_is_killed_goes_on_with_its_tick(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        said, listen = stack.enter_context(ear_on(url))
        run = children(stack, tmp_path)
        run("fleet", "normal", "--broker", url)
        words = ("clock", "normal", "--broker", url, "--ticks", "5", "--seconds-per-tick", "0.6")
        first = run(*words)
        listen(lambda: any(tick.tick == 2 for _, _, tick in said.of(Tick)))
        first.kill()
        first.wait()
        second = run(*words)
        listen(lambda: is_over(said))
        ended = end(second)
        assert "resumes at tick" in ended.err
    ticks = [tick for _, _, tick in said.of(Tick)]
    assert {tick.epoch for tick in ticks} == {ticks[0].epoch}
    assert sorted({tick.tick for tick in ticks}) == [0, 1, 2, 3, 4]
    assert [tick.simulated_ms for tick in ticks] == sorted(tick.simulated_ms for tick in ticks)


def test_a_new_run_after_one_that_ended_has_a_higher_epoch(url: str, tmp_path: Path) -> None:
    words = (
        "clock",
        "normal",
        "--broker",
        url,
        "--ticks",
        "1",
        "--seconds-per-tick",
        "0.05",
        "--patience",
        "0",
    )
    with ear_on(url) as (said, listen):
        for times in (1, 2):
            ended = gridfleet(*words, "--set", *SMALL, cwd=tmp_path)
            assert ended.code == ExitCode.SUCCESS
            assert "begins without 14 of 14 devices" in ended.err
            listen(lambda times=times: len(epochs(said)) == times)  # type: ignore[misc]
    first, second = epochs(said)
    assert first < second


def epochs(said: Heard) -> list[int]:
    return sorted({tick.epoch for _, _, tick in said.of(Tick)})


def test_a_stand_by_takes_the_part_of_one_that_is_killed(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        run = children(stack, tmp_path)
        words = ("fleet", "normal", "--broker", url, "--parts", "2", "--claim", "parts")
        told = {process: read_line(process) for process in [run(*words) for _ in range(3)]}
        (reserve,) = (process for process, line in told.items() if "standing by" in line)
        holder = next(process for process in told if process is not reserve)
        part = told[holder].split(":")[1]
        holder.kill()
        assert part in read_line(reserve)


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (("--part", "3/2"), "is not a part such as 2/4"),
        (("--parts", "2"), "need each other"),
        (("--claim", "x"), "need each other"),
        (("--part", "1/2", "--parts", "2", "--claim", "x"), "give one of the two"),
        (("--part", "99/99"), "has no devices"),
        (("--parts", "2", "--claim", "/proc/x"), "cannot be used"),
    ],
)
def test_parts_that_make_no_sense_are_refused(words: tuple[str, ...], mend: str, tmp_path: Path) -> None:
    ended = gridfleet(
        "fleet", "normal", "--broker", "mqtt://127.0.0.1:1", *words, "--set", *SMALL, cwd=tmp_path
    )
    assert ended.code == ExitCode.USAGE
    assert mend in ended.err
