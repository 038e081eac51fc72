"""Alert rules, each with a summary and with what to do.

They evaluate the last minutes of real time, and so only measurements in real time: the recorder's own health and
the live status of the current run. Without data a rule does not fire, except the rule on the recorder itself.
"""

from typing import Any, Final, NamedTuple

from gridfleet.dashboards.grafana.builders.flux import SHOWN, Flux, read
from gridfleet.dashboards.grafana.builders.query import DATASOURCE
from gridfleet.dashboards.grafana.names import DATASOURCE_UID, FOLDER, FOLDER_UID

GROUP: Final = "gridfleet"
EVERY_S: Final = 60
EXPRESSION: Final = {"type": "__expr__", "uid": "__expr__"}


class Rule(NamedTuple):
    """An alert rule: it fires when the last value has been above `threshold` for the time `pending_for`."""

    uid: str
    title: str
    summary: str
    action: str
    """What a person should do."""
    query: Flux
    minutes: int
    """How far back it reads, in minutes."""
    threshold: float
    pending_for: str
    severity: str
    page: str
    """Uid of the page that shows more."""
    no_data_state: str = "OK"


def live_status(field: str) -> Flux:
    """Return a field of the live status of the current runs."""
    return read("live_status", field, where="true", time=SHOWN).then(
        'group(columns: ["site", "run"])', 'sort(columns: ["_time"])'
    )


def recorder(field: str) -> Flux:
    """Return a field of the recorders' health."""
    return read("recorder", field, where="true", time=SHOWN).then(
        'group(columns: ["site"])', 'sort(columns: ["_time"])'
    )


def incidents(part: str, what: str) -> Flux:
    """Return the incidents caused by a fault, each as 1; no rows where there were none."""
    return (
        read("incident", "fault", where=f'r.part == "{part}" and r.what == "{what}"', time=SHOWN)
        .filter("r._value")
        .then("map(fn: (r) => ({r with _value: 1}))", 'group(columns: ["site", "run", "device"])')
        .sort("_time")
        .keep("site", "run", "device")
    )


GROWTH: Final = """reduce(
      identity: {_time: 1970-01-01T00:00:00Z, first: -1, _value: 0},
      fn: (r, accumulator) => {
        first = if accumulator.first < 0 then r._value else accumulator.first

        return {_time: r._time, first: first, _value: r._value - first}
      },
    )"""
"""The growth of a value since the first row."""
RULES: Final = (
    Rule(
        uid="gridfleet-device-offline",
        title="Device offline",
        summary="{{ .Values.last.Value }} devices of site {{ .Labels.site }} are offline.",
        action="The page Health lists them. Check their power, network and log, for example with gridfleet doctor.",
        query=live_status("missing"),
        minutes=5,
        threshold=0,
        pending_for="2m",
        severity="warning",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-recorder-silent",
        title="Recorder silent",
        summary="The recorder of site {{ .Labels.site }} has received nothing for 5 minutes, or is not running.",
        action="Check with gridfleet site status that it runs and reaches the broker and InfluxDB.",
        query=recorder("silent_s"),
        minutes=5,
        threshold=300,
        pending_for="1m",
        severity="critical",
        page="gridfleet-health",
        no_data_state="Alerting",
    ),
    Rule(
        uid="gridfleet-backlog-growing",
        title="Recorder backlog growing",
        summary="The backlog of site {{ .Labels.site }} grew by {{ .Values.last.Value }} points in 10 minutes.",
        action="InfluxDB is offline or too slow. No data is lost until the disk is full: `gridfleet site status`.",
        query=recorder("backlog").then(GROWTH).keep("site"),
        minutes=10,
        threshold=1000,
        pending_for="5m",
        severity="warning",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-device-suspended",
        title="Device suspended",
        summary="{{ .Values.last.Value }} devices of site {{ .Labels.site }} are suspended.",
        action="gridfleet trust shows who, the evidence and until when, and lifts a suspension.",
        query=live_status("suspended"),
        minutes=5,
        threshold=0,
        pending_for="0s",
        severity="critical",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-invariant-breached",
        title="Invariant breached",
        summary="The auditor found {{ .Values.last.Value }} breaches in the run {{ .Labels.run }}.",
        action="The page Health names the invariant. A device reports false values, or GridFleet has a bug.",
        query=live_status("breaches"),
        minutes=5,
        threshold=0,
        pending_for="0s",
        severity="critical",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-reactor-share-high",
        title="Reactor share high",
        summary="The reactor sold {{ humanizePercentage .Values.last.Value }} of the energy in the last 16 ticks.",
        action="There is too little wind, or turbines are offline. See the pages Grid overview and Market.",
        query=live_status("reactor_share"),
        minutes=5,
        threshold=0.5,
        pending_for="5m",
        severity="warning",
        page="gridfleet-overview",
    ),
    Rule(
        uid="gridfleet-contactor-opened",
        title="Contactor opened by a fault",
        summary="{{ .Labels.device }} of site {{ .Labels.site }} has opened its contactor because of a fault.",
        action="The page Device names the fault. Inspect the charger on site before you reset it.",
        query=incidents("contactor", "opened"),
        minutes=15,
        threshold=0,
        pending_for="0s",
        severity="critical",
        page="gridfleet-device",
    ),
    Rule(
        uid="gridfleet-device-faulty",
        title="Device faulty",
        summary="{{ .Values.last.Value }} devices of site {{ .Labels.site }} report a fault of a sensor or switch.",
        action="The page Device names it: stuck, missing, out of range, disconnected (docs/reference/hardware.md).",
        query=live_status("faulty"),
        minutes=5,
        threshold=0,
        pending_for="2m",
        severity="warning",
        page="gridfleet-device",
    ),
)


