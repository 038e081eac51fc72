"""The committed files: what the code makes, whole, and true of each other."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridfleet.dashboards.grafana import build, client
from gridfleet.dashboards.grafana.builders.theme import colour
from gridfleet.dashboards.grafana.names import DATASOURCE_UID, FOLDER, FOLDER_UID
from gridfleet.dashboards.grafana.templates import VariableError, fill
from gridfleet.dashboards.plots.style import COLOURS
from tests.grafana.macros import MACRO
from tests.grafana.pages import FILES, VALUES, pages, panels, rule_texts, rules, texts

UIDS = ["overview", "market", "charging", "device", "health", "comparison"]
PROVISIONING = sorted((FILES / "provisioning").rglob("*.yaml"))
ORIGINAL = {
    "seconds per tick": ("overview", "Seconds per tick"),
    "phase": ("overview", "Phase"),
    "ticks remaining": ("overview", "Ticks left"),
    "simulated time": ("overview", "Simulated time"),
    "power-difference gauge": ("overview", "Power difference"),
    "consumption vs generation": ("overview", "Consumption and generation"),
    "chargers vs consumers": ("market", "Energy bought, by role"),
    "generation per producer": ("overview", "Generation per producer"),
    "money earned per producer": ("overview", "Earnings per producer"),
    "lowest and average sell price": ("overview", "Prices"),
    "price of accepted offers": ("charging", "Price"),
    "distance of accepted offers": ("charging", "Distance"),
    "cost of accepted offers": ("charging", "Cost"),
    "battery per charger": ("charging", "Stored energy per charger"),
    "battery in total": ("charging", "Stored energy"),
    "vehicle: name": ("device", "Kind"),
    "vehicle: model": ("device", "Model"),
    "vehicle: status": ("device", "State"),
    "vehicle: consumption": ("device", "Consumption"),
    "vehicle: capacity": ("device", "Capacity"),
    "vehicle: state of charge": ("device", "State of charge"),
    "vehicle: speed": ("device", "Speed"),
    "vehicle: deadline": ("device", "Deadline"),
    "map of every agent": ("charging", "Devices"),
    "next stop and destination": ("device", "Position"),
}
"""Every panel of the prototype's dashboard, and the page and panel that replace it."""
MACROS = {"v.timeRangeStart", "v.timeRangeStop", "v.windowPeriod", "v.defaultBucket"}
CHOOSING_COLUMNS = re.compile(
    r"(?:keep\(columns: \[|reduce\(\n +identity: \{|map\(fn: \(r\) => \(\{(?!r with)|pivot\(rowKey: \[)(.*)"
)


def keys_and_values(data: object) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, at any depth."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key, value
            yield from keys_and_values(value)
    elif isinstance(data, list):
        for value in data:
            yield from keys_and_values(value)


def texts_in(data: object) -> list[str]:
    return [value for _, value in keys_and_values(data) if isinstance(value, str)]


def links_in(data: object) -> list[str]:
    return [value for key, value in keys_and_values(data) if key == "url" and value]


def provisioned(name: str) -> Any:  # noqa: ANN401 - plain data
    return yaml.safe_load((FILES / "provisioning" / name).read_text("utf-8"))


def datasource() -> dict[str, Any]:
    (found,) = provisioned("datasources/gridfleet.yaml")["datasources"]
    source: dict[str, Any] = found
    return source


def test_the_committed_files_match_the_code() -> None:
    committed = {
        str(path.relative_to(FILES)): path.read_bytes() for path in FILES.rglob("*") if path.is_file()
    }
    assert committed == {name: text.encode() for name, text in build.contents().items()}, (
        "run: make dashboards"
    )


def test_writing_again_changes_nothing_and_removes_old_files(tmp_path: Path) -> None:
    assert set(build.write(tmp_path)) == set(build.contents())
    (tmp_path / "pages" / "old.json").write_text("{}")
    assert build.write(tmp_path) == ["pages/old.json (removed)"]
    assert build.write(tmp_path) == []


def test_the_list_of_pages() -> None:
    assert sorted(pages()) == sorted(f"gridfleet-{uid}" for uid in UIDS)
    assert all(page["uid"] == name for name, page in pages().items())


