"""Query the data of every panel of a running Grafana, as a browser does, and report which are empty or fail.

`make observe-e2e` calls it on the containers; on any Grafana:

    python -m gridfleet.dashboards.grafana.observe --url http://127.0.0.1:3000 --token-file FILE --site germany
"""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.grafana.client import Grafana, pages
from gridfleet.dashboards.grafana.names import DATASOURCE_UID
from gridfleet.dashboards.grafana.templates import ALL, fill

WINDOW_MS: Final = TICK_MS
POINTS: Final = 1000
ROLES: Final = tuple(role.value for role in Role if role is not Role.CLOCK)
DEVICES_OF_ROLE: Final = """\
import "influxdata/influxdb/schema"

schema.tagValues(
  bucket: v.defaultBucket,
  tag: "device",
  predicate: (r) => r._measurement == "device" and r.site == "${site}" and r.run == "${run}" and r.role == "ROLE",
  start: 2000-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z
)"""


DEVICES_WITH_FIGURES: Final = """\
import "influxdata/influxdb/schema"

schema.tagValues(
  bucket: v.defaultBucket,
  tag: "device",
  predicate: (r) => r._measurement == "figure" and r.site == "${site}" and r.run == "${run}",
  start: 2000-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z
)"""
_ROLE: Final = re.compile(r'r\.role == "[^"]+"')


NEWEST_RUN: Final = """\
from(bucket: v.defaultBucket)
  |> range(start: -1h)
  |> filter(fn: (r) => r._measurement == "live_status" and r.site == "${site}" and r._field == "devices")
  |> group()
  |> sort(columns: ["_time"])
  |> last()
  |> keep(columns: ["run"])"""


class Answer(NamedTuple):
    """The answer to a panel: the number of values, the errors of its queries, and whether it may be empty."""

    page: str
    panel: str
    values: int
    errors: tuple[str, ...]
    may_be_empty: bool = False

    @property
    def passed(self) -> bool:
        """Whether no query failed, and the panel has values or may be empty."""
        return not self.errors and (self.values > 0 or self.may_be_empty)


def observe(grafana: Grafana, site: str, run: str = "", other_run: str = "") -> Iterator[Answer]:
    """Query every panel; a panel of the page Device passes if a device of any role has values for it.

    A panel that shows devices of one role alone, or figures of a kind's own, may be empty where the run has none.

    Without `run`, the newest run of the site is used. Raises GridFleetError where there is none.
    """
    run = run or next(iter(_strings(grafana, NEWEST_RUN, {"site": site})), "")
    if not run:
        raise GridFleetError(
            f"{grafana.url}: no recorder of site {site!r} has reported a run in the last hour"
        )
    values = {"site": site, "run": run, "run_a": run, "run_b": other_run or run}
    values |= dict.fromkeys(("cell", "algorithm_a", "algorithm_b"), ALL)
    by_role = {role: _strings(grafana, DEVICES_OF_ROLE.replace("ROLE", role), values)[:1] for role in ROLES}
    reporting = _strings(grafana, DEVICES_WITH_FIGURES, values)[:1]
    absent = {f'r.role == "{role}"' for role, found in by_role.items() if not found}
    if not reporting:
        absent.add('r._measurement == "figure"')
    devices = [*(device for found in by_role.values() for device in found), *reporting]
    if not any(by_role.values()):
        raise GridFleetError(
            f"{grafana.url}: no device of run {run!r} on site {site!r}: check the names and the recorder"
        )
    for page in pages():
        uses_device = any(variable["name"] == "device" for variable in page["templating"]["list"])
        for panel in page["panels"]:
            if panel.get("targets"):
                answer = _ask(grafana, page, panel, values, devices if uses_device else devices[:1])
                yield answer._replace(may_be_empty=_reads_only(panel, absent))


