"""The recorder as a process: a broker's client whose messages are answered for when they are safe on disk."""

import fcntl
import json
import logging
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials, PersistentSession
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.topics import RECORDER_ID, all_topics_filter
from gridfleet.dashboards.recording.durable_recorder import DurableRecorder
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.influx.sender import Sender, Write
from gridfleet.dashboards.telemetry.influx.spool import MOST_BYTES, Spool, SpoolFigures
from gridfleet.dashboards.telemetry.points import Point, line
from gridfleet.dashboards.telemetry.table import RECORDER

LOG: Final = logging.getLogger(__name__)
SESSION_S: Final = 7 * 24 * 3600
"""How long the broker keeps what is said while no recorder is there, in seconds."""
SYNC_S: Final = 0.02
"""How long a message may wait for the next sync, in seconds: many share one."""
CHECKPOINT_S: Final = 1.0
HEALTH_S: Final = 10.0
RETRY_S: Final = 5.0
SPOOL: Final = "spool"
STATUS: Final = "status.json"
LOCK: Final = "lock"


def record(  # noqa: PLR0913 - all that the command line says
    folder: Path,
    site: str,
    address: BrokerAddress,
    facts: Callable[[str], RunFacts],
    *,
    name: str = "",
    write: Write | None = None,
    credentials: Credentials = ADDRESS_CREDENTIALS,
    client_id: str = RECORDER_ID,
    most_spool_bytes: int = MOST_BYTES,
    stop_requested: Callable[[], bool],
    tell: Callable[[str], None],
    watch: Callable[[MqttLoop], None] = lambda _loop: None,
) -> None:
    """Record a site until asked to end; a lost broker, server or full disk is waited for.

    `write` sends points to InfluxDB; without it none are made. `watch` gets the loop before it runs.
    Raises BrokerError when the broker refuses the recorder for good, StoreError when the folder cannot be used to
    begin with.
    """
    begun = False
    while not stop_requested():
        try:
            service = Service(folder, site, facts, name=name, write=write, most_spool_bytes=most_spool_bytes)
            with service:
                begun = True
                service.run(address, credentials.login, client_id, stop_requested, tell, watch)
        except StoreError as error:
            if not begun:
                raise
            tell(f"{error}; trying again every {RETRY_S:g} s, meanwhile the broker keeps what is said")
            until = time.monotonic() + RETRY_S
            while time.monotonic() < until and not stop_requested():
                time.sleep(0.1)


