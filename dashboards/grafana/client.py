"""Client for Grafana's HTTP API: push and compare pages and alert rules, annotate, query data.

Pages and rules are identified by their uid, so the same files work on any Grafana. A Grafana that reads the files
itself (`files/provisioning`) does not need this client.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gridfleet.broker.errors import GridFleetError, shown
from gridfleet.broker.install_command import install_command
from gridfleet.broker.readers.http_answers import http_address
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.dashboards.errors import no_answer_reason
from gridfleet.dashboards.grafana.names import DATASOURCE_UID, FILES, FOLDER, FOLDER_UID

TIMEOUT_S: Final = 10.0
SERVER_KEYS: Final = ("id", "version", "iteration")
"""Keys of a page that Grafana sets; they are not compared."""

Page = dict[str, Any]


class GrafanaError(GridFleetError, ConnectionError):
    """A request to Grafana failed; `status` is the HTTP status, 0 without an answer."""

    def __init__(self, subject: str, problem: str, status: int = 0) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
        self.status = status


class Change(NamedTuple):
    """The outcome for a page or the rules: `created`, `changed` or `unchanged`."""

    uid: str
    outcome: str


class Grafana:
    """Context manager: one Grafana, with a service account's token or a user's name and password."""

    def __init__(self, url: str, credential: str | tuple[str, str]) -> None:
        """Prepare the client; raise GrafanaError if the library is missing or the URL is not one."""
        try:
            address = http_address(url)
        except ReadError:
            problem = "is not the URL of a Grafana; use http://host:3000 or https://host/path"
            raise GrafanaError(shown(url), problem) from None
        if address.username or address.password:
            raise GrafanaError(str(address.hostname), "the URL must not contain a login; use --token-file")
        try:
            from grafana_client.api import GrafanaApi
        except ImportError as error:
            problem = f"is not installed: {install_command('grafana-client')}"
            raise GrafanaError("grafana-client", problem) from error
        self.url = url.rstrip("/")
        # The library joins host, path and "api" as they are.
        self._api = GrafanaApi.from_url(f"{self.url}/", credential=credential, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._api.client.s.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # --- pages -------------------------------------------------------------------------------------------

    def page(self, uid: str) -> Page | None:
        """Return a page as Grafana has it; None if it has no such page."""
        found = self._found(f"page {uid}", lambda: self._api.dashboard.get_dashboard(uid))
        if found is None:
            return None
        page = self._member(found, "dashboard")
        if not isinstance(page, dict):
            raise self._stranger(page)
        return page

    def push_pages(self) -> Iterator[Change]:
        """Create or change every page; raise GrafanaError if the data source is missing or a page is rejected."""
        self.check()
        self._require_datasource()
        self._require_folder()
        for ours in pages():
            yield self._push(ours)

    def _push(self, ours: Page) -> Change:
        uid = str(ours["uid"])
        theirs = self.page(uid)
        if theirs is not None and _plain(theirs) == _plain(ours):
            return Change(uid, "unchanged")
        # With the version that was read, Grafana answers 412 if somebody has saved the page in between.
        body: Page = {**ours, "id": None, "version": theirs["version"] if theirs else 0}
        with self._errors_of(f"page {uid}"):
            self._api.dashboard.update_dashboard(
                {"dashboard": body, "folderUid": FOLDER_UID, "message": "gridfleet", "overwrite": False}
            )
        return Change(uid, "changed" if theirs else "created")

    def differences(self) -> Iterator[tuple[str, str]]:
        """Return, for every page that differs, its uid and a unified diff from Grafana's version to this one."""
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
        if theirs is not None and not isinstance(theirs, dict):
            raise self._stranger(theirs)
        if theirs is not None and _same_rules(theirs, ours):
            return Change(group, "unchanged")
        with self._errors_of("alert rules"):
            self._api.alertingprovisioning.update_rule_group(FOLDER_UID, group, ours, disable_provenance=True)
        return Change(group, "changed" if theirs else "created")

    def annotate(
        self, text: str, begin_ms: int, end_ms: int | None, tags: tuple[str, ...], page_uid: str | None
    ) -> int:
        """Annotate an instant or a span, on one page or on all that show the tags; return the annotation's id."""
        if page_uid is not None and self.page(page_uid) is None:
            raise GrafanaError(
                f"page {page_uid}", "is not on this Grafana; create it with `gridfleet grafana push`"
            )
        with self._errors_of("annotation"):
            made = self._api.annotations.add_annotation(
                dashboard_uid=page_uid,
                time_from=begin_ms,
                time_to=end_ms,
                tags=["gridfleet", *tags],
                text=text,
            )
        return int(self._member(made, "id"))

    # --- data --------------------------------------------------------------------------------------------

    def query(self, queries: list[dict[str, Any]], begin: str, end: str) -> dict[str, Any]:
        """Run queries of a page for a time range, as the page does; return the results by refId.

        A result holds `frames` or `error`. Variables must have been replaced before.
        """
        from grafana_client.client import GrafanaClientError, GrafanaServerError

        body = {"queries": queries, "from": begin, "to": end}
        with self._errors_of("query"):
            try:
                answer = self._api.client.POST("/ds/query", json=body)
            except (GrafanaClientError, GrafanaServerError) as error:
                # The answer to an invalid query has an error status, and says what is wrong.
                if not isinstance(error.response, dict) or "results" not in error.response:
                    raise
                answer = error.response
        results: dict[str, Any] = self._member(answer, "results")
        return results

    def check(self) -> str:
        """Return the version of the Grafana; raise GrafanaError where something else answers."""
        with self._errors_of("health"):
            answer = self._api.client.GET("/health")
        if not isinstance(answer, dict) or "database" not in answer:
            raise self._stranger(answer)
        return shown(str(answer.get("version", "unknown")))

    # --- inside ------------------------------------------------------------------------------------------

    def _require_datasource(self) -> None:
        found = self._found("data source", lambda: self._api.datasource.get_datasource_by_uid(DATASOURCE_UID))
        if found is None:
            problem = (
                f"has no data source with the uid {DATASOURCE_UID}; provision it from "
                "dashboards/grafana/files/provisioning/datasources (docs/how-to/site/grafana.md)"
            )
            raise GrafanaError(self.url, problem, 404)

    def _member(self, answer: object, key: str) -> Any:  # noqa: ANN401 - Grafana's plain data
        """Return what is under a key of an answer; raise GrafanaError where the answer is not one of Grafana."""
        if not isinstance(answer, dict) or key not in answer:
            raise self._stranger(answer)
        return answer[key]

    def _stranger(self, answer: object) -> GrafanaError:
        beginning = shown(" ".join(str(answer)[:60].split()))
        return GrafanaError(
            self.url, f"no Grafana answers there, but {beginning!r}: name its address with --url"
        )

    def _require_folder(self) -> None:
        if self._found("folder", lambda: self._api.folder.get_folder(FOLDER_UID)) is None:
            with self._errors_of("folder"):
                self._api.folder.create_folder(FOLDER, uid=FOLDER_UID)

    def _found(self, subject: str, ask: Any) -> Any:  # noqa: ANN401 - Grafana's plain data
        """Return the answer, or None if Grafana answers 404."""
        try:
            with self._errors_of(subject):
                return ask()
        except GrafanaError as error:
            if error.status == 404:
                return None
            raise

    @contextmanager
    def _errors_of(self, subject: str) -> Iterator[None]:
        """Context manager: turn the library's errors into GrafanaError, each with a remedy."""
        from grafana_client.client import GrafanaException
        from niquests.exceptions import RequestException

        try:
            yield
        except GrafanaException as error:
            status = int(error.status_code or 0)
            remedy = REMEDIES.get(status, f"{error.message}")
            if status == 400 and "provisioned" in str(error.message):
                remedy = (
                    "is provisioned from a file there; change the file (docs/how-to/site/grafana.md), "
                    "or push elsewhere"
                )
            raise GrafanaError(f"{self.url}: {subject}", shown(remedy), status) from None
        except GrafanaError:
            raise
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            # The library, from an answer that is not one of Grafana.
            raise self._stranger(type(error).__name__) from None
        except (RequestException, OSError) as error:
            reason = f"no answer ({no_answer_reason(error)}); check that Grafana is running, and the URL"
            raise GrafanaError(self.url, reason) from None


