"""The notebook of examples/notebook: it runs beside the installed wheel, its figures are right, its outputs current."""

import base64
import io
import json
import math
import pickle
import re
import shutil
from operator import mul
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

import pytest
from matplotlib import image
from scipy import stats

from gridfleet import Scenario, simulate
from tests.conftest import ROOT
from tests.installation import Installation, install

NOTEBOOK: Final = ROOT / "examples" / "notebook" / "wind-and-prices.ipynb"
EXECUTE: Final = ROOT / "tools" / "execute_notebook.py"
NEEDS: Final = ("gridfleet[run]", "pandas", "scipy", "ipykernel", "nbclient")
"""What its README asks for; instead of JupyterLab, the parts of it that execute a notebook without a browser."""
MAX_BYTES: Final = 300_000
SMALL: Final = "TICKS = 40\nSEEDS = range(1, 5)\n"
"""Parameters with which it takes seconds."""
DUMP: Final = """\
import pickle
from pathlib import Path

variables = {
    "package": gridfleet.__file__,
    "scenario": scenario,
    "holds": all(finding.holds for finding in one.findings),
    "columns": {"ticks": list(ticks.columns), "trades": list(trades.columns)},
    "paid_eur": sales["paid_eur"].sum(),
    "verdicts": verdicts,
    "points": [len(settled), len(every)],
    "correlation": correlation,
    "medians": eighths["mean_price"].tolist(),
    "metrics": {run: result.metrics for run, result in results.items()},
    "comparison": comparison.to_dict("index"),
}
Path("variables.pickle").write_bytes(pickle.dumps(variables))
"""
"""A cell for the end of the copy, which keeps what the notebook has computed."""


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def outputs(notebook: dict[str, Any]) -> list[str]:
    """The outputs of all cells as text, each picture as the word `picture`."""
    return [
        "picture" if "image/png" in output.get("data", {}) else "".join(text(output))
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
    ]


def text(output: dict[str, Any]) -> list[str]:
    lines: list[str] = output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
    return lines


def pictures(notebook: dict[str, Any]) -> list[bytes]:
    return [
        base64.b64decode(output["data"]["image/png"])
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]


@pytest.fixture(scope="module")
def jupyter(own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("jupyter"), own_wheel, *NEEDS)


def executed(jupyter: Installation, path: Path) -> dict[str, Any]:
    ended = jupyter.run(path.parent, "python", str(EXECUTE), str(path))
    assert (ended.code, ended.err) == (0, "")
    return read(path)


@pytest.fixture(scope="module")
def small(jupyter: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the notebook, executed with small parameters, and with its variables."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = read(NOTEBOOK)
    (parameters,) = (cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ()))
    parameters["source"] = SMALL
    last: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    notebook["cells"].append({**last, "id": "dump", "source": DUMP})
    path = folder / NOTEBOOK.name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    executed(jupyter, path)
    return folder


@pytest.fixture(scope="module")
def variables(small: Path) -> dict[str, Any]:
    found: dict[str, Any] = pickle.loads((small / "variables.pickle").read_bytes())  # noqa: S301 - our own
    return found


def test_it_runs_beside_the_installed_wheel(variables: dict[str, Any], jupyter: Installation) -> None:
    assert Path(variables["package"]).is_relative_to(jupyter.folder)
    assert variables["holds"]
    assert variables["verdicts"] == {"holds"}


def test_its_key_figures_are_those_of_the_scenario(variables: dict[str, Any]) -> None:
    scenario = variables["scenario"]
    assert isinstance(scenario, Scenario)
    assert (scenario.name, scenario.ticks, scenario.vehicles.count) == ("normal", 40, 60)
    metrics = variables["metrics"]
    assert sorted(metrics) == [(each, seed) for each in ("cheapest", "closest") for seed in range(1, 5)]
    for algorithm, seed in (("cheapest", 1), ("closest", 4)):
        again = simulate(scenario, seed=seed, algorithm=algorithm)
        assert metrics[algorithm, seed] == pytest.approx(again.metrics, nan_ok=True)
    trades = simulate(scenario, seed=1).trades
    paid_eur = math.fsum(map(mul, trades["energy_kwh"], trades["price_eur_per_kwh"]))
    assert variables["paid_eur"] == pytest.approx(paid_eur)


def test_its_intervals_are_those_of_students_t_for_pairs(variables: dict[str, Any]) -> None:
    metrics = variables["metrics"]
    quantile = stats.t.ppf(0.975, 3)
    assert len(variables["comparison"]) == 4
    for name, row in variables["comparison"].items():
        pairs = [metrics["closest", seed][name] - metrics["cheapest", seed][name] for seed in range(1, 5)]
        half = quantile * stdev(pairs) / 2
        assert row["difference"] == pytest.approx(fmean(pairs))
        assert [row["low"], row["high"]] == pytest.approx([fmean(pairs) - half, fmean(pairs) + half])
    assert variables["comparison"]["accepted_distance_km"]["high"] < 0


def test_the_price_falls_as_the_wind_rises(variables: dict[str, Any]) -> None:
    assert variables["points"] == [8 * 20, 8 * 40]
    assert variables["correlation"] < -0.3
    assert variables["medians"][0] > variables["medians"][-1]


def test_its_plots_show_something(small: Path) -> None:
    found = pictures(read(small / NOTEBOOK.name))
    assert len(found) == 3
    for picture in found:
        pixels = image.imread(io.BytesIO(picture))
        assert pixels.shape[1] > 500
        colours = {tuple(row) for row in (pixels.reshape(-1, pixels.shape[2]) * 255).astype(int).tolist()}
        assert len(colours) > 20


def test_the_committed_notebook_was_executed_from_top_to_bottom() -> None:
    notebook = read(NOTEBOOK)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert len(pictures(notebook)) == 3
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    assert not re.search(r"/(home|root|tmp|work|Users)/", NOTEBOOK.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_committed_outputs_are_those_of_this_version(jupyter: Installation, tmp_path: Path) -> None:
    """Pictures are compared by their number only."""
    copy = Path(shutil.copy(NOTEBOOK, tmp_path))
    assert outputs(executed(jupyter, copy)) == outputs(read(NOTEBOOK)), (
        "write them again with `make notebook`"
    )
