"""A site of real processes: broker, proxies, fleet processes and clock, with a listener on all messages."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import MessageReceiver, SiteDecoder
from gridfleet.broker.protocol.messages import Message, Phase, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, topic_filter
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.partitioning import part_of
from gridfleet.devices.trust.register import Judge
from gridfleet.provisioning.chaos.broker import TestbedBroker
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.chaos.plan import Plan
from gridfleet.provisioning.chaos.proxy import Proxy
from gridfleet.provisioning.chaos.subprocesses import Subprocesses
from gridfleet.provisioning.cli.exit_codes import CommandError

CLOCK: Final = "clock"
BROKER: Final = "broker"
START_S: Final = 60.0
POLL_S: Final = 0.25
PROBE_S: Final = 5.0
STOP_S: Final = 5.0
"""How long processes may take to end after SIGTERM, in seconds."""
MAX_BACKOFF_S: Final = 1.0
"""Longest wait of the listener before it connects again."""
ENDLESS_TICKS: Final = 1_000_000


class Testbed:
    """Context manager: the processes can run while it is open; when it closes, all have ended."""

    def __init__(  # noqa: PLR0913 - the site, and who receives what
        self,
        scenario: str,
        plan: Plan,
        fleet: Fleet,
        folder: Path,
        *,
        options: Sequence[str],
        receivers: Sequence[MessageReceiver],
        on_gap: Callable[[], None],
        stop_requested: Callable[[], bool],
        judge: Judge,
        broker: str | None = None,
    ) -> None:
        """Prepare a testbed; `start` starts the processes, whose logs are written to `folder`.

        `options` are command-line options of the scenario for every process. `receivers` get every message; `on_gap` is
        called when the listener was disconnected, so that messages may be missing. `stop_requested` returns True once
        the user wants to stop. `judge` returns whom the auditor suspends, which is published.
        `broker` is the name of a broker, see TestbedBroker.
        """
        self._on_gap = on_gap
        self._stop_requested = stop_requested
        self._judge = judge
        self._broker_name = broker
        self.plan = plan
        self.fleet = fleet
        self.observations = Observations()
        self.tick_started_s: dict[int, float] = {}
        """When the first phase of each tick was received, by `time.monotonic()`."""
        self._scenario = scenario
        self._options = tuple(options)
        self._folder = folder
        self._receivers = receivers
        self._stack = contextlib.ExitStack()
        self._probes = 0
        self.proxies: dict[str, Proxy] = {}

    def __enter__(self) -> Self:
        try:
            self.broker = self._stack.enter_context(TestbedBroker(self._broker_name))
            self.address = BrokerAddress.parse(self.broker.url)
            self.loop = self._stack.enter_context(
                MqttLoop(self.address, schema=SCHEMA, max_wait_s=MAX_BACKOFF_S)
            )
            self.subprocesses = self._stack.enter_context(Subprocesses(self._folder))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self.broker.resume()
        self._stack.close()

    @property
    def fleet_processes(self) -> list[str]:
        """The names of the fleet's processes."""
        return [f"fleet-{number}" for number in range(1, self.plan.processes + 1)]

    def devices_of(self, process: str) -> frozenset[str]:
        """Return the ids of the devices in a process."""
        if process == CLOCK:
            return frozenset({CLOCK_ID})
        return frozenset(part_of(self.fleet, int(process.removeprefix("fleet-")), self.plan.processes))

    def start(self) -> None:
        """Start all processes, the clock last; return when the first tick is received."""
        SiteListener(
            self.loop,
            SiteDecoder(self.fleet.scenario.site),
            (self._note_tick, self.observations.receive, *self._receivers),
            on_reconnect=self._reconnected,
            judge=self._judge,
        )
        self.loop.wait_online(START_S)
        skews = {skew.target: round(skew.skew_s * 1000) for skew in self.plan.skews}
        liars = ["--liars", *(liar.lying.text for liar in self.plan.liars)] if self.plan.liars else []
        for number, name in enumerate(self.fleet_processes, 1):
            skew = ["--clock-skew-ms", str(skews[name])] if name in skews else []
            options = ("--part", f"{number}/{self.plan.processes}", *skew, *liars)
            self.subprocesses.start(name, "site", "fleet", *self._arguments(name), *options)
        self.wait_until(lambda: self.observations.online >= set(self.fleet.ids), "all devices to come online")
        speed = ("--mode", "scaled", "--seconds-per-tick", f"{self.plan.seconds_per_tick:g}")
        self.subprocesses.start(
            CLOCK, "site", "clock", *self._arguments(CLOCK), *speed, "--ticks", str(ENDLESS_TICKS)
        )
        self.wait_until(lambda: self.observations.tick >= 0, "the first tick")

    def stop(self) -> None:
        """Ask all processes to end, and wait for a while."""
        self.subprocesses.terminate()
        self.loop.run_until(lambda: self.subprocesses.all_exited, STOP_S)

    def _arguments(self, name: str) -> list[str]:
        proxy = self.proxies[name] = Proxy(self.loop, self.address.port)
        self._stack.callback(proxy.close)
        return [self._scenario, *self._options, "--broker", f"mqtt://127.0.0.1:{proxy.port}"]

    def _reconnected(self) -> None:
        self.observations.note_gap()
        self._on_gap()

    def _note_tick(self, _simulated_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, Tick) and message.phase is Phase.BID:
            self.tick_started_s.setdefault(message.tick, time.monotonic())

    # --- time --------------------------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
        """Run the loop until a condition is true; raise CommandError after the timeout, or when a process ends.

        `what` names the condition in the error. Raises KeyboardInterrupt when the user interrupts.
        """
        deadline = time.monotonic() + timeout_s
        while not self.loop.run_until(condition, POLL_S):
            self._check()
            if time.monotonic() > deadline:
                raise CommandError(
                    "gridfleet site chaos",
                    f"waited {timeout_s:g} s for {what}: see the logs of the processes",
                )

    def run_for(self, seconds: float) -> None:
        """Run the loop for some seconds; raise as `wait_until` does."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.loop.run_until(lambda: False, min(left_s, POLL_S))
            self._check()

    def _check(self) -> None:
        if self._stop_requested():
            raise KeyboardInterrupt
        self.subprocesses.check()

    def retained_tick(self) -> Tick | None:
        """Return the tick that the broker has retained, as a new client receives it; None without one."""
        decoder = SiteDecoder(self.fleet.scenario.site)
        found: list[Tick] = []

        def on_message(text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
            message = decoder.decode_one(text, payload)[1]
            if isinstance(message, Tick):
                found.append(message)

        self._probes += 1
        probe = self.loop.open(
            f"probe-{self._probes}",
            on_message=on_message,
            filters=[(topic_filter(decoder.site, "tick", "", CLOCK_ID), 1)],
        )
        self.loop.run_until(lambda: bool(found), PROBE_S)
        probe.close()
        return found[0] if found else None
