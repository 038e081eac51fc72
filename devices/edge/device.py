"""One device of a device file: its agent on the broker, its control loop beside it, and what passes between them.

After every action of the agent, and on a timer, the control loop learns who may draw energy and when the broker was
last reached. Changes at the pins are published as incidents, and readings as samples; both are queued on disk while
the device is offline.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.connection import Connection
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Incident, Message
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.roles.seller import Seller
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge import real_time
from gridfleet.devices.edge.device_agent import build_agent, control_loop
from gridfleet.devices.edge.hardware.board import Board
from gridfleet.devices.edge.hardware.control import AgentStatus, ControlLoop
from gridfleet.devices.edge.offline_queue import OfflineQueue, QueuedMessage
from gridfleet.devices.runtime.device_runner import DeviceRunner

LOG: Final = logging.getLogger(__name__)
SEGMENT_PAUSE_S: Final = 10.0
"""Shortest time between two segments of the queue: what is within the receivers' quota (`protocol.quota`)."""
MAX_UNQUEUED: Final = 1000
"""The most messages that wait in memory when the device is offline and has no queue on disk; later ones are dropped."""


class _Runner(DeviceRunner):
    """A device runner that calls back after every action of its agent."""

    def __init__(
        self,
        agent: Agent,
        loop: MqttLoop,
        decoder: SiteDecoder,
        credentials: Credentials,
        on_action: Callable[[], None],
    ) -> None:
        self._on_action = on_action
        super().__init__(agent, loop, decoder, credentials)

    def after_action(self) -> None:
        """Call back."""
        super().after_action()
        self._on_action()


class Device:
    """A device ready to run: call `start` once the loop runs, and `close` at the end."""

    def __init__(
        self,
        file: DeviceFile,
        loop: MqttLoop,
        *,
        board: Board | None = None,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        queue: OfflineQueue | None = None,
        build_agent: Callable[[DeviceFile, Any], Agent] | None = None,
    ) -> None:
        """Open the pins and connect; a device on pins needs the board that has them.

        `build_agent` builds an agent of your own from the file and the control loop, instead of the shipped one.
        """
        self.file = file
        self.control: ControlLoop | None = None
        self._build_agent = build_agent
        self.agent = self._open(board)
        self.published = 0
        """Incidents and samples published."""
        self._loop = loop
        self._queue = queue
        self._in_flight: int | None = None
        """The segment of the queue whose messages are published, but not acknowledged yet."""
        self._next_segment_s = 0.0
        self._waiting = 0
        decoder = SiteDecoder(file.site, credentials.verify)
        self.runner = _Runner(self.agent, loop, decoder, credentials, self.update_control)
        channel = self.runner.connection
        if not isinstance(channel, Connection):
            raise TypeError(
                f"{file.id}: a device needs a connection of its own, not {type(channel).__name__}"
            )
        self.connection = channel

    def _open(self, board: Board | None) -> Agent:
        """Open the pins, if there are any, and build the agent."""
        if board is not None:
            self.control = control_loop(self.file, board)
        return (self._build_agent or build_agent)(self.file, self.control)

    def start(self) -> None:
        """Publish the agent's birth."""
        self.runner.start()
        self.update_control()

    def close(self) -> None:
        """Publish what is left, and close connection and queue."""
        self.publish_incidents()
        self.runner.stop()
        if self._queue is not None:
            self._queue.close()

    # --- between agent and control loop ------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether the broker can be reached."""
        return self.connection.online

    def update_control(self) -> None:
        """Pass to the control loop who may draw energy, when the broker was reached, and that the agent is alive."""
        control = self.control
        if control is None:
            return
        now_s = control.now_s()
        broker_seen_s = now_s if self.online else control.agent_status.broker_seen_s
        permit = self.agent.permit(self.runner.now_ms())
        before = control.agent_status
        control.agent_status = AgentStatus(permit, broker_seen_s, now_s)
        if permit != before.permit:
            control.wake()

    def publish_incidents(self) -> None:
        """Publish what has happened at pins and sensors."""
        control = self.control
        if control is None:
            return
        synchronised = real_time.synchronised()
        while control.events:
            at_ms, part, what, reason = control.events.popleft()
            LOG.info("%s: %s %s: %s", self.file.id, part, what, reason)
            self._publish_or_queue(
                Incident(at_ms, synchronised, control.measured, part, what, reason)  # type: ignore[arg-type]
            )

    def publish_sample(self) -> None:
        """Publish the present readings of the sensors, if there are any; raise ControlError for invalid ones."""
        readings, faults = self._readings()
        if not readings and not faults:
            return
        from gridfleet.devices.edge.control_errors import sample_of

        self._publish_or_queue(sample_of(self.file, self.control, readings, faults))

    def publish_queued(self) -> None:
        """Publish the queue's oldest segment, one every SEGMENT_PAUSE_S; delete it once all of it is acknowledged."""
        queue, connection = self._queue, self.connection
        if queue is None or not connection.online or not connection.all_acknowledged:
            return
        if self._in_flight is not None:
            queue.delete(self._in_flight)
            self._in_flight = None
        now_s = monotonic()
        oldest = queue.oldest() if now_s >= self._next_segment_s else None
        if oldest is None:
            return
        self._next_segment_s = now_s + SEGMENT_PAUSE_S
        self._in_flight, messages = oldest
        now = real_time.timestamp()
        for queued in messages:
            payload = json_text(with_correct_time(queued, now), separators=(",", ":")).encode()
            self._publish(queued.message_type, payload)

    def _readings(self) -> tuple[dict[str, float], tuple[str, ...]]:
        if self.control is not None:
            return self.control.readings(), self.control.faults
        return ({"power_w": float(self.agent.power_w)}, ()) if isinstance(self.agent, Seller) else ({}, ())

    def _publish_or_queue(self, message: Message) -> None:
        payload = encode(message)
        self._waiting = 0 if self.online else self._waiting + 1
        if not self.online and self._queue is not None:
            self._queue.put(
                QueuedMessage(
                    message.TYPE, parse_json(payload), real_time.boot_id(), real_time.timestamp().up_ms
                )
            )
        elif self._waiting <= MAX_UNQUEUED:
            self._publish(message.TYPE, payload)

    def _publish(self, name: str, payload: bytes) -> None:
        connection = self.connection
        if connection.closed:
            return
        message_type = MESSAGE_TYPES[name]
        topic_name = topic(self.file.site, message_type.message_class, "", self.file.id)
        connection.publish(topic_name, payload, qos=message_type.qos, retain=message_type.retain)
        self.published += 1


def with_correct_time(queued: QueuedMessage, now: real_time.Timestamp) -> dict[str, object]:
    """Return a payload; its time is corrected if the clock was synchronised later, in the same uptime."""
    payload = queued.payload
    if not payload.get("synchronised", True) and now.synchronised and queued.boot_id == real_time.boot_id():
        return {**payload, "at_ms": real_time.corrected_ms(queued.up_ms, now), "synchronised": True}
    return payload
