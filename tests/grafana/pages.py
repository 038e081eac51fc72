"""The committed pages as plain data, as Grafana reads them."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from gridfleet.dashboards.grafana.templates import fill
from tests.grafana.macros import expanded

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ROOT / "dashboards" / "grafana" / "files"
VALUES: Final = {
    "site": "germany",
    "run": "normal",
    "run_a": "normal",
    "run_b": "storm",
    "cell": ".*",
    "algorithm_a": ".*",
    "algorithm_b": ".*",
    "device": "vehicle-01",
}


class Text(NamedTuple):
    """A Flux query, and the page and panel that have it."""

    page: str
    place: str
    ref: str
    flux: str

    @property
    def name(self) -> str:
        return f"{self.page}: {self.place} [{self.ref}]"

    def sent(self, values: dict[str, str] | None = None, **macros: str) -> str:
        """The query as InfluxDB receives it."""
        return expanded(fill(self.flux, values or VALUES), **macros)


@cache
def pages() -> dict[str, dict[str, Any]]:
    return {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FILES / "pages").glob("*.json"))
    }


def panels(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in page["panels"]:
        if panel["type"] != "row":
            yield panel


def texts() -> list[Text]:
    found: list[Text] = []
    for name, page in pages().items():
        for panel in panels(page):
            found += [
                Text(name, panel["title"], target["refId"], target["query"])
                for target in panel.get("targets", [])
            ]
        for note in page["annotations"]["list"]:
            found.append(Text(name, f"annotation {note['name']}", "Anno", note["target"]["query"]))
        for variable in page["templating"]["list"]:
            found.append(Text(name, f"variable {variable['name']}", "", variable["query"]))
    return found


def rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (FILES / "provisioning/alerting/gridfleet-rules.yaml").read_text("utf-8")
    )
    return found


def rule_texts() -> list[Text]:
    return [
        Text("alert rules", rule["title"], query["refId"], query["model"]["query"])
        for group in rules()["groups"]
        for rule in group["rules"]
        for query in rule["data"]
        if "query" in query["model"]
    ]
