"""Tries what a broker, or each pair of nodes of a cluster, does with messages: what a site relies on and cannot see.

A cluster that learns retained messages and subscriptions late loses some of them without a word: then a run has another
ledger, and holds. So each node is tried against each other one, with subscriptions and messages under a site's
name that nobody uses.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN, Login, PersistentSession
from gridfleet.broker.protocol.codec import MAX_PAYLOAD
from gridfleet.broker.protocol.messages import Mode
from gridfleet.broker.protocol.topics import ROOT
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.doctor.connection import CONNECT_TIMEOUT_S
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, Severity, fail, ok, warn

MAX_LOST: Final = 2
"""After so many lost messages no more are tried."""
ROUNDS: Final = 10
"""How many subscriptions, and how many retained messages, are tried between two nodes."""
ANSWER_S: Final = 2.0
EXPIRY_S: Final = 1.0
EXPIRED_S: Final = 2.5
SESSION_S: Final = 60
_SLICE_S: Final = 0.005
_CLUSTER: Final = (
    "let all clients use one node, or a cluster that shares retained messages and subscriptions at once"
)
_OTHER: Final = "use another broker: docs/how-to/site/broker.md names those that were tested"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result, and whether lock-step cannot do without it."""

    diagnosis: Diagnosis
    needed: bool = False
    for_processes: bool = False
    """Whether a site whose processes start one after the other cannot do without it."""