class Service:
    """A live recorder with its spool, its sender and its connection; a context manager, abandoned on an error."""

    def __init__(
        self,
        folder: Path,
        site: str,
        facts: Callable[[str], RunFacts],
        *,
        name: str = "",
        write: Write | None = None,
        most_spool_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = folder
        self._site = site
        self._spool: Spool | None = None
        self._sender: Sender | None = None
        self._lock = _lock(folder)
        try:
            if write is not None:
                self._spool = Spool(folder / SPOOL, most_bytes=most_spool_bytes)
                self._sender = Sender(self._spool, write)
            self._is_first = not (folder / STATUS).is_file()
            self._live = DurableRecorder(folder, site, facts, self._spool, name=name)
        except BaseException:
            if self._spool is not None:
                self._spool.abandon()
            self._lock.close()
            raise
        self._connections = 0
        self._thrown_out = False
        self._loop: MqttLoop
        self._sync_due = False

    def __enter__(self) -> Self:
        """Begin to send."""
        if self._sender is not None:
            self._sender.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Keep everything; after an error, abandon what is not safe: the broker will deliver it again."""
        try:
            if kind is None:
                self._live.close()
        finally:
            self._live.abandon()
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
        tell: Callable[[str], None],
        watch: Callable[[MqttLoop], None] = lambda _loop: None,
    ) -> None:
        """Hear the site until asked to end; `watch` gets the loop before it runs."""
        live = self._live
        with MqttLoop(address, schema=SCHEMA) as loop:
            self._loop = loop
            watch(loop)
            self._connection = connection = loop.open(
                client_id,
                on_message=self._hear,
                filters=[(all_topics_filter(self._site), 1)],
                on_online=lambda: self._is_online(tell),
                on_problem=lambda reason, _topic: self._trouble(reason, tell),
                session_s=SESSION_S,
                persistent_session=PersistentSession(live.known),
                login=login(RECORDER_ID),
            )
            self._report()
            loop.call_later(CHECKPOINT_S, self._checkpoint)
            loop.call_later(HEALTH_S, self._health)
            told_s = time.monotonic()
            while not stop_requested():
                loop.run_until(stop_requested, 0.5)
                if self._sender is not None and not self._sender.alive:
                    raise RuntimeError("the sender has ended by itself; its last words are above")
                if not connection.online and time.monotonic() - told_s > RETRY_S:
                    told_s = time.monotonic()
                    tell(loop.offline_reason)
            live.checkpoint()
            connection.acknowledge()
            self._report()

    # --- inside ------------------------------------------------------------------------------------------

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        self._live.hear(topic, payload, time.time_ns() // 1_000_000, retained=retained)
        if not self._sync_due:
            self._sync_due = True
            self._loop.call_later(SYNC_S, self._sync)

    def _sync(self) -> None:
        self._sync_due = False
        self._live.sync()
        self._connection.acknowledge()

    def _checkpoint(self) -> None:
        self._loop.call_later(CHECKPOINT_S, self._checkpoint)
        self._live.checkpoint()
        self._connection.acknowledge()

    def _is_online(self, tell: Callable[[str], None]) -> None:
        self._connections += 1
        if not self._connection.resumed and not (self._is_first and self._connections == 1):
            tell("the broker has forgotten the session: what was said while the recorder was away is lost")
            self._live.missed(time.time_ns() // 1_000_000)
        tell(f"hears {self._site}")
        self._loop.call_later(0.0, self._report)

    def _trouble(self, reason: str, tell: Callable[[str], None]) -> None:
        if reason == SESSION_TAKEN_OVER and not self._thrown_out:
            self._thrown_out = True
            tell("was thrown out: another client has the same id; give one of the two another with --id")

    def _health(self) -> None:
        self._loop.call_later(HEALTH_S, self._health)
        self._report()
        if self._spool is not None:
            standing = self._live.standing.point(time.time_ns() // 1_000_000)
            self._spool.add(line(point) for point in (self._point(), standing) if point is not None)

    def _figures(self) -> dict[str, Any]:
        live, sender = self._live, self._sender
        spool = self._spool.figures() if self._spool is not None else SpoolFigures(0, 0, 0.0, 0, 0, 0, Path())
        return {
            "connected": self._connection.online,
            "connections": self._connections,
            "heard": live.heard,
            "refused": live.refused,
            "redelivered": live.redelivered,
            "silent_s": max(time.time() - live.last_heard_ms / 1000, 0.0) if live.last_heard_ms else None,
            "points": live.points,
            "backlog": spool.backlog,
            "backlog_bytes": spool.backlog_bytes,
            "oldest_s": spool.oldest_s,
            "sent": spool.sent,
            "rejected": spool.rejected,
            "dropped": spool.dropped,
            "failures": 0 if sender is None else sender.failures,
            "rss_bytes": _rss_bytes(),
        }

    def _point(self) -> Point:
        return Point(RECORDER.name, {"site": self._site}, self._figures(), time.time_ns() // 1_000_000)

    def _report(self) -> None:
        """Leave word for `gridfleet recorder status`."""
        status = {
            **self._figures(),
            "site": self._site,
            "run": self._live.run,
            "pid": os.getpid(),
            "time": time.time(),
            "journal_bytes": self._live.journal_bytes,
            "trouble": self._connection.offline_reason,
            "influx_trouble": "" if self._sender is None else self._sender.trouble,
            "has_spool": self._spool is not None,
        }
        draft = self._folder / f".{STATUS}"
        try:
            draft.write_text(json.dumps(status, indent=1), encoding="utf-8")
            draft.replace(self._folder / STATUS)
        except OSError as error:
            LOG.warning("%s cannot be written (%s)", self._folder / STATUS, error_reason(error))


def _lock(folder: Path) -> IO[str]:
    """Return the file that is locked for as long as it is open; raise StoreError where another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w", encoding="ascii")
    except OSError as error:
        raise StoreError(
            folder, f"cannot be used ({error_reason(error)})", "make sure that it can be written and has room"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(
            folder, "another recorder writes there", "choose another folder with --out"
        ) from None
    except OSError as error:
        LOG.warning(
            "%s cannot be locked (%s): no other recorder may write there", folder, error_reason(error)
        )
    return file


def _rss_bytes() -> int:
    """Return resident memory: now where the system tells, else at its highest."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
