"""One device of a device file: its agent on the broker, its control loop beside it, and what ties them.

Every act of the agent, and a timer, tells the control loop whose lease holds and when the broker was there; every
happening of the control loop is said as an incident, and its readings as samples, kept on disk while nobody hears
them.
"""

import json
import logging
import os
import select
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from broker.codec import encode
from broker.messages import Incident, Message, Sample
from broker.mqtt import MqttLoop
from broker.topics import BY_WORD, topic
from broker.wishes import ANYBODY, Credentials
from devices import device_agent, real_time
from devices.agents.base import Agent
from devices.agents.charger import Charger
from devices.agents.seller import Seller
from devices.device_file import DeviceFile
from devices.ear import Wire
from devices.hardware.board import Board, raspberry_pi
from devices.hardware.control import Control, Order
from devices.hardware.runner import ControlThread
from devices.runtime import DeviceSeat
from devices.spool import Kept, Spool
from devices.watchdog import Watchdog

LOG: Final = logging.getLogger(__name__)
TELL_S: Final = 0.25
"""Between two signs of life to the control loop."""
SPOOL_FOLDER: Final = "samples"
MOST_WAITING: Final = 1000
"""So many messages wait in memory for the broker where there is no folder for them; later ones are dropped."""


class _Seat(DeviceSeat):
    """A seat that tells when its agent has acted."""

    def __init__(
        self, agent: Agent, loop: MqttLoop, wire: Wire, credentials: Credentials, told: Callable[[], None]
    ) -> None:
        self._told = told
        super().__init__(agent, loop, wire, credentials)

    def acted(self) -> None:
        """Let the control loop know."""
        super().acted()
        self._told()


class Device:
    """A device ready to run: `start` it once the loop runs, `close` it in the end."""

    def __init__(
        self,
        file: DeviceFile,
        loop: MqttLoop,
        *,
        board: Board | None = None,
        credentials: Credentials = ANYBODY,
        spool: Spool | None = None,
        make: Callable[[DeviceFile, Any], Agent] | None = None,
    ) -> None:
        """Open the pins and connect; a device on pins needs the board that has them.

        `make` builds an agent of one's own from the file and its readings, instead of ours.
        """
        self.file = file
        self.control: Control | None = None
        self._make = make
        self.agent = self._furnish(board)
        self.said = 0
        """Incidents and samples said."""
        self._loop = loop
        self._spool = spool
        self._saying: Path | None = None
        self._waiting = 0
        self._wire = Wire(file.site)
        self.seat = _Seat(self.agent, loop, self._wire, credentials, self.tell)

    def _furnish(self, board: Board | None) -> Agent:
        file = self.file
        if not file.on_pins or board is None:
            return device_agent.simulated(file)
        if file.kind == "turbine":
            from devices.hardware.turbine import TurbineControl

            turbine = TurbineControl(file, board)
            self.control = turbine
            return (self._make or device_agent.turbine)(file, turbine)
        from devices.hardware.charger import ChargerControl

        charger = ChargerControl(file, board)
        self.control = charger
        return (self._make or device_agent.charger)(file, charger)

    def start(self) -> None:
        """Let the agent say that it lives."""
        self.seat.start()
        self.tell()

    def close(self) -> None:
        """Say what is left to say, and part."""
        self.hear()
        self.seat.leave()
        if self._spool is not None:
            self._spool.close()

    # --- between market and control loop -----------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether the broker can be reached."""
        return self.seat.connection.online

    def tell(self) -> None:
        """Tell the control loop whose lease holds, and that the market is alive."""
        control = self.control
        if control is None:
            return
        now_s = control.now_s()
        heard_s = now_s if self.online else control.order.broker_heard_s
        permit = self.agent.permit(self.seat.now_ms()) if isinstance(self.agent, Charger) else None
        before = control.order
        control.order = Order(permit, heard_s, now_s)
        if permit != before.permit:
            control.wake()

    def hear(self) -> None:
        """Say what has happened at pins and sensors."""
        control = self.control
        if control is None:
            return
        synchronised = real_time.synchronised()
        while control.happenings:
            at_ms, part, what, reason = control.happenings.popleft()
            LOG.info("%s: %s %s: %s", self.file.id, part, what, reason)
            self._say(
                Incident(at_ms, synchronised, control.measured, part, what, reason)  # type: ignore[arg-type]
            )

    def sample(self) -> None:
        """Say what the sensors say now, if there are any."""
        readings, faults = self._readings()
        if not readings and not faults:
            return
        now = real_time.stamp()
        self._say(Sample(now.at_ms, now.synchronised, self.file.measured, readings, faults))

    def forward(self) -> None:
        """Say what was kept while nobody heard it, a file at a time; forget a file when the broker has it."""
        spool, connection = self._spool, self.seat.connection
        if spool is None or not connection.online or not connection.delivered:
            return
        if self._saying is not None:
            spool.done(self._saying)
            self._saying = None
        oldest = spool.oldest()
        if oldest is None:
            return
        self._saying, kept = oldest
        now = real_time.stamp()
        for each in kept:
            self._publish(each.word, json.dumps(_timed(each, now), separators=(",", ":")).encode())

    def _readings(self) -> tuple[dict[str, float], tuple[str, ...]]:
        if self.control is not None:
            return self.control.readings(), self.control.faults
        return ({"power_w": float(self.agent.power_w)}, ()) if isinstance(self.agent, Seller) else ({}, ())

    def _say(self, message: Message) -> None:
        payload = encode(message)
        self._waiting = 0 if self.online else self._waiting + 1
        if self.online:
            self._publish(message.TOPIC, payload)
        elif self._spool is None:
            if self._waiting <= MOST_WAITING:
                self._publish(message.TOPIC, payload)
        else:
            self._spool.keep(
                Kept(message.TOPIC, json.loads(payload), real_time.boot_id(), real_time.stamp().up_ms)
            )

    def _publish(self, word: str, payload: bytes) -> None:
        connection = self.seat.connection
        if connection.closed:
            return
        row = BY_WORD[word]
        text = topic(self.file.site, row.message, "", self.file.id)
        connection.publish(text, payload, qos=row.qos, retain=row.retain)
        self.said += 1