REMEDIES: Final = {
    401: "the token is not accepted (401); create a service account with the role Editor, and use its token",
    403: "the service account may not do this (403); give it the role Editor, for alert rules on the folder too",
    404: "not found (404)",
    412: "it was changed in the meantime, or another page has its name (412); compare with `gridfleet grafana diff`",
}


def pages() -> list[Page]:
    """Return the pages as Grafana's API takes them."""
    return [parse_json(path.read_text(encoding="utf-8")) for path in sorted((FILES / "pages").glob("*.json"))]


def rules() -> dict[str, Any]:
    """Return the group of alert rules as Grafana's API takes it."""
    found: dict[str, Any] = parse_json((FILES / "rules.json").read_text(encoding="utf-8"))
    return found


def _plain(page: Page) -> Page:
    return {key: value for key, value in page.items() if key not in SERVER_KEYS}


def _lines(page: Page) -> list[str]:
    return json_text(_plain(page), indent=2, sort_keys=True, ensure_ascii=False).splitlines(keepends=True)


def _same_rules(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether Grafana has the same rules; it adds keys of its own to each."""
    found = theirs.get("rules")
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        return False
    known = {rule.get("uid"): rule for rule in found}
    same = theirs.get("interval") == ours["interval"] and len(known) == len(ours["rules"])
    return same and all(
        known.get(rule["uid"], {}).get(key) == value for rule in ours["rules"] for key, value in rule.items()
    )
