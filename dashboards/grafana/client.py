"""Our pages and rules on a Grafana that somebody else runs: push, compare, annotate, through its HTTP API.

Everything is named by its uid, so the same files do for any Grafana. Where Grafana reads the files itself
(`files/provisioning`), none of this is needed.
"""

import difflib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from gridfleet.broker.errors import GridFleetError

FILES: Final = Path(__file__).parent / "files"
FOLDER_UID: Final = "gridfleet"
FOLDER: Final = "GridFleet"
DATASOURCE_UID: Final = "gridfleet-influxdb"
TIMEOUT_S: Final = 10.0
OF_THE_SERVER: Final = ("id", "version", "iteration")
"""Keys of a page that Grafana counts up or gives out: no difference."""

Page = dict[str, Any]


class GrafanaError(GridFleetError, ConnectionError):
    """A Grafana that does not do what it was asked for; `status` is its HTTP answer, 0 for none."""

    def __init__(self, subject: str, problem: str, status: int = 0) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
        self.status = status


class Change(NamedTuple):
    """What became of a page or the rules: `created`, `changed` or `unchanged`."""

    uid: str
    outcome: str


class Grafana:
    """One Grafana, reached with a service account's token, or a user's name and password; a context manager."""

    def __init__(self, url: str, credential: str | tuple[str, str]) -> None:
        """Connect nothing yet; raise GrafanaError where the client library is missing or the address is none."""
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise GrafanaError(url, "is no address of a Grafana; write http://host:3000 or https://host/path")
        if address.username or address.password:
            raise GrafanaError(
                address.hostname, "keep the login out of the address: a token file is what counts"
            )
        try:
            from grafana_client.api import GrafanaApi
        except ImportError as error:
            remedy = "install it with: pip install 'gridfleet[grafana]'"
            raise GrafanaError("grafana-client", f"is not installed; {remedy}") from error
        self.url = url.rstrip("/")
        # The library joins host, path and "api" as they are.
        self._api = GrafanaApi.from_url(f"{self.url}/", credential=credential, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.client.s.close()

    def __enter__(self) -> Self:
        """Hand out the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # --- pages -------------------------------------------------------------------------------------------

    def page(self, uid: str) -> Page | None:
        """Return a page as Grafana has it, without what only the server knows; None where it has none."""
        found = self._found(f"page {uid}", lambda: self._api.dashboard.get_dashboard(uid))
        return None if found is None else found["dashboard"]

    def push_pages(self) -> Iterator[Change]:
        """Create or change every page; raise GrafanaError where the data source is missing or a page is refused."""
        self._require_datasource()
        self._require_folder()
        for ours in pages():
            yield self._push(ours)

    def _push(self, ours: Page) -> Change:
        uid = str(ours["uid"])
        theirs = self.page(uid)
        if theirs is not None and _plain(theirs) == _plain(ours):
            return Change(uid, "unchanged")
        # Naming the version that we saw makes Grafana refuse (412) if somebody saves the page in between.
        body: Page = {**ours, "id": None, "version": theirs["version"] if theirs else 0}
        with self._asking(f"page {uid}"):
            self._api.dashboard.update_dashboard(
                {"dashboard": body, "folderUid": FOLDER_UID, "message": "gridfleet", "overwrite": False}
            )
        return Change(uid, "changed" if theirs else "created")

    def differences(self) -> Iterator[tuple[str, str]]:
        """Return for every page that is not as ours: its uid and a unified diff from Grafana's to ours."""
        for ours in pages():
            uid = str(ours["uid"])
            theirs = self.page(uid)
            if theirs is None:
                yield uid, f"Grafana has no page {uid}\n"
            elif _plain(theirs) != _plain(ours):
                yield (
                    uid,
                    "".join(
                        difflib.unified_diff(
                            _lines(theirs), _lines(ours), f"{self.url}/d/{uid}", f"pages/{uid}.json"
                        )
                    ),
                )

    # --- rules and annotations ---------------------------------------------------------------------------

    def push_rules(self) -> Change:
        """Create or change the group of alert rules."""
        ours = rules()
        group = str(ours["title"])
        theirs = self._found(
            "alert rules", lambda: self._api.alertingprovisioning.get_rule_group(FOLDER_UID, group)
        )
        if theirs is not None and _same_rules(theirs, ours):
            return Change(group, "unchanged")
        with self._asking("alert rules"):
            self._api.alertingprovisioning.update_rule_group(FOLDER_UID, group, ours, disable_provenance=True)
        return Change(group, "changed" if theirs else "created")

    def annotate(
        self, text: str, begin_ms: int, end_ms: int | None, tags: tuple[str, ...], page_uid: str | None
    ) -> int:
        """Mark an instant or a span, on one page or on all that show the tags; return the annotation's number."""
        if page_uid is not None and self.page(page_uid) is None:
            raise GrafanaError(
                f"page {page_uid}", "is not on this Grafana; `gridfleet dashboards push` makes ours"
            )
        with self._asking("annotation"):
            made = self._api.annotations.add_annotation(
                dashboard_uid=page_uid,
                time_from=begin_ms,
                time_to=end_ms,
                tags=["gridfleet", *tags],
                text=text,
            )
        return int(made["id"])

    # --- data --------------------------------------------------------------------------------------------

    def ask(self, queries: list[dict[str, Any]], begin: str, end: str) -> dict[str, Any]:
        """Have the data source answer queries of a page for a time, as the page does; return the answer by refId.

        The answer to a query holds `frames`, or `error`. A variable must have been replaced before.
        """
        from grafana_client.client import GrafanaClientError, GrafanaServerError

        body = {"queries": queries, "from": begin, "to": end}
        with self._asking("query"):
            try:
                answer = self._api.client.POST("/ds/query", json=body)
            except (GrafanaClientError, GrafanaServerError) as error:
                # The answer to a wrong query comes with the status of an error, and says what is wrong.
                if not isinstance(error.response, dict) or "results" not in error.response:
                    raise
                answer = error.response
        results: dict[str, Any] = answer["results"]
        return results

    # --- inside ------------------------------------------------------------------------------------------

    def _require_datasource(self) -> None:
        found = self._found("data source", lambda: self._api.datasource.get_datasource_by_uid(DATASOURCE_UID))
        if found is None:
            problem = (
                f"has no data source with the uid {DATASOURCE_UID}; provision it from "
                "dashboards/grafana/files/provisioning/datasources (docs/grafana.md)"
            )
            raise GrafanaError(self.url, problem, 404)

    def _require_folder(self) -> None:
        if self._found("folder", lambda: self._api.folder.get_folder(FOLDER_UID)) is None:
            with self._asking("folder"):
                self._api.folder.create_folder(FOLDER, uid=FOLDER_UID)

    def _found(self, subject: str, ask: Any) -> Any:  # noqa: ANN401 - Grafana's plain data
        """Return the answer, or None where Grafana has no such thing."""
        try:
            with self._asking(subject):
                return ask()
        except GrafanaError as error:
            if error.status == 404:
                return None
            raise

    @contextmanager
    def _asking(self, subject: str) -> Iterator[None]:
        """Turn the library's errors into ours, each with what to do."""
        from grafana_client.client import GrafanaException
        from niquests.exceptions import RequestException

        try:
            yield
        except GrafanaException as error:
            status = int(error.status_code or 0)
            remedy = REMEDIES.get(status, f"{error.message}")
            if status == 400 and "provisioned" in str(error.message):
                remedy = "is read from a file by Grafana itself; change the file (docs/grafana.md), or push elsewhere"
            raise GrafanaError(f"{self.url}: {subject}", remedy, status) from None
        except (RequestException, OSError) as error:
            reason = (
                f"no answer ({type(error).__name__}); is Grafana running there, and is the address right?"
            )
            raise GrafanaError(self.url, reason) from None


REMEDIES: Final = {
    401: "the token is not accepted (401); make a service account with the role Editor and put its token in the file",
    403: "the service account may not do this (403); give it the role Editor, for alert rules on the folder too",
    404: "not found (404)",
    412: "somebody has changed it meanwhile, or another page has its name (412); look with `gridfleet dashboards diff`",
}


def pages() -> list[Page]:
    """Return our pages as Grafana takes them."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((FILES / "pages").glob("*.json"))]


def rules() -> dict[str, Any]:
    """Return our group of alert rules as Grafana takes it."""
    found: dict[str, Any] = json.loads((FILES / "rules.json").read_text(encoding="utf-8"))
    return found


def _plain(page: Page) -> Page:
    return {key: value for key, value in page.items() if key not in OF_THE_SERVER}


def _lines(page: Page) -> list[str]:
    return json.dumps(_plain(page), indent=2, sort_keys=True, ensure_ascii=False).splitlines(keepends=True)


def _same_rules(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether Grafana has our rules; it adds keys of its own to each."""
    known = {rule.get("uid"): rule for rule in theirs.get("rules", [])}
    same = theirs.get("interval") == ours["interval"] and len(known) == len(ours["rules"])
    return same and all(
        known.get(rule["uid"], {}).get(key) == value for rule in ours["rules"] for key, value in rule.items()
    )
