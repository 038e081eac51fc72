"""The examples in the docstrings of `broker/` run and show what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "access_control",
        "address",
        "mqtt.packet_codec",
        "mqtt.reconnect",
        "protocol.codec",
        "protocol.decoder",
        "protocol.topics",
        "protocol.units",
    ],
)
def test_the_examples_of_a_module_are_right(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.broker.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