def _ask(
    grafana: Grafana,
    page: Mapping[str, Any],
    panel: Mapping[str, Any],
    values: Mapping[str, str],
    devices: Sequence[str],
) -> Answer:
    begin, end = (_time(page["time"][side]) for side in ("from", "to"))
    count = 0
    errors: list[str] = []
    for device in devices:
        queries = [_query(target, {**values, "device": device}) for target in panel["targets"]]
        for ref, result in sorted(grafana.query(queries, begin, end).items()):
            if result.get("error"):
                errors.append(f"{ref}: {result['error']}")
            count += sum(map(_values, result.get("frames") or ()))
    return Answer(page["uid"], panel["title"], count, tuple(errors))


def _reads_only(panel: Mapping[str, Any], conditions: Collection[str]) -> bool:
    """Return whether each query of a panel has one of these conditions, and no other role beside it."""
    return all(
        any(condition in target["query"] for condition in conditions)
        and all(found in conditions for found in _ROLE.findall(target["query"]))
        for target in panel["targets"]
    )


def _query(target: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "refId": target["refId"],
        "datasource": target["datasource"],
        "query": fill(target["query"], values),
        "intervalMs": WINDOW_MS,
        "maxDataPoints": POINTS,
    }


def _values(frame: Mapping[str, Any]) -> int:
    """Return how many values a frame has, without times and empty ones."""
    fields = frame["schema"]["fields"]
    columns = frame["data"]["values"]
    if len(fields) > 1:
        shown = [
            column for field, column in zip(fields, columns, strict=False) if field.get("type") != "time"
        ]
    else:
        shown = columns
    return sum(value is not None for column in shown for value in column)


def _strings(grafana: Grafana, flux: str, values: Mapping[str, str]) -> list[str]:
    """Return the values of a query as strings."""
    datasource = {"type": "influxdb", "uid": DATASOURCE_UID}
    query = _query({"refId": "A", "datasource": datasource, "query": flux}, values)
    result = grafana.query([query], "now-1h", "now")["A"]
    if result.get("error"):
        raise GridFleetError(f"{grafana.url}: {result['error']}")
    return [
        str(word)
        for frame in result.get("frames") or ()
        for column in frame["data"]["values"]
        for word in column
    ]


def _time(text: str) -> str:
    """Return a page's time in the API's form: relative, or milliseconds since 1970."""
    if text.startswith("now"):
        return text
    time = datetime.fromisoformat(text)
    return str(int(time.astimezone(UTC).timestamp() * 1000))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each panel; return 1 if one is empty or fails, 2 if Grafana cannot be queried."""
    parser = argparse.ArgumentParser(
        "gridfleet.dashboards.grafana.observe", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    login = parser.add_mutually_exclusive_group(required=True)
    login.add_argument("--token-file", type=Path, metavar="FILE", help="the token of a service account")
    login.add_argument("--password-file", type=Path, metavar="FILE", help="the password of the user admin")
    parser.add_argument("--site", default="germany")
    parser.add_argument(
        "--run", default="", help="the run's name, as at the top of each page (default: the newest)"
    )
    parser.add_argument(
        "--other-run", default="", help="what Scenario comparison shows as B (default: the same)"
    )
    given = parser.parse_args(arguments)
    try:
        secret = (given.token_file or given.password_file).read_text(encoding="utf-8").strip()
        with Grafana(given.url, secret if given.token_file else ("admin", secret)) as grafana:
            return report(observe(grafana, given.site, given.run, given.other_run))
    except (GridFleetError, OSError) as error:
        sys.stderr.write(f"observe: {error}\n")
        return 2


def report(answers: Iterator[Answer]) -> int:
    """Print a line for each panel and the sum; return 1 if one is empty or fails."""
    asked = passed = 0
    for answer in answers:
        asked += 1
        passed += answer.passed
        nothing = "not in this run" if answer.may_be_empty else "EMPTY"
        verdict = "; ".join(answer.errors) or (f"{answer.values} values" if answer.values else nothing)
        sys.stdout.write(f"{'ok  ' if answer.passed else 'FAIL'} {answer.page}: {answer.panel}: {verdict}\n")
    sys.stdout.write(f"{passed} of {asked} panels answered\n")
    return 0 if asked and passed == asked else 1


if __name__ == "__main__":
    sys.exit(main())
