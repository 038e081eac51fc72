"""The examples in docstrings of `broker/` are correct."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "access_control",
        "address",
        "errors",
        "mqtt.packet_codec",
        "mqtt.reconnect",
        "protocol.codec",
        "protocol.decoder",
        "protocol.messages.trust",
        "protocol.publication",
        "protocol.topics",
        "protocol.units",
        "simulated_time",
        "yaml_text",
    ],
)
def test_the_examples_of_a_module_are_right(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.broker.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