class NodeTrial:
    """Event loops at the nodes of a broker, run together; a context manager."""

    def __init__(self, address: BrokerAddress, login: Login = NO_LOGIN) -> None:
        """Connect nothing yet."""
        self._login = login
        self._stack = ExitStack()
        self.nodes = address.all
        self.loops: list[MqttLoop] = []
        self._prefix = f"{ROOT}/check-{secrets.token_hex(4)}"  # a site of its own
        self._number = 0

    def __enter__(self) -> Self:
        self.loops = [self._stack.enter_context(MqttLoop(replace(node, others=()))) for node in self.nodes]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def version(self) -> str:
        """The MQTT version that the broker speaks."""
        return self.loops[0].version_name

    def topic(self) -> str:
        """Return a topic that was never used."""
        self._number += 1
        return f"{self._prefix}/{self._number}/device"

    def open(
        self,
        node: int,
        received: list[bytes] | None = None,
        topic: str = "",
        *,
        session: str = "",
        denied: Callable[[], None] = lambda: None,
    ) -> Connection:
        """Return a connection at a node that is online; raise BrokerError where it does not come online."""
        loop = self.loops[node]
        taken = [] if received is None else received
        connection = loop.open(
            session or f"check-{secrets.token_hex(4)}",
            on_message=lambda _topic, payload, _retained: taken.append(payload),
            filters=[(topic, 1)] if topic else [],
            on_problem=lambda *_: denied(),
            session_s=SESSION_S if session else 0,
            persistent_session=PersistentSession(lambda *_: False) if session else None,
            login=self._login,
        )
        if not self.run_until(lambda: connection.online, CONNECT_TIMEOUT_S):
            raise BrokerError(loop.offline_reason or f"{self.nodes[node]} does not answer")
        return connection

    def run_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Run all loops until a condition holds; return False when the time is over before."""
        for _ in range(max(1, round(timeout_s / _SLICE_S / len(self.loops)))):
            if any(loop.run_until(condition, _SLICE_S) for loop in self.loops):
                return True
        return condition()


def try_capabilities(
    address: BrokerAddress, login: Login = NO_LOGIN, *, thorough: bool = True
) -> Iterator[Finding]:
    """Yield what a broker does with messages, each node of a cluster tried against each other one.

    Without `thorough` only what a run needs at once is tried, in a fraction of a second. A broker that lets this login
    publish nothing outside of a site is not tried. Raises BrokerError for a broker that cannot be reached.
    """
    with NodeTrial(address, login) as trial:
        denied: list[bool] = []
        sender = trial.open(0, denied=lambda: denied.append(True))
        sender.publish(trial.topic(), b"", qos=1)
        acknowledged = trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
        if denied:
            text = "access rules do not let this login publish outside of a site"
            yield Finding(
                warn("messages", f"not tried: {text}", "try a listener without access rules, or believe it")
            )
            return
        if not acknowledged:
            yield Finding(fail("QoS 1", "a message is not acknowledged", _OTHER), needed=True)
            return
        yield _version(trial)
        names = [str(node) for node in trial.nodes]
        for one, other in _pairs(len(names)):
            where = f" from {names[one]} to {names[other]}" if len(names) > 1 else ""
            yield _subscriptions(trial, one, other, where)
            yield _retained(trial, one, other, where)
        yield _retained_by_wildcard(trial)
        if thorough:
            yield _packet_size(trial)
            yield _session(trial)
            if trial.version == "MQTT 5":
                yield _expiry(trial)
            yield _shared(trial)


def preflight(
    address: BrokerAddress, mode: Mode, report: Callable[[str], None], *, processes: bool = False
) -> None:
    """Try what a run in this mode needs of a broker, in one process or in several, and say what it lacks.

    Raises CommandError where the run would not be what it says: lock-step on a broker that loses messages without a
    word; BrokerError for a broker that cannot be reached.
    """
    for finding in try_capabilities(address, thorough=False):
        diagnosis = finding.diagnosis
        if diagnosis.severity is not Severity.FAIL or (finding.for_processes and not processes):
            continue
        if finding.for_processes:
            raise CommandError(str(address), f"{diagnosis.subject}: {diagnosis.text}; {diagnosis.remedy}")
        if finding.needed and mode is Mode.LOCKSTEP:
            problem = f"{diagnosis.subject}: {diagnosis.text}, so lock-step would not give the ledger of the simulation"
            raise CommandError(str(address), f"{problem}; {diagnosis.remedy}, or run with --mode scaled")
        report(f"{address}: {diagnosis.subject}: {diagnosis.text}; {diagnosis.remedy}")


def _pairs(nodes: int) -> list[tuple[int, int]]:
    return [(one, other) for one in range(nodes) for other in range(nodes) if one != other or nodes == 1]


def _version(trial: NodeTrial) -> Finding:
    if trial.version == "MQTT 5":
        return Finding(ok("version", trial.version))
    return Finding(
        warn(
            "version", f"{trial.version} only", "docs/reference/mqtt.md says what a site lacks then; it works"
        )
    )


def _subscriptions(trial: NodeTrial, one: int, other: int, where: str) -> Finding:
    """Publish at one node right after a subscription at another was accepted."""
    lost = tried = 0
    sender = trial.open(one)
    while tried < ROUNDS and lost < MAX_LOST:
        tried += 1
        topic, received = trial.topic(), list[bytes]()
        listener = trial.open(other, received, f"{topic.rpartition('/')[0]}/+")
        sender.publish(topic, b"1", qos=1)
        lost += not trial.run_until(lambda received=received: bool(received), ANSWER_S if not lost else 0.5)  # type: ignore[misc]
        listener.abort()
    sender.close()
    if lost:
        text = f"{lost} of {tried} messages after an accepted subscription are lost{where}"
        return Finding(fail("subscriptions", text, _CLUSTER), needed=True)
    return Finding(ok("subscriptions", f"count from the moment they are accepted{where}"), needed=True)


def _retained(trial: NodeTrial, one: int, other: int, where: str) -> Finding:
    """Retain messages at one node, and subscribe at another at once."""
    sender = trial.open(one)
    topics = [trial.topic() for _ in range(ROUNDS)]
    for topic in topics:
        sender.publish(topic, topic.encode(), qos=1, retain=True)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    received: list[bytes] = []
    listeners = [trial.open(other, received, topic) for topic in topics]
    trial.run_until(lambda: len({*received}) == ROUNDS, ANSWER_S)
    for topic in topics:
        sender.publish(topic, b"", qos=1, retain=True)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    for each in (sender, *listeners):
        each.close()
    lost = ROUNDS - len({*received} - {b""})
    if lost:
        text = f"{lost} of {ROUNDS} retained messages do not reach a new subscriber{where}"
        return Finding(fail("retained messages", text, _CLUSTER if where else _OTHER), needed=True)
    return Finding(ok("retained messages", f"reach new subscribers{where}"), needed=True)


def _retained_by_wildcard(trial: NodeTrial) -> Finding:
    """Retain messages, and subscribe to all of them at once, as a process does that starts later than others."""
    sender = trial.open(0)
    topics = [trial.topic() for _ in range(ROUNDS)]
    for topic in topics:
        sender.publish(topic, topic.encode(), qos=1, retain=True)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    received: list[bytes] = []
    listener = trial.open(0, received, f"{topics[0].rpartition('/')[0].rpartition('/')[0]}/#")
    arrived = trial.run_until(lambda: {topic.encode() for topic in topics} <= {*received}, ANSWER_S)
    for topic in topics:
        sender.publish(topic, b"", qos=1, retain=True)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    for each in (sender, listener):
        each.close()
    if arrived:
        return Finding(ok("wildcards", "a subscriber to many topics gets what is retained under them"))
    text = "a subscriber to many topics does not get what is retained under them"
    remedy = (
        "`gridfleet run` works there; site processes, watch and status do not: use another broker for them"
    )
    return Finding(fail("wildcards", text, remedy), for_processes=True)


def _packet_size(trial: NodeTrial) -> Finding:
    topic, received = trial.topic(), list[bytes]()
    listener = trial.open(0, received, topic)
    sender = trial.open(0)
    sender.publish(topic, b"x" * MAX_PAYLOAD, qos=1)
    arrived = trial.run_until(lambda: bool(received), ANSWER_S)
    for each in (listener, sender):
        each.abort()
    if arrived and len(received[0]) == MAX_PAYLOAD:
        return Finding(ok("packet size", f"{MAX_PAYLOAD} bytes of payload are delivered"))
    return Finding(
        fail(
            "packet size",
            f"a payload of {MAX_PAYLOAD} bytes is not delivered",
            "allow packets of 21 504 bytes there",
        )
    )


def _session(trial: NodeTrial) -> Finding:
    """Publish while a client with a session is offline."""
    topic, received, name = trial.topic(), list[bytes](), f"check-{secrets.token_hex(4)}"
    first = trial.open(0, received, topic, session=name)
    first.abort()
    sender = trial.open(0)
    sender.publish(topic, b"kept", qos=1)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    again = trial.open(0, received, topic, session=name)
    arrived = trial.run_until(lambda: b"kept" in received, ANSWER_S)
    again.acknowledge()
    for each in (again, sender):
        each.abort()
    trial.loops[0].run_until(lambda: False, 0.05)
    trial.open(0, session="").close()
    if arrived:
        return Finding(ok("sessions", "keep what is published while a recorder is offline"))
    return Finding(
        warn(
            "sessions",
            "keep nothing while a client is offline",
            "a recorder that restarts misses messages; queue some there",
        )
    )


def _expiry(trial: NodeTrial) -> Finding:
    topic, received = trial.topic(), list[bytes]()
    sender = trial.open(0)
    sender.publish(topic, b"old", qos=1, retain=True, expiry_s=EXPIRY_S)
    trial.run_until(lambda: False, EXPIRED_S)
    listener = trial.open(0, received, topic)
    arrived = trial.run_until(lambda: bool(received), 0.3)
    sender.publish(topic, b"", qos=1, retain=True)
    trial.run_until(lambda: sender.all_acknowledged, ANSWER_S)
    for each in (sender, listener):
        each.close()
    if arrived:
        return Finding(
            warn("expiry", "expired messages are delivered", "nothing: receivers refuse them by their tick")
        )
    return Finding(ok("expiry", "expired messages are dropped"))


def _shared(trial: NodeTrial) -> Finding:
    """Try a shared subscription, which a site does not need."""
    topic, received = trial.topic(), list[bytes]()
    try:
        listener = trial.open(0, received, f"$share/check/{topic}")
        sender = trial.open(0)
        sender.publish(topic, b"1", qos=1)
        arrived = trial.run_until(lambda: bool(received), ANSWER_S)
        for each in (listener, sender):
            each.close()
    except BrokerError:
        arrived = False
    return Finding(
        ok("shared subscriptions", "are available" if arrived else "are not available; a site needs none")
    )
