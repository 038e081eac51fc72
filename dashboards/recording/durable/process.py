"""The recorder as a process: an MQTT client that acknowledges messages when they are safe on disk."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import StoreError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials, PersistentSession
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.messages import Verify
from gridfleet.broker.protocol.publication import publication
from gridfleet.broker.protocol.topics import RECORDER_ID, all_topics_filter
from gridfleet.dashboards.audit.specifications import SpecificationOf
from gridfleet.dashboards.recording.durable.recorder import DurableRecorder
from gridfleet.dashboards.recording.durable.status import (
    had_session,
    lock_folder,
    rss_bytes,
    write_status,
)
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.influx.sender import Sender, Write
from gridfleet.dashboards.telemetry.influx.spool import MAX_BYTES, Spool, SpoolStatus
from gridfleet.dashboards.telemetry.points import Point, line_protocol
from gridfleet.dashboards.telemetry.table import RECORDER

SESSION_S: Final = 7 * 24 * 3600
"""How long the broker queues messages while no recorder is connected, in seconds."""
SYNC_S: Final = 0.02
"""How long a message may wait for the next sync, in seconds: many messages share one."""
CHECKPOINT_S: Final = 1.0
HEALTH_S: Final = 10.0
RETRY_S: Final = 5.0
SPOOL: Final = "spool"


def record(  # noqa: PLR0913 - the options of the command line
    folder: Path,
    site: str,
    address: BrokerAddress,
    facts: Callable[[str], RunFacts],
    *,
    name: str = "",
    write: Write | None = None,
    credentials: Credentials = ADDRESS_CREDENTIALS,
    client_id: str = RECORDER_ID,
    max_spool_bytes: int = MAX_BYTES,
    specification_of: SpecificationOf | None = None,
    stop_requested: Callable[[], bool],
    report: Callable[[str], None],
    on_loop: Callable[[MqttLoop], None] = lambda _loop: None,
) -> None:
    """Record a site until `stop_requested`; wait and retry while broker, InfluxDB or disk space are missing.

    `facts` returns the facts of a run by its name. `write` sends points to InfluxDB; without it none are made.
    `specification_of` finds the auditor's specifications of clearing rules that are not shipped.
    `report` gets a line of text for people, `on_loop` the event loop before it runs.
    Raises BrokerError when the broker refuses the recorder for good, StoreError when the folder cannot be used at
    the start.
    """
    begun = False
    while not stop_requested():
        try:
            process = RecorderProcess(
                folder,
                site,
                facts,
                name=name,
                write=write,
                max_spool_bytes=max_spool_bytes,
                specification_of=specification_of,
                verify=credentials.verify,
            )
            with process:
                begun = True
                process.run(address, credentials.login, client_id, stop_requested, report, on_loop)
        except StoreError as error:
            if not begun:
                raise
            report(f"{error}; trying again every {RETRY_S:g} s; the broker queues messages until then")
            until = time.monotonic() + RETRY_S
            while time.monotonic() < until and not stop_requested():
                time.sleep(0.1)


class RecorderProcess:
    """A durable recorder with its spool, sender and connection; a context manager, abandoned on an error."""

    def __init__(
        self,
        folder: Path,
        site: str,
        facts: Callable[[str], RunFacts],
        *,
        name: str = "",
        write: Write | None = None,
        max_spool_bytes: int = MAX_BYTES,
        specification_of: SpecificationOf | None = None,
        verify: Verify | None = None,
    ) -> None:
        self._folder = folder
        self._site = site
        self._spool: Spool | None = None
        self._sender: Sender | None = None
        self._lock = lock_folder(folder)
        try:
            if write is not None:
                self._spool = Spool(folder / SPOOL, max_bytes=max_spool_bytes)
                self._sender = Sender(self._spool, write)
            self._had_session = self._has_record = had_session(folder)
            self._recorder = DurableRecorder(
                folder,
                site,
                facts,
                self._spool,
                name=name,
                specification_of=specification_of,
                verify=verify,
            )
        except BaseException:
            if self._spool is not None:
                self._spool.abandon()
            self._lock.close()
            raise
        self._connections = 0
        self._reported_taken_over = False
        self._loop: MqttLoop
        self._sync_due = False

    def __enter__(self) -> Self:
        """Start to send points."""
        if self._sender is not None:
            self._sender.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Keep everything; after an error, abandon what is not safe: the broker delivers it again."""
        try:
            if kind is None:
                self._recorder.close()
        finally:
            self._recorder.abandon()
            if self._sender is not None:
                self._sender.stop()
            try:
                if self._spool is not None:
                    if kind is None:
                        self._spool.close()
                    else:
                        self._spool.abandon()
            finally:
                self._lock.close()

    def run(
        self,
        address: BrokerAddress,
        login: Callable[[str], Any],
        client_id: str,
        stop_requested: Callable[[], bool],
        report: Callable[[str], None],
        on_loop: Callable[[MqttLoop], None] = lambda _loop: None,
    ) -> None:
        """Receive the site's messages until `stop_requested`."""
        recorder = self._recorder
        with MqttLoop(address, schema=SCHEMA) as loop:
            self._loop = loop
            on_loop(loop)
            self._connection = connection = loop.open(
                client_id,
                on_message=self._receive,
                filters=[(all_topics_filter(self._site), 1)],
                on_online=lambda: self._on_online(report),
                on_problem=lambda reason, _topic: self.on_problem(reason, report),
                session_s=SESSION_S,
                persistent_session=PersistentSession(recorder.is_known),
                login=login(RECORDER_ID),
            )
            self._write_status()
            loop.call_later(CHECKPOINT_S, self._checkpoint)
            loop.call_later(HEALTH_S, self._health)
            reported_s = time.monotonic()
            while not stop_requested():
                loop.run_until(stop_requested, 0.5)
                if self._sender is not None and not self._sender.alive:
                    raise RuntimeError("the sender thread has stopped: see the error in the log above")
                if not connection.online and time.monotonic() - reported_s > RETRY_S:
                    reported_s = time.monotonic()
                    report(loop.offline_reason)
            recorder.checkpoint()
            connection.acknowledge()
            self._write_status()

    # --- inside ------------------------------------------------------------------------------------------

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        if retained and self._connection.resumed and self._has_record:
            return  # the broker has queued it as well, behind what came before it
        self._recorder.receive(topic, payload, time.time_ns() // 1_000_000, retained=retained)
        self._publish_judgements()
        if not self._sync_due:
            self._sync_due = True
            self._loop.call_later(SYNC_S, self._sync)

    def _publish_judgements(self) -> None:
        for device, suspension in self._recorder.judgements():
            topic, payload, qos, retain = publication(self._site, suspension, device, RECORDER_ID)
            self._connection.publish(topic, payload, qos=qos, retain=retain)

    def _sync(self) -> None:
        self._sync_due = False
        self._recorder.sync()
        self._connection.acknowledge()

    def _checkpoint(self) -> None:
        self._loop.call_later(CHECKPOINT_S, self._checkpoint)
        self._recorder.checkpoint()
        self._connection.acknowledge()

    def _on_online(self, report: Callable[[str], None]) -> None:
        self._connections += 1
        first, self._had_session = not self._had_session, True
        self._has_record = self._has_record or self._connections > 1
        if not self._connection.resumed and not first:
            report(
                "the broker has lost the session: messages published while the recorder was offline are missing"
            )
            self._recorder.note_gap(time.time_ns() // 1_000_000)
        report(f"connected, recording {self._site}")
        self._publish_judgements()
        self._loop.call_later(0.0, self._write_status)

    def on_problem(self, reason: str, report: Callable[[str], None]) -> None:
        """Report once that another client uses the same id."""
        if reason == SESSION_TAKEN_OVER and not self._reported_taken_over:
            self._reported_taken_over = True
            report("disconnected: another client uses the same id; give one of the two another with --id")

    def _health(self) -> None:
        self._loop.call_later(HEALTH_S, self._health)
        self._write_status()
        if self._spool is not None:
            live_status = self._recorder.live_status.point(time.time_ns() // 1_000_000)
            self._spool.add(
                line_protocol(point) for point in (self._point(), live_status) if point is not None
            )

    def _figures(self) -> dict[str, Any]:
        recorder, sender = self._recorder, self._sender
        last_ms = recorder.last_received_ms
        spool = self._spool.status() if self._spool is not None else SpoolStatus(0, 0, 0.0, 0, 0, 0, Path())
        return {
            "connected": self._connection.online,
            "connections": self._connections,
            "received": recorder.received,
            "refused": recorder.refused,
            "redelivered": recorder.redelivered,
            "silent_s": max(time.time() - last_ms / 1000, 0.0) if last_ms else None,
            "points": recorder.points,
            "backlog": spool.backlog,
            "backlog_bytes": spool.backlog_bytes,
            "oldest_s": spool.oldest_s,
            "sent": spool.sent,
            "rejected": spool.rejected,
            "dropped": spool.dropped,
            "failures": 0 if sender is None else sender.failures,
            "rss_bytes": rss_bytes(),
        }

    def _point(self) -> Point:
        return Point(RECORDER.name, {"site": self._site}, self._figures(), time.time_ns() // 1_000_000)

    def _write_status(self) -> None:
        """Write the status file."""
        status = {
            **self._figures(),
            "site": self._site,
            "run": self._recorder.run,
            "breaches": self._recorder.breaches,
            "flooding": self._recorder.flooding,
            "pid": os.getpid(),
            "time": time.time(),
            "journal_bytes": self._recorder.journal_bytes,
            "offline_reason": self._connection.offline_reason,
            "influx_error": "" if self._sender is None else self._sender.last_error,
            "has_spool": self._spool is not None,
            "had_session": self._had_session,
        }
        write_status(self._folder, status)
