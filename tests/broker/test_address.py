"""Broker URLs."""

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://grid", BrokerAddress("grid", 1883)),
        ("mqtts://grid", BrokerAddress("grid", 8883, tls=True)),
        ("mqtt://grid:99/", BrokerAddress("grid", 99)),
        ("mqtt://[::1]:99", BrokerAddress("::1", 99)),
        (
            "mqtts://me:p%40ss%3A@grid:1",
            BrokerAddress("grid", 1, tls=True, username="me", password="p@ss:"),
        ),
        ("mqtt://me@grid", BrokerAddress("grid", 1883, username="me")),
        ("ws://grid", BrokerAddress("grid", 80, path="/mqtt")),
        ("wss://grid:9443/broker/ws", BrokerAddress("grid", 9443, tls=True, path="/broker/ws")),
        (
            "mqtts://me:x@one,mqtts://two:99",
            BrokerAddress(
                "one",
                8883,
                tls=True,
                username="me",
                password="x",
                others=(BrokerAddress("two", 99, tls=True, username="me", password="x"),),
            ),
        ),
    ],
)
def test_a_url_is_parsed_into_an_address(url: str, address: BrokerAddress) -> None:
    assert BrokerAddress.parse(url) == address


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("grid:1883", "must begin with mqtt"),
        ("http://grid", "must begin with mqtt"),
        ("mqtt:grid", "must begin with mqtt"),
        ("", "must begin with mqtt"),
        ("mqtt://", "host is missing"),
        ("mqtt://:1883", "host is missing"),
        ("mqtt://grid:0", "port must be 1 to 65535"),
        ("mqtt://grid:70000", "port must be 1 to 65535"),
        ("mqtt://grid:x", "port must be 1 to 65535"),
        ("mqtt://[::1", "port must be 1 to 65535"),
        ("mqtt://grid/topic", "nothing may follow"),
        ("mqtt://grid?x=1", "nothing may follow"),
        ("mqtt://:secret@grid", "needs a user name"),
        ("mqtt://me:pass#word@grid", "write # as %23"),
        ("mqtt://me:pa/ss@grid", "/ as %2F"),
        ("ws://grid/mqtt?x=1", "only a path may follow"),
        ("mqtt://one,mqtt://two/topic", "nothing may follow"),
    ],
)
def test_the_error_of_a_wrong_url_says_what_is_wrong(url: str, wrong: str) -> None:
    with pytest.raises(BrokerError, match=wrong):
        BrokerAddress.parse(url)


def test_a_password_is_never_shown() -> None:
    address = BrokerAddress.parse("mqtt://me:secret@grid")
    assert "secret" not in f"{address} {address!r}"
    with pytest.raises(BrokerError) as caught:
        BrokerAddress.parse("mqtt://me:secret@grid/topic")
    assert "secret" not in str(caught.value)
    assert str(BrokerAddress.parse("mqtts://me:secret@[::1]")) == "mqtts://[::1]:8883"
