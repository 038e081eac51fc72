"""Alert rules: each on something a person would notice, with what to do about it.

They look at the last minutes of real time, and so only at what bears it: the recorder's own health, and how the run
that is going on stands. A rule that gets no data says nothing, but for the one that watches the recorder itself.
"""

from typing import Any, Final, NamedTuple

from gridfleet.dashboards.grafana.vocabulary.flux import SHOWN, Flux, read
from gridfleet.dashboards.grafana.vocabulary.page import FOLDER, FOLDER_UID
from gridfleet.dashboards.grafana.vocabulary.query import DATASOURCE, DATASOURCE_UID

GROUP: Final = "gridfleet"
EVERY_S: Final = 60
EXPRESSION: Final = {"type": "__expr__", "uid": "__expr__"}


class Rule(NamedTuple):
    """A rule: fires when the last value is above the limit for as long as `lasting` says."""

    uid: str
    title: str
    summary: str
    action: str
    """What a person should do."""
    query: Flux
    minutes: int
    """How far back it looks."""
    above: float
    lasting: str
    severity: str
    page: str
    """Uid of the page that shows more."""
    without_data: str = "OK"


def live_status(field: str) -> Flux:
    """Return a figure of the runs that are going on."""
    return read("live_status", field, where="true", time=SHOWN).then(
        'group(columns: ["site", "run"])', 'sort(columns: ["_time"])'
    )


def recorder(field: str) -> Flux:
    """Return a figure of the recorders."""
    return read("recorder", field, where="true", time=SHOWN).then(
        'group(columns: ["site"])', 'sort(columns: ["_time"])'
    )


def incidents(part: str, what: str) -> Flux:
    """Return the faults of that kind, each as 1; nothing where there was none."""
    return (
        read("incident", "fault", where=f'r.part == "{part}" and r.what == "{what}"', time=SHOWN)
        .where("r._value")
        .then("map(fn: (r) => ({r with _value: 1}))", 'group(columns: ["site", "run", "device"])')
        .order("_time")
        .plain("site", "run", "device")
    )


GROWTH: Final = """reduce(
      identity: {_time: 1970-01-01T00:00:00Z, first: -1, _value: 0},
      fn: (r, accumulator) => {
        first = if accumulator.first < 0 then r._value else accumulator.first

        return {_time: r._time, first: first, _value: r._value - first}
      },
    )"""
"""How much a value has grown since the first row."""
RULES: Final = (
    Rule(
        uid="gridfleet-device-offline",
        title="Device offline",
        summary="{{ .Values.last.Value }} devices of {{ .Labels.site }} are not online.",
        action="The page Health names them. Look at their power, network and log: gridfleet doctor.",
        query=live_status("missing"),
        minutes=5,
        above=0,
        lasting="2m",
        severity="warning",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-recorder-silent",
        title="Recorder silent",
        summary="The recorder of {{ .Labels.site }} has heard nothing for five minutes, or does not run.",
        action="See whether gridfleet record runs, and reaches the broker and InfluxDB: gridfleet recorder status.",
        query=recorder("silent_s"),
        minutes=5,
        above=300,
        lasting="1m",
        severity="critical",
        page="gridfleet-health",
        without_data="Alerting",
    ),
    Rule(
        uid="gridfleet-backlog-growing",
        title="Recorder backlog growing",
        summary="The backlog of {{ .Labels.site }} grew by {{ .Values.last.Value }} points in ten minutes.",
        action="InfluxDB is away or too slow. Nothing is lost while the disk has room: gridfleet recorder status.",
        query=recorder("backlog").then(GROWTH).plain("site"),
        minutes=10,
        above=1000,
        lasting="5m",
        severity="warning",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-invariant-breached",
        title="Invariant breached",
        summary="The auditor found {{ .Values.last.Value }} breaches in the run {{ .Labels.run }}.",
        action="The page Health names the invariant, the run's report the example: books disagree, or a device lies.",
        query=live_status("breaches"),
        minutes=5,
        above=0,
        lasting="0s",
        severity="critical",
        page="gridfleet-health",
    ),
    Rule(
        uid="gridfleet-reactor-share-high",
        title="Reactor share high",
        summary="The reactor sold {{ humanizePercentage .Values.last.Value }} of the energy of the last four hours.",
        action="Too little wind, or turbines are missing. The pages Grid overview and Market show which.",
        query=live_status("reactor_share"),
        minutes=5,
        above=0.5,
        lasting="5m",
        severity="warning",
        page="gridfleet-overview",
    ),
    Rule(
        uid="gridfleet-contactor-opened",
        title="Contactor opened on a fault",
        summary="{{ .Labels.device }} of {{ .Labels.site }} has opened its contactor on a fault.",
        action="The page Device names the fault. Do not reset a charger before somebody has looked at it.",
        query=incidents("contactor", "opened"),
        minutes=15,
        above=0,
        lasting="0s",
        severity="critical",
        page="gridfleet-device",
    ),
    Rule(
        uid="gridfleet-device-faulty",
        title="Device faulty",
        summary="{{ .Values.last.Value }} devices of {{ .Labels.site }} report a fault of a sensor or switch.",
        action="The page Device names it: stuck, missing, out of range, disconnected. See docs/hardware.md.",
        query=live_status("faulty"),
        minutes=5,
        above=0,
        lasting="2m",
        severity="warning",
        page="gridfleet-device",
    ),
)


def rule_as_data(rule: Rule) -> dict[str, Any]:
    """Return a rule as Grafana reads it: query, last value, threshold.

    Its texts name data as `.Labels` and `.Values`: some versions of Grafana take a dollar sign in these files for a
    variable of the environment.
    """
    back = {"from": 60 * rule.minutes, "to": 0}
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "high",
        "for": rule.lasting,
        "noDataState": rule.without_data,
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
                    "conditions": [{"type": "query", "evaluator": {"type": "gt", "params": [rule.above]}}],
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
