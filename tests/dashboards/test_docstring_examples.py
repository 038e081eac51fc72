"""The examples in docstrings of pages, reports and Grafana's builders are run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "console.phase_steps",
        "reports.metrics",
        "reports.summary_text",
        "grafana.templates",
        "grafana.builders.flux",
    ],
)
def test_examples_in_docstrings_are_correct(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.dashboards.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