@pytest.mark.parametrize("name", UIDS)
def test_a_page_has_no_gap_or_overlap_and_descriptions(name: str) -> None:
    page = pages()[f"gridfleet-{name}"]
    taken: set[tuple[int, int]] = set()
    for panel in page["panels"]:
        place = panel["gridPos"]
        across = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in across for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(24) for y in range(height)}
    ids = [panel["id"] for panel in page["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    assert page["title"]
    assert page["description"]
    assert page["tags"] == ["gridfleet"]
    for panel in panels(page):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] not in {"alertlist", "geomap"}:
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"], panel["title"]
            assert defaults["noValue"], panel["title"]


def test_every_panel_of_the_prototype_has_a_successor() -> None:
    for what, (page, title) in ORIGINAL.items():
        assert title in {panel["title"] for panel in panels(pages()[f"gridfleet-{page}"])}, what


def test_every_datasource_is_the_provisioned_one() -> None:
    assert datasource()["uid"] == DATASOURCE_UID
    for name, page in pages().items():
        sources = [value for key, value in keys_and_values(page) if key == "datasource"]
        assert sources, name
        assert all(source == {"type": "influxdb", "uid": DATASOURCE_UID} for source in sources), name
        assert all(target["datasource"] for panel in panels(page) for target in panel.get("targets", []))
    for group in rules()["groups"]:
        for rule in group["rules"]:
            assert {query["datasourceUid"] for query in rule["data"]} == {DATASOURCE_UID, "__expr__"}


def test_every_variable_that_is_used_is_a_variable_of_the_page() -> None:
    for name, page in pages().items():
        defined = [variable["name"] for variable in page["templating"]["list"]]
        known = dict.fromkeys(defined, "x")
        for text in texts():
            if text.page == name:
                fill(text.flux, known)
        used = {found for text in texts_in(page) for found in re.findall(r"\$\{(\w+)", text)}
        assert {each for each in used if not each.startswith("__")} <= set(defined), name
        for index, variable in enumerate(page["templating"]["list"]):
            fill(variable["query"], dict.fromkeys(defined[:index], "x"))  # depends on those before it only


def test_a_variable_without_a_value_is_reported() -> None:
    with pytest.raises(VariableError, match="variable run has no value; known are site"):
        fill('r.run == "${run}"', {"site": "x"})
    with pytest.raises(VariableError, match="the format json is not supported"):
        fill("${run:json}", {"run": "x"})
    assert fill("/^${cell:regex}$/", {"cell": "a.b/c"}) == r"/^a\.b\/c$/"
    assert fill("/^${cell:regex}$/", {"cell": ".*"}) == "/^.*$/"


def test_links_lead_to_existing_pages() -> None:
    for page in pages().values():
        assert links_in(page)
        for url in links_in(page):
            found = re.match(r"/d/([\w-]+)\?", url)
            assert found, url
            assert found[1] in pages(), url
            wanted = {name for name, _ in re.findall(r"var-(\w+)=(\S)", url)}
            assert wanted <= {variable["name"] for variable in pages()[found[1]]["templating"]["list"]}, url
    detail = set(re.findall(r"/d/(gridfleet-\w+)", " ".join(links_in(pages()["gridfleet-overview"]))))
    assert detail >= {"gridfleet-market", "gridfleet-device", "gridfleet-health"}


def test_a_quantity_has_one_colour() -> None:
    palette = {colour.dark for colour in COLOURS.values()} | {"text", "#7b828c"}
    keys = {"color", "fixedColor", "fixed", "iconColor"}
    for name, page in pages().items():
        colours = {value for key, value in keys_and_values(page) if key in keys and isinstance(value, str)}
        assert {colour for colour in colours if not colour.startswith("img/")} <= palette, name
    seen: dict[str, set[str]] = defaultdict(set)
    for page in pages().values():
        for panel in panels(page):
            for override in panel.get("fieldConfig", {}).get("overrides", []):
                for each in override["properties"]:
                    if each["id"] == "color" and "fixedColor" in each["value"]:
                        seen[override["matcher"]["options"]].add(each["value"]["fixedColor"])
    for field in ("demand_wh", "imported_wh", "capacity_wh", "lowest_price_eur_per_kwh", "mean", "ports"):
        assert len(seen[field]) == 1, field
    assert seen["reactor_wh"] == seen["reactor"] == {colour("reactor")}
    assert seen["stored_wh"] == seen["charger"] == {colour("charger")}
    assert seen["curtailed_wh"] == {colour("curtailed")}


def test_every_override_is_of_a_field_in_the_query() -> None:
    checked = 0
    for page in pages().values():
        for panel in panels(page):
            flux = "\n".join(target["query"] for target in panel.get("targets", []))
            # A series may be named by the value of a tag.
            of_a_tag = re.search(r"_field: r\.(kind|status)", flux) is not None
            for override in panel.get("fieldConfig", {}).get("overrides", []):
                name = override["matcher"]["options"]
                if not of_a_tag:
                    assert re.search(rf"\b{re.escape(name)}\b", flux), f"{panel['title']}: {name}"
                    checked += 1
    assert checked > 50


def test_a_query_names_no_column_that_grafana_would_rewrite() -> None:
    for text in [*texts(), *rule_texts()]:
        assert {found[0] for found in MACRO.finditer(text.flux)} <= MACROS


def test_grafana_takes_no_table_for_a_series() -> None:
    """Grafana takes an answer with `_value` and any time, `_start` included, for a time series."""
    checked = 0
    for page in pages().values():
        for panel in panels(page):
            if panel["type"] in {"table", "barchart", "geomap"}:
                for target in panel["targets"]:
                    # The last step that chooses columns, be it keep, map, or a pivot with its rows.
                    (*_, last) = CHOOSING_COLUMNS.findall(target["query"])
                    left = last.replace("r._value", "").replace('valueColumn: "_value"', "")
                    assert "_value" not in left, panel["title"]
                    checked += 1
    assert checked > 5


@pytest.mark.parametrize("path", PROVISIONING, ids=lambda path: path.name)
def test_provisioning_files_are_yaml_without_variables_of_the_environment(path: Path) -> None:
    text = path.read_text("utf-8")
    assert yaml.safe_load(text)["apiVersion"] == 1
    # Grafana replaces ${X}, and in some versions $X, by the environment; only a file's content is wanted.
    assert re.sub(r"\$__file\{[\w/.-]+\}", "", text).count("$") == 0


def test_the_token_is_read_from_a_file_and_pages_from_their_folder() -> None:
    assert datasource()["secureJsonData"] == {"token": "$__file{/run/gridfleet/grafana.token}"}
    (provider,) = provisioned("dashboards/gridfleet.yaml")["providers"]
    assert provider["options"]["path"] == "/etc/gridfleet/pages"
    assert (provider["folder"], provider["folderUid"]) == (FOLDER, FOLDER_UID)


def test_alert_rules_are_complete() -> None:
    (group,) = rules()["groups"]
    titles = [rule["title"] for rule in group["rules"]]
    for wanted in (
        "Device offline",
        "backlog growing",
        "Invariant breached",
        "Reactor share high",
        "Contactor opened",
    ):
        assert any(wanted in title for title in titles), wanted
    assert len({rule["uid"] for rule in group["rules"]}) == len(titles)
    for rule in group["rules"]:
        refs = [query["refId"] for query in rule["data"]]
        assert rule["condition"] in refs
        for query in rule["data"]:
            assert query["model"].get("expression", refs[0]) in refs
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert rule["annotations"]["__dashboardUid__"] in pages()
    contact = provisioned("alerting/gridfleet-contact.yaml")
    assert contact["policies"][0]["receiver"] in {point["name"] for point in contact["contactPoints"]}


def test_the_api_gets_the_same_rules() -> None:
    (group,) = rules()["groups"]
    pushed = client.rules()
    assert (pushed["title"], f"{pushed['interval']}s") == (group["name"], group["interval"])
    for ours, file in zip(pushed["rules"], group["rules"], strict=True):
        assert {key: ours[key] for key in file} == file
        assert (ours["folderUID"], ours["ruleGroup"]) == (FOLDER_UID, group["name"])


def test_values_for_the_checks_name_every_variable() -> None:
    names = {variable["name"] for page in pages().values() for variable in page["templating"]["list"]}
    assert names == set(VALUES)
