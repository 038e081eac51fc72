"""Every page against Grafana's own types, panel by panel, by the TypeScript compiler."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.grafana.pages import ROOT, pages

TOOLS: Final = ROOT / "build" / "grafana"
needs_types = pytest.mark.skipif(
    not (TOOLS / "node_modules" / "typescript").is_dir(),
    reason="Grafana's types are not installed: make checkers (needs npm)",
)


def judged(given: dict[str, Any]) -> dict[str, list[str]]:
    node = shutil.which("node") or "node"
    command = [node, str(Path(__file__).with_name("types.mjs")), str(TOOLS)]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    verdict: dict[str, list[str]] = json.loads(done.stdout)
    return verdict


def panel(page: dict[str, Any], title: str) -> dict[str, Any]:
    return next(each for each in page["panels"] if each.get("title") == title)


def override(page: dict[str, Any], title: str, which: str) -> dict[str, Any]:
    return next(
        each
        for found in panel(page, title)["fieldConfig"]["overrides"]
        for each in found["properties"]
        if each["id"] == which
    )


Typo = Callable[[dict[str, Any]], object]
BALANCE: Final = "Consumption and generation"
TYPOS: Final[dict[str, Typo]] = {
    "unknown key of the page": lambda page: page.update(refesh="30s"),
    "time without an end": lambda page: page["time"].pop("to"),
    "wrong cursor": lambda page: page.update(graphTooltip=7),
    "unknown key of a panel": lambda page: panel(page, BALANCE).update(titel="x"),
    "unknown kind of panel": lambda page: panel(page, BALANCE).update(type="timeserie"),
    "place as text": lambda page: panel(page, BALANCE)["gridPos"].update(w="12"),
    "unknown option": lambda page: panel(page, BALANCE)["options"].update(legnd={}),
    "wrong word in the legend": lambda page: panel(page, BALANCE)["options"]["legend"].update(
        placement="below"
    ),
    "unknown field setting": lambda page: panel(page, BALANCE)["fieldConfig"]["defaults"].update(
        units="kwatth"
    ),
    "unknown custom setting": lambda page: panel(page, BALANCE)["fieldConfig"]["defaults"]["custom"].update(
        lineWith=1
    ),
    "wrong stacking": lambda page: panel(page, BALANCE)["fieldConfig"]["defaults"]["custom"][
        "stacking"
    ].update(mode="stacked"),
    "wrong draw style": lambda page: panel(page, BALANCE)["fieldConfig"]["defaults"]["custom"].update(
        drawStyle="lines"
    ),
    "decimals as text": lambda page: panel(page, "Mean price")["fieldConfig"]["defaults"].update(
        decimals="3"
    ),
    "colour mode of a stat": lambda page: panel(page, "Demand")["options"].update(colorMode="values"),
    "threshold without a colour": lambda page: panel(page, "Reactor share")["fieldConfig"]["defaults"][
        "thresholds"
    ]["steps"][0].pop("color"),
    "name of an override": lambda page: override(page, BALANCE, "displayName").update(id="displayNam"),
    "name of a custom override": lambda page: override(page, BALANCE, "custom.stacking").update(
        id="custom.staking"
    ),
    "value of an override": lambda page: override(page, BALANCE, "custom.fillOpacity").update(value="0"),
    "colour of an override": lambda page: override(page, BALANCE, "color").update(value={"mode": "fix"}),
    "query under another name": lambda page: panel(page, BALANCE)["targets"][0].update(querry="x"),
    "variable of no type": lambda page: page["templating"]["list"][0].update(type="queries"),
    "annotation without a colour": lambda page: page["annotations"]["list"][0].pop("iconColor"),
    "cell height of a table": lambda page: panel(page, "Runs")["options"].update(cellHeight="small"),
    "link of no kind": lambda page: page["links"][0].update(type="dashboard"),
}


@pytest.mark.node
@needs_types
def test_every_page_is_of_grafanas_types_and_every_planted_typo_is_caught() -> None:
    given: dict[str, Any] = dict(pages())
    whole = pages()["gridfleet-overview"]
    small = {
        **whole,
        "panels": [
            panel(whole, title) for title in (BALANCE, "Mean price", "Demand", "Reactor share", "Runs")
        ],
    }
    for name, typo in TYPOS.items():
        given[name] = copy.deepcopy(small)
        typo(given[name])
        assert given[name] != small, name
    verdict = judged(given)
    assert {name: verdict[name] for name in pages()} == {name: [] for name in pages()}
    assert [name for name in TYPOS if not verdict[name]] == []
