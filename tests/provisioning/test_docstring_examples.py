"""The examples in docstrings of the command line are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["cli.arguments", "cli.clock_options", "clients.control_client"])
def test_docstring_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.provisioning.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
