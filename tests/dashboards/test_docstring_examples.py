"""The examples in docstrings of the dashboards are run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "console.phase_steps",
        "console.site_view",
        "console.terminal_view",
        "errors",
        "kind_names",
        "reports.metrics",
        "reports.own_figures",
        "reports.summary_text",
        "grafana.templates",
        "grafana.builders.flux",
        "market.aggregate",
        "recording.trace",
        "store.database",
        "telemetry.points",
        "telemetry.tags",
    ],
)
def test_examples_in_docstrings_are_correct(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"gridfleet.dashboards.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
