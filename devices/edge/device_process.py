"""The device process: one device with its event loop, pins, control thread, timers and watchdog."""

import logging
import os
import select
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.device import Device
from gridfleet.devices.edge.hardware.board import Board, raspberry_pi
from gridfleet.devices.edge.hardware.control_thread import ControlThread
from gridfleet.devices.edge.hardware.faults import HardwareError
from gridfleet.devices.edge.offline_queue import OfflineQueue
from gridfleet.devices.edge.watchdog import Watchdog

LOG: Final = logging.getLogger(__name__)
UPDATE_S: Final = 0.25
"""Seconds between two updates of the control loop, which also tell it that the agent is alive."""
QUEUE_FOLDER: Final = "samples"
"""In systemd's state directory."""


class DeviceProcess:
    """Context manager: a device with its timers, control thread and watchdog, on an event loop of its own."""

    def __init__(
        self,
        file: DeviceFile,
        *,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        board: Board | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Open pins and connection; raises HardwareError, BrokerError or OSError where that fails."""
        self.file = file
        self._stack = ExitStack()
        self._watchdog = watchdog if watchdog is not None else Watchdog()
        self._attempts = 0
        self._status = ""
        with ExitStack() as stack:
            self.board = board if board is not None else open_board(file)
            if self.board is not None:
                stack.callback(self.board.close)
            address = file.address()
            self.loop = stack.enter_context(
                MqttLoop(address, keepalive_s=file.broker.keepalive_s, retry_refused=True, schema=SCHEMA)
            )
            queue = _offline_queue(file)
            self.device = Device(file, self.loop, board=self.board, credentials=credentials, queue=queue)
            stack.callback(self.device.close)
            self._thread = self._start_control(stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.stopping("shutting down")
        self._stack.close()

    def _start_control(self, stack: ExitStack) -> ControlThread | None:
        control = self.device.control
        if control is None:
            return None
        thread = stack.enter_context(ControlThread(control, self.file.control.period_s))
        self.loop.watch(thread.descriptor, select.EPOLLIN, lambda _: self._on_control_event(thread))
        stack.callback(self.loop.unwatch, thread.descriptor)
        return thread

    def run(self, stop: Callable[[], bool]) -> None:
        """Run until `stop` returns True; raise what has ended the control loop, if something has."""
        device = self.device
        device.start()
        self._every(UPDATE_S, device.update_control)
        self._every(UPDATE_S, device.publish_queued)
        self._every(self.file.telemetry.every_s, device.publish_sample)
        self._every(self._watchdog.every_s, self._feed_watchdog)
        self._watchdog.ready(self.status())
        while not self.loop.run_until(lambda: stop() or self._failed, 1.0):
            if stop():
                break
        if self._thread is not None and self._thread.failure is not None:
            from gridfleet.devices.edge.control_errors import explained

            raise explained(self.file, self.device.control, self._thread.failure)

    @property
    def _failed(self) -> bool:
        return self._thread is not None and self._thread.failure is not None

    def status(self) -> str:
        """Return the device's state in one line."""
        device = self.device
        where = "online" if device.online else f"offline: {device.connection.offline_reason}"
        faults = ", ".join(device.control.faults) if device.control is not None else ""
        return f"{self.file.kind} {self.file.backend}, {where}{', ' + faults if faults else ''}"

    def _on_control_event(self, thread: ControlThread) -> None:
        thread.clear()
        self.device.publish_incidents()

    def _feed_watchdog(self) -> None:
        now_s = monotonic()
        control, connection = self.device.control, self.device.connection
        self._watchdog.progress("sensor", control.last_step_s if control is not None else now_s)
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
    """Return the board of the file's backend; None for `synthetic`."""
    if file.backend == "gpio":
        return raspberry_pi()
    if file.backend == "mock":
        try:
            from gridfleet.devices.edge.hil.mock_device import mock_board
        except ImportError as error:
            raise HardwareError(f"backend = 'mock': {error} – or set backend = 'synthetic'") from None
        return mock_board(file)
    return None


def _offline_queue(file: DeviceFile) -> OfflineQueue | None:
    """Return the queue in the file's folder, else in systemd's state directory, else None."""
    table = file.telemetry
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    folder = (
        Path(file.folder) / table.folder if table.folder else Path(state) / QUEUE_FOLDER if state else None
    )
    if folder is None:
        LOG.info("no [telemetry] folder: samples taken while offline wait in memory")
        return None
    return OfflineQueue(folder, round(table.max_mb * 1e6))
