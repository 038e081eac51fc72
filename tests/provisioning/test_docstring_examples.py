"""The examples in docstrings of `provisioning/` are correct."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "api.runs",
        "api.table",
        "chaos.plan",
        "cli.arguments",
        "cli.clock_options",
        "clients.control_client",
        "deploy.kubernetes.objects",
        "flash.card",
        "flash.seed",
        "upgrade.bundle",
    ],
)
def test_docstring_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.provisioning.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
