"""The inbox: received messages are dispatched in order, and a lost connection is not reported as online."""

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import ClientOptions, PersistentSession
from gridfleet.broker.mqtt.session import Inbox


def make_inbox(log: list[str], persistent: PersistentSession | None = None) -> Inbox:
    def on_message(topic: str, _payload: bytes, _retained: bool) -> None:
        log.append(topic)
        if topic == "bad":
            raise ZeroDivisionError

    return Inbox(
        ClientOptions(
            address=BrokerAddress("broker.example", 1883),
            tls=None,
            on_message=on_message,
            on_online=lambda: log.append("online"),
            on_problem=None,
            session_s=0,
            will=None,
            filters=[],
            persistent_session=persistent,
        )
    )


def test_messages_and_online_are_dispatched_in_order_and_once() -> None:
    log: list[str] = []
    inbox = make_inbox(log)
    inbox.add("a", b"", False)
    inbox.add_online()
    inbox.add("b", b"", False)
    inbox.dispatch(lambda: True)
    inbox.dispatch(lambda: True)
    assert log == ["a", "online", "b"]


def test_a_connection_that_was_lost_meanwhile_is_not_reported_as_online() -> None:
    log: list[str] = []
    inbox = make_inbox(log)
    inbox.add_online()
    inbox.add("a", b"", False)
    inbox.dispatch(lambda: False)
    assert log == ["a"]


def test_an_exception_leaves_the_rest_for_the_next_call() -> None:
    log: list[str] = []
    inbox = make_inbox(log)
    for topic in ("bad", "good"):
        inbox.add(topic, b"", False)
    with pytest.raises(ZeroDivisionError):
        inbox.dispatch(lambda: True)
    inbox.dispatch(lambda: True)
    assert log == ["bad", "good"]


def test_a_lost_persistent_session_forgets_what_the_broker_will_deliver_again() -> None:
    log: list[str] = []
    inbox = make_inbox(log, PersistentSession(lambda _topic, payload: payload == b"stored"))
    session = inbox.session
    assert session is not None
    inbox.add_unacknowledged("a", b"1", False, 1, False)
    inbox.connection_lost()
    inbox.dispatch(lambda: True)
    assert (log, session.unacknowledged) == ([], [])
    session.begin(resumed=True)
    inbox.add_unacknowledged("a", b"stored", False, 1, True)
    inbox.add_unacknowledged("a", b"2", False, 2, False)
    inbox.dispatch(lambda: True)
    assert (log, session.unacknowledged) == (["a"], [1, 2])
    assert session.take_unacknowledged() == [1, 2]
    assert session.unacknowledged == []


def test_without_a_persistent_session_messages_survive_a_lost_connection() -> None:
    log: list[str] = []
    inbox = make_inbox(log)
    inbox.add("a", b"", False)
    inbox.connection_lost()
    inbox.dispatch(lambda: True)
    assert log == ["a"]


def test_a_closed_inbox_takes_nothing() -> None:
    log: list[str] = []
    inbox = make_inbox(log)
    inbox.add("a", b"", False)
    inbox.close()
    inbox.add("b", b"", False)
    inbox.add_online()
    inbox.dispatch(lambda: True)
    assert log == []
