"""A site of several processes: clock, fleet processes and a listener; some are killed and restarted."""

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
from tests.system.message_log import MessageLog, simulate

SMALL = ("turbines.count=2", "households.count=4", "farms.count=0", "chargers.count=3", "vehicles.count=3")
TICKS = 6


@pytest.fixture
def url() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.url


@contextmanager
def listening_to(url: str) -> Iterator[tuple[MessageLog, Callable[[Callable[[], bool]], None]]]:
    """Yield the log of the site's messages, and a function that listens until a condition holds."""
    log = MessageLog()
    with MqttLoop(BrokerAddress.parse(url), schema=SCHEMA) as loop:
        listener = SiteListener(loop, SiteDecoder("germany"), (log.receive,))
        loop.wait_online(60)

        def listen(until: Callable[[], bool]) -> None:
            assert loop.run_until(until, 60)

        yield log, listen
        listener.connection.close()


def children(stack: ExitStack, cwd: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Return a function that starts a gridfleet process, which ends with the stack."""

    def run(*words: str) -> "subprocess.Popen[str]":
        process = start(*words, "--set", *SMALL, cwd=cwd)

        def reap() -> None:
            if process.poll() is None:
                process.kill()
            process.communicate()

        stack.callback(reap)
        return process

    return run


def is_finished(log: MessageLog) -> bool:
    return any(state.status == "finished" for _, _, state in log.of(ClockState))


def test_two_processes_and_a_clock_give_the_ledger_of_the_simulation(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        log, listen = stack.enter_context(listening_to(url))
        run = children(stack, tmp_path)
        fleets = [
            run("site", "fleet", "normal", "--broker", url, "--part", f"{number}/2") for number in (1, 2)
        ]
        clock = run("site", "clock", "normal", "--broker", url, "--mode", "lockstep", "--ticks", str(TICKS))
        listen(lambda: is_finished(log))
        assert end(clock).code == ExitCode.SUCCESS
        for process in fleets:
            process.send_signal(signal.SIGTERM)
            ended = end(process)
            assert (ended.code, "all devices are offline" in ended.err) == (ExitCode.SUCCESS, True)
    expected = simulate(load("normal", SMALL), TICKS)
    for kind in (Bid, Award, Receipt, Lease):
        assert sorted(map(repr, log.of(kind))) == sorted(map(repr, expected.of(kind)))
        assert next(expected.of(kind), None) is not None


def test_a_killed_clock_resumes_at_its_tick(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        log, listen = stack.enter_context(listening_to(url))
        run = children(stack, tmp_path)
        run("site", "fleet", "normal", "--broker", url)
        words = ("site", "clock", "normal", "--broker", url, "--ticks", "5", "--seconds-per-tick", "0.6")
        first = run(*words)
        listen(lambda: any(tick.tick == 2 for _, _, tick in log.of(Tick)))
        first.kill()
        first.wait()
        second = run(*words)
        listen(lambda: is_finished(log))
        ended = end(second)
        assert "resumes at tick" in ended.err
    ticks = [tick for _, _, tick in log.of(Tick)]
    assert {tick.epoch for tick in ticks} == {ticks[0].epoch}
    assert sorted({tick.tick for tick in ticks}) == [0, 1, 2, 3, 4]
    assert [tick.simulated_ms for tick in ticks] == sorted(tick.simulated_ms for tick in ticks)


def test_of_two_clocks_the_one_that_is_behind_ends(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        log, listen = stack.enter_context(listening_to(url))
        run = children(stack, tmp_path)
        run("site", "fleet", "normal", "--broker", url)
        words = ("site", "clock", "normal", "--broker", url, "--ticks", "200", "--seconds-per-tick", "0.6")
        clocks = [run(*words)]
        listen(lambda: any(tick.tick == 2 for _, _, tick in log.of(Tick)))
        clocks.append(run(*words))
        listen(lambda: any(clock.poll() is not None for clock in clocks))
        (ended,) = [end(clock) for clock in clocks if clock.poll() is not None]
        assert ended.code == ExitCode.USAGE
        assert "another clock runs for germany and is ahead, or began earlier" in ended.err
        last = max(tick.tick for _, _, tick in log.of(Tick))
        listen(lambda: any(tick.tick > last + 2 for _, _, tick in log.of(Tick)))
        assert [clock.poll() for clock in clocks].count(None) == 1


def test_a_new_run_after_one_that_ended_has_a_higher_epoch(url: str, tmp_path: Path) -> None:
    words = (
        "site",
        "clock",
        "normal",
        "--broker",
        url,
        "--ticks",
        "1",
        "--seconds-per-tick",
        "0.05",
        "--wait",
        "0",
    )
    with listening_to(url) as (log, listen):
        for times in (1, 2):
            ended = gridfleet(*words, "--set", *SMALL, cwd=tmp_path)
            assert ended.code == ExitCode.SUCCESS
            assert "begins without 14 of 14 devices" in ended.err
            listen(lambda times=times: len(epochs(log)) == times)  # type: ignore[misc]
    first, second = epochs(log)
    assert first < second


def epochs(log: MessageLog) -> list[int]:
    return sorted({tick.epoch for _, _, tick in log.of(Tick)})


def test_a_standby_process_takes_the_part_of_a_killed_one(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        run = children(stack, tmp_path)
        words = ("site", "fleet", "normal", "--broker", url, "--parts", "2", "--part-locks", "parts")
        first_lines = {process: read_line(process) for process in [run(*words) for _ in range(3)]}
        (standby,) = (process for process, line in first_lines.items() if "standing by" in line)
        holder = next(process for process in first_lines if process is not standby)
        part = first_lines[holder].split(":")[1]
        holder.kill()
        assert part in read_line(standby)


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--part", "3/2"), "is not a part such as 2/4"),
        (("--parts", "2"), "need each other"),
        (("--part-locks", "x"), "need each other"),
        (("--part", "1/2", "--parts", "2", "--part-locks", "x"), "give one of the two"),
        (("--part", "99/99"), "has no devices"),
        (("--parts", "2", "--part-locks", "/proc/x"), "cannot be used"),
    ],
)
def test_options_that_contradict_each_other_are_rejected(
    words: tuple[str, ...], remedy: str, tmp_path: Path
) -> None:
    ended = gridfleet(
        "site", "fleet", "normal", "--broker", "mqtt://127.0.0.1:1", *words, "--set", *SMALL, cwd=tmp_path
    )
    assert ended.code == ExitCode.USAGE
    assert remedy in ended.err
