"""The examples in docstrings of devices are run."""

import doctest
import importlib

import pytest

MODULES = (
    "agents.base",
    "charging.out_of_service",
    "config.scenario",
    "config.toml_errors",
    "config.toml_lines",
    "market.clearing",
    "market.packages",
    "physics.battery",
    "physics.demand",
    "physics.driving",
    "physics.geo",
    "physics.turbine",
    "random_streams",
    "trust.reputation",
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_right(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.devices.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
