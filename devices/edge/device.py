"""One device of a device file: its agent on the broker, its control loop beside it, and what ties them.

Every act of the agent, and a timer, tells the control loop whose lease holds and when the broker was there; every
happening of the control loop is said as an incident, and its readings as samples, kept on disk while nobody hears
them.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.connection import Connection
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Incident, Message, Sample
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.agents.seller import Seller
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge import device_agent, real_time
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hardware.control import Control, Order
from gridfleet.devices.edge.offline_queue import OfflineQueue, QueuedMessage
from gridfleet.devices.runtime.device_runner import DeviceRunner

LOG: Final = logging.getLogger(__name__)
MOST_WAITING: Final = 1000
"""So many messages wait in memory for the broker where there is no folder for them; later ones are dropped."""


class _Seat(DeviceRunner):
    """A seat that tells when its agent has acted."""

    def __init__(
        self,
        agent: Agent,
        loop: MqttLoop,
        decoder: SiteDecoder,
        credentials: Credentials,
        told: Callable[[], None],
    ) -> None:
        self._told = told
        super().__init__(agent, loop, decoder, credentials)

    def after_action(self) -> None:
        """Let the control loop know."""
        super().after_action()
        self._told()


class Device:
    """A device ready to run: `start` it once the loop runs, `close` it in the end."""

    def __init__(
        self,
        file: DeviceFile,
        loop: MqttLoop,
        *,
        board: Board | None = None,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        queue: OfflineQueue | None = None,
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
        self._queue = queue
        self._publishing: int | None = None
        """The segment of the queue whose messages the broker has not acknowledged yet."""
        self._waiting = 0
        self._decoder = SiteDecoder(file.site)
        self.seat = _Seat(self.agent, loop, self._decoder, credentials, self.tell)
        line = self.seat.connection
        if not isinstance(line, Connection):
            raise TypeError(f"{file.id}: a device has a connection of its own, not {type(line).__name__}")
        self.connection = line

    def _furnish(self, board: Board | None) -> Agent:
        file = self.file
        if not file.on_pins or board is None:
            return device_agent.simulated_agent(file)
        if file.kind == "turbine":
            from gridfleet.devices.edge.hardware.turbine import TurbineControl

            turbine = TurbineControl(file, board)
            self.control = turbine
            return (self._make or device_agent.turbine_agent)(file, turbine)
        from gridfleet.devices.edge.hardware.charger import ChargerControl

        charger = ChargerControl(file, board)
        self.control = charger
        return (self._make or device_agent.charger_agent)(file, charger)

    def start(self) -> None:
        """Let the agent say that it lives."""
        self.seat.start()
        self.tell()

    def close(self) -> None:
        """Say what is left to say, and part."""
        self.hear()
        self.seat.stop()
        if self._queue is not None:
            self._queue.close()

    # --- between market and control loop -----------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether the broker can be reached."""
        return self.connection.online

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
        queue, connection = self._queue, self.connection
        if queue is None or not connection.online or not connection.all_acknowledged:
            return
        if self._publishing is not None:
            queue.delete(self._publishing)
            self._publishing = None
        oldest = queue.oldest()
        if oldest is None:
            return
        self._publishing, messages = oldest
        now = real_time.stamp()
        for each in messages:
            self._publish(each.message_type, json.dumps(_timed(each, now), separators=(",", ":")).encode())

    def _readings(self) -> tuple[dict[str, float], tuple[str, ...]]:
        if self.control is not None:
            return self.control.readings(), self.control.faults
        return ({"power_w": float(self.agent.power_w)}, ()) if isinstance(self.agent, Seller) else ({}, ())

    def _say(self, message: Message) -> None:
        payload = encode(message)
        self._waiting = 0 if self.online else self._waiting + 1
        if self.online:
            self._publish(message.TYPE, payload)
        elif self._queue is None:
            if self._waiting <= MOST_WAITING:
                self._publish(message.TYPE, payload)
        else:
            self._queue.put(
                QueuedMessage(message.TYPE, json.loads(payload), real_time.boot_id(), real_time.stamp().up_ms)
            )

    def _publish(self, word: str, payload: bytes) -> None:
        connection = self.connection
        if connection.closed:
            return
        message_type = MESSAGE_TYPES[word]
        text = topic(self.file.site, message_type.message_class, "", self.file.id)
        connection.publish(text, payload, qos=message_type.qos, retain=message_type.retain)
        self.said += 1


def _timed(queued: QueuedMessage, now: real_time.Stamp) -> dict[str, object]:
    """Return a payload with its right time, if the clock was set only after it and the machine has run since."""
    payload = queued.payload
    if not payload.get("synchronised", True) and now.synchronised and queued.boot_id == real_time.boot_id():
        return {**payload, "at_ms": real_time.later_known_ms(queued.up_ms, now), "synchronised": True}
    return payload