def rule_as_data(rule: Rule) -> dict[str, Any]:
    """Return a rule as Grafana reads it: query, last value, threshold.

    Its texts use `.Labels` and `.Values` and not `$labels`, because some versions of Grafana expand a dollar sign in
    these files as an environment variable.
    """
    back = {"from": 60 * rule.minutes, "to": 0}
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "high",
        "for": rule.pending_for,
        "noDataState": rule.no_data_state,
        "execErrState": "Error",
        "isPaused": False,
        "labels": {"severity": rule.severity, "product": "gridfleet"},
        "annotations": {"summary": rule.summary, "description": rule.action, "__dashboardUid__": rule.page},
        "data": [
            {
                "refId": "series",
                "datasourceUid": DATASOURCE_UID,
                "relativeTimeRange": back,
                "model": {
                    "refId": "series",
                    "datasource": {"type": DATASOURCE.type_val, "uid": DATASOURCE_UID},
                    "query": rule.query.text,
                    "intervalMs": 10_000,
                    "maxDataPoints": 1000,
                },
            },
            {
                "refId": "last",
                "datasourceUid": "__expr__",
                "relativeTimeRange": back,
                "model": {
                    "refId": "last",
                    "type": "reduce",
                    "datasource": EXPRESSION,
                    "expression": "series",
                    "reducer": "last",
                    "settings": {"mode": "dropNN"},
                },
            },
            {
                "refId": "high",
                "datasourceUid": "__expr__",
                "relativeTimeRange": back,
                "model": {
                    "refId": "high",
                    "type": "threshold",
                    "datasource": EXPRESSION,
                    "expression": "last",
                    "conditions": [
                        {"type": "query", "evaluator": {"type": "gt", "params": [rule.threshold]}}
                    ],
                },
            },
        ],
    }


def rules_for_api() -> dict[str, Any]:
    """Return the group of all rules as Grafana's API takes it."""
    place = {"folderUID": FOLDER_UID, "ruleGroup": GROUP, "orgID": 1}
    rules = [{**rule_as_data(rule), **place} for rule in RULES]
    return {"title": GROUP, "folderUid": FOLDER_UID, "interval": EVERY_S, "rules": rules}


def rules_as_data() -> dict[str, Any]:
    """Return the group of all rules as Grafana's provisioning reads it."""
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": f"{EVERY_S}s",
        "rules": [rule_as_data(rule) for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}
