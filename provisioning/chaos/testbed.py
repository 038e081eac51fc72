"""A site of real processes: broker, proxies, fleet and clock, and the ear and the auditor that hear it all."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports, find_mosquitto
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder, Tap
from gridfleet.broker.protocol.messages import Message, Phase, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, topic_filter
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.runtime.partitioning import part_of
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.chaos.plan import Plan
from gridfleet.provisioning.chaos.proxy import Proxy
from gridfleet.provisioning.chaos.subprocesses import Subprocesses
from gridfleet.provisioning.cli.exit_codes import CommandError

CLOCK: Final = "clock"
BROKER: Final = "broker"
START_S: Final = 60.0
LOOK_S: Final = 0.25
PROBE_S: Final = 5.0
STOP_S: Final = 5.0
"""How long processes may take to end politely, in seconds."""
LONGEST_WAIT_S: Final = 1.0
ENDLESS_TICKS: Final = 1_000_000


class Engine:
    """Context manager: a broker that can be killed, frozen and started again on its port."""

    def __init__(self, name: str | None) -> None:
        """Mosquitto where it is installed, which keeps retained messages on disk; else rumqttd, which does not."""
        self.name = name or ("mosquitto" if find_mosquitto() else "rumqttd")
        self._store: tempfile.TemporaryDirectory[str] | None = None
        self._broker: MosquittoBroker | EmbeddedBroker

    def __enter__(self) -> Self:
        if self.name == "mosquitto":
            self._store = tempfile.TemporaryDirectory(prefix="gridfleet-chaos-")
            self._broker = MosquittoBroker(ports=Ports(plain=0), store=Path(self._store.name))
        else:
            self._broker = EmbeddedBroker()
        self._broker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self.thaw()
        self._broker.close()
        if self._store is not None:
            self._store.cleanup()

    @property
    def title(self) -> str:
        """What it is, and what it cannot do."""
        if self.name == "mosquitto":
            return "Mosquitto, which keeps retained messages on disk"
        return "rumqttd, which forgets everything when it dies"

    @property
    def url(self) -> str:
        """What clients connect to."""
        return self._broker.url

    def kill(self) -> None:
        """End it as a power failure would."""
        if isinstance(self._broker, MosquittoBroker):
            self._broker.kill()
        else:
            os.kill(self._broker.pid, signal.SIGKILL)
            port = self._broker.port
            self._broker.close()
            self._broker = EmbeddedBroker(port)

    def restart(self) -> None:
        """Bring it back."""
        self._broker.start()

    def freeze(self) -> None:
        """Have it stand still."""
        os.kill(self._broker.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        os.kill(self._broker.pid, signal.SIGCONT)


class Testbed:
    """Context manager: everything runs while it is open, and nothing when it is left."""

    def __init__(  # noqa: PLR0913 - what it is to play, and who is to be told
        self,
        scenario: str,
        plan: Plan,
        fleet: Fleet,
        folder: Path,
        *,
        words: Sequence[str],
        taps: Sequence[Tap],
        missed: Callable[[], None],
        stop_requested: Callable[[], bool],
        engine: str | None = None,
    ) -> None:
        """`words` are what every process is told of the scenario; `taps` hear all that is said.

        `missed` is called when something may not have been heard.
        """
        self._missed = missed
        self._stop_requested = stop_requested
        self._engine = engine
        self.plan = plan
        self.fleet = fleet
        self.evidence = Observations()
        self.begun_s: dict[int, float] = {}
        """When the beginning of each tick was heard, as a time of `time.monotonic()`."""
        self._scenario = scenario
        self._words = tuple(words)
        self._folder = folder
        self._taps = taps
        self._stack = contextlib.ExitStack()
        self._probes = 0
        self.proxies: dict[str, Proxy] = {}

    def __enter__(self) -> Self:
        try:
            self.engine = self._stack.enter_context(Engine(self._engine))
            self.address = BrokerAddress.parse(self.engine.url)
            self.loop = self._stack.enter_context(
                MqttLoop(self.address, schema=SCHEMA, max_wait_s=LONGEST_WAIT_S)
            )
            self.children = self._stack.enter_context(Subprocesses(self._folder))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self.engine.thaw()
        self._stack.close()

    @property
    def parts(self) -> list[str]:
        """The names of the fleet's processes."""
        return [f"fleet-{number}" for number in range(1, self.plan.processes + 1)]

    def devices_of(self, process: str) -> frozenset[str]:
        """Return the ids of those who live in a process."""
        if process == CLOCK:
            return frozenset({CLOCK_ID})
        return frozenset(part_of(self.fleet, int(process.removeprefix("fleet-")), self.plan.processes))

    def begin(self) -> None:
        """Start everybody, the clock last; return when the first tick is heard."""
        SiteListener(
            self.loop,
            SiteDecoder(self.fleet.scenario.site),
            (self._note, self.evidence.tap, *self._taps),
            on_return=self._returned,
        )
        self.loop.wait_online(START_S)
        skews = {skew.who: round(skew.skew_s * 1000) for skew in self.plan.skews}
        for number, name in enumerate(self.parts, 1):
            skew = ["--clock-skew-ms", str(skews[name])] if name in skews else []
            words = ("--part", f"{number}/{self.plan.processes}", *skew)
            self.children.start(name, "fleet", *self._told(name), *words)
        self.wait(lambda: self.evidence.alive >= set(self.fleet.ids), "the fleet to come to life")
        pace = ("--mode", "scaled", "--seconds-per-tick", f"{self.plan.seconds_per_tick:g}")
        self.children.start(CLOCK, "clock", *self._told(CLOCK), *pace, "--ticks", str(ENDLESS_TICKS))
        self.wait(lambda: self.evidence.tick >= 0, "the first tick")

    def finish(self) -> None:
        """Let everybody say good-bye."""
        self.children.ask_to_end()
        self.loop.run_until(lambda: self.children.all_ended, STOP_S)

    def _told(self, name: str) -> list[str]:
        proxy = self.proxies[name] = Proxy(self.loop, self.address.port)
        self._stack.callback(proxy.close)
        return [self._scenario, *self._words, "--broker", f"mqtt://127.0.0.1:{proxy.port}"]

    def _returned(self) -> None:
        self.evidence.missed()
        self._missed()

    def _note(self, _simulated_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, Tick) and message.phase is Phase.BID:
            self.begun_s.setdefault(message.tick, time.monotonic())

    # --- time --------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
        """Let time pass until something holds; raise CommandError when it takes too long, or a process ends."""
        deadline = time.monotonic() + timeout_s
        while not self.loop.run_until(until, LOOK_S):
            self._look()
            if time.monotonic() > deadline:
                raise CommandError("the drill", f"has waited {timeout_s:g} s in vain for {what}")

    def pass_s(self, seconds: float) -> None:
        """Let time pass; raise KeyboardInterrupt when asked to end."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.loop.run_until(lambda: False, min(left_s, LOOK_S))
            self._look()

    def _look(self) -> None:
        if self._stop_requested():
            raise KeyboardInterrupt
        self.children.check()

    def retained_tick(self) -> Tick | None:
        """Ask the broker, as somebody new, for the tick that it keeps."""
        decoder = SiteDecoder(self.fleet.scenario.site)
        found: list[Tick] = []

        def hear(text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
            message = decoder.decode_one(text, payload)[1]
            if isinstance(message, Tick):
                found.append(message)

        self._probes += 1
        probe = self.loop.open(
            f"probe-{self._probes}",
            on_message=hear,
            filters=[(topic_filter(decoder.site, "tick", "", CLOCK_ID), 1)],
        )
        self.loop.run_until(lambda: bool(found), PROBE_S)
        probe.close()
        return found[0] if found else None
