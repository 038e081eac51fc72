"""Safe mode, for a device whose agent failed repeatedly: contactor open, brake applied, offline in the market.

Safe mode has no agent, no control loop and only one timer, so that the cause of the failure does not stop it as well.
Pins that cannot be opened are reported like any other fault.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials, Will
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import Incident, Message, Sample
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge import real_time

if TYPE_CHECKING:
    from gridfleet.devices.edge.hardware.board import Board

LOG: Final = logging.getLogger(__name__)
REASON: Final = "safe mode"
FAULT: Final = "controller: safe mode"


class SafeMode:
    """Context manager: keeps the pins of a device safe, and reports that regularly."""

    def __init__(
        self,
        file: DeviceFile,
        *,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        open_board: "Callable[[DeviceFile], Board | None] | None" = None,
    ) -> None:
        """Make the pins safe, then connect; `open_board` opens the pins, for tests."""
        self.faults: tuple[str, ...] = (FAULT,)
        """What is wrong, each as `part: fault`."""
        self._file = file
        self._board = self._make_safe(open_board)
        self._offline = will = file.offline_presence()
        self.loop = MqttLoop(
            file.address(), keepalive_s=file.broker.keepalive_s, retry_refused=True, schema=SCHEMA
        )
        self._connection = self.loop.open(
            file.id,
            on_message=lambda *_: None,
            on_online=self._report_all,
            will=Will(topic(file.site, will, will.scope, file.id), encode(will)),
            login=credentials.login(file.id),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.close()
        if self._board is not None:
            self._board.close()

    def run(self, stop: Callable[[], bool]) -> None:
        """Report the faults every `telemetry.every_s`, until `stop` returns True."""
        every_s = self._file.telemetry.every_s

        def again() -> None:
            if self._connection.online:
                self._report_faults()
            self.loop.call_later(every_s, again)

        self.loop.call_later(every_s, again)
        while not stop():
            self.loop.run_until(stop, 1.0)

    def _make_safe(self, open_board: "Callable[[DeviceFile], Board | None] | None") -> "Board | None":
        """Open the contactor, apply the brake, and keep them so; a pin that fails is one more fault."""
        file = self._file
        try:
            if open_board is None:
                from gridfleet.devices.edge.device_process import open_board as open_real

                open_board = open_real
            board = open_board(file)
            if board is None:
                return None
            from gridfleet.devices.edge.device_agent import control_loop

            control_loop(file, board).make_safe(REASON)
        except Exception as error:  # any failure is reported to the site
            LOG.exception("the pins cannot be made safe")
            self.faults = (FAULT, f"pins: {type(error).__name__}")
            return None
        return board

    def _report_all(self) -> None:
        """Publish, after every connect, that the device is offline in the market, and why."""
        self._publish(self._offline, self._offline.scope)
        now = real_time.timestamp()
        measured = self._file.measured
        self._publish(Incident(now.at_ms, now.synchronised, measured, "controller", "failed", REASON))
        self._report_faults()

    def _report_faults(self) -> None:
        now = real_time.timestamp()
        self._publish(Sample(now.at_ms, now.synchronised, self._file.measured, {}, self.faults))

    def _publish(self, message: Message, scope: str = "") -> None:
        message_type = MESSAGE_TYPES[message.TYPE]
        topic_name = topic(self._file.site, message, scope, self._file.id)
        self._connection.publish(
            topic_name, encode(message), qos=message_type.qos, retain=message_type.retain
        )