def _timed(kept: Kept, now: real_time.Stamp) -> dict[str, object]:
    """Return a payload with its right time, if the clock was set only after it and the machine has run since."""
    payload = kept.payload
    if not payload.get("synchronised", True) and now.synchronised and kept.boot == real_time.boot_id():
        return {**payload, "at_ms": real_time.later_known_ms(kept.up_ms, now), "synchronised": True}
    return payload


class Running:
    """Context manager: a device with its timers, its control thread and its watchdog, on a loop of its own."""

    def __init__(
        self,
        file: DeviceFile,
        *,
        credentials: Credentials = ANYBODY,
        board: Board | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Open pins and connection; raises HardwareError, BrokerError or OSError where that cannot be."""
        self.file = file
        self._stack = ExitStack()
        self._watchdog = watchdog if watchdog is not None else Watchdog()
        self._attempts = 0
        self._status = ""
        with ExitStack() as stack:
            from broker.codec import SCHEMA

            self.board = board if board is not None else open_board(file)
            if self.board is not None:
                stack.callback(self.board.close)
            address = file.address()
            self.loop = stack.enter_context(
                MqttLoop(address, keepalive_s=file.broker.keepalive_s, retry_refused=True, schema=SCHEMA)
            )
            spool = _spool_of(file)
            self.device = Device(file, self.loop, board=self.board, credentials=credentials, spool=spool)
            stack.callback(self.device.close)
            self._thread = self._begin_control(stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.stopping("shutting down")
        self._stack.close()

    def _begin_control(self, stack: ExitStack) -> ControlThread | None:
        control = self.device.control
        if control is None:
            return None
        thread = stack.enter_context(ControlThread(control, self.file.control.period_s))
        self.loop.watch(thread.descriptor, select.EPOLLIN, lambda _: self._heard(thread))
        stack.callback(self.loop.unwatch, thread.descriptor)
        return thread

    def run(self, stop: Callable[[], bool]) -> None:
        """Run until `stop` says so; raise what has made the control loop fail."""
        device = self.device
        device.start()
        self._every(TELL_S, device.tell)
        self._every(TELL_S, device.forward)
        self._every(self.file.telemetry.every_s, device.sample)
        self._every(self._watchdog.every_s, self._feed)
        self._watchdog.ready(self.status())
        while not self.loop.run_until(lambda: stop() or self._failed, 1.0):
            if stop():
                break
        if self._thread is not None and self._thread.failure is not None:
            raise self._thread.failure

    @property
    def _failed(self) -> bool:
        return self._thread is not None and self._thread.failure is not None

    def status(self) -> str:
        """Return in a line how the device does."""
        device = self.device
        where = "online" if device.online else f"offline: {device.seat.connection.trouble}"
        faults = ", ".join(device.control.faults) if device.control is not None else ""
        return f"{self.file.kind} {self.file.backend}, {where}{', ' + faults if faults else ''}"

    def _heard(self, thread: ControlThread) -> None:
        thread.heard()
        self.device.hear()

    def _feed(self) -> None:
        now_s = monotonic()
        control, connection = self.device.control, self.device.seat.connection
        self._watchdog.progress("sensor", control.looked_s if control is not None else now_s)
        if connection.online or connection.attempts != self._attempts:
            self._watchdog.progress("broker", now_s)
        self._attempts = connection.attempts
        status = self.status()
        if status != self._status:
            LOG.info("%s: %s", self.file.id, status)
        self._status = status
        self._watchdog.feed(now_s, status)

    def _every(self, seconds: float, call: Callable[[], object]) -> None:
        def again() -> None:
            call()
            self.loop.call_later(seconds, again)

        self.loop.call_later(seconds, again)


def open_board(file: DeviceFile) -> Board | None:
    """Return the pins that the file names, and no others: none for `synthetic`."""
    if file.backend == "gpio":
        return raspberry_pi()
    if file.backend == "mock":
        from devices.hil.mock_device import mock_board

        return mock_board(file)
    return None


def _spool_of(file: DeviceFile) -> Spool | None:
    """Return where samples wait: the file's folder, else systemd's state directory, else nowhere."""
    table = file.telemetry
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    folder = (
        Path(file.folder) / table.folder if table.folder else Path(state) / SPOOL_FOLDER if state else None
    )
    if folder is None:
        LOG.info("no [telemetry] folder: samples taken while the broker is away wait in memory")
        return None
    return Spool(folder, round(table.most_mb * 1e6))
