"""A fake Grafana with state: pages with versions, a folder, a group of rules, and answers to queries.

The mock made from `grafana-api.yaml` checks requests, but has no state.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from tests.http_servers import serving

TOKEN = "service-account-token"
Json = dict[str, Any]


class FakeGrafana:
    """Context manager; its attributes are the state of the Grafana."""

    def __init__(self) -> None:
        self.datasources = {"gridfleet-influxdb"}
        self.folders: set[str] = set()
        self.pages: dict[str, Json] = {}
        self.rules: Json | None = None
        self.annotations: list[Json] = []
        self.provisioned = False
        self.before_saving: Callable[[str], None] = lambda _: None
        self.answer: Callable[[Json], Json] = lambda _: {"status": 200, "frames": []}
        self._exit = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        self.url = self._exit.enter_context(serving(_handler(self)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def handle(self, method: str, path: str, body: Json) -> tuple[int, Json]:  # noqa: C901, PLR0911 - one per call
        match method, path.removeprefix("/api/").split("/"):
            case "GET", ["health"]:
                return 200, {"database": "ok", "version": "11.0.0"}
            case "GET", ["datasources", "uid", uid]:
                return (200, {"uid": uid, "type": "influxdb"}) if uid in self.datasources else _missing()
            case "GET", ["folders", uid]:
                return (200, {"uid": uid}) if uid in self.folders else _missing()
            case "POST", ["folders"]:
                self.folders.add(body["uid"])
                return 200, body
            case "GET", ["dashboards", "uid", uid]:
                return (200, {"dashboard": self.pages[uid], "meta": {}}) if uid in self.pages else _missing()
            case "POST", ["dashboards", "db"]:
                return self._save(body)
            case "GET", ["v1", "provisioning", "folder", "gridfleet", "rule-groups", _]:
                return (200, self.rules) if self.rules else _missing()
            case "PUT", ["v1", "provisioning", "folder", "gridfleet", "rule-groups", _]:
                # Grafana gives every rule keys of its own.
                self.rules = {
                    **body,
                    "rules": [{**rule, "id": 1, "updated": "now"} for rule in body["rules"]],
                }
                return 200, body
            case "POST", ["annotations"]:
                self.annotations.append(body)
                return 200, {"id": len(self.annotations)}
            case "POST", ["ds", "query"]:
                results = {query["refId"]: self.answer(query) for query in body["queries"]}
                return (400 if any("error" in each for each in results.values()) else 200), {
                    "results": results
                }
        return _missing()

    def _save(self, body: Json) -> tuple[int, Json]:
        page = body["dashboard"]
        uid = page["uid"]
        if self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        self.before_saving(uid)
        version = self.pages[uid]["version"] if uid in self.pages else 0
        if page["version"] != version:
            return 412, {
                "message": "The dashboard has been changed by someone else",
                "status": "version-mismatch",
            }
        self.pages[uid] = {**page, "version": version + 1, "id": 7}
        return 200, {"uid": uid, "version": version + 1}


def _missing() -> tuple[int, Json]:
    return 404, {"message": "Not found"}


def _handler(grafana: FakeGrafana) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/api/health" or self.headers.get("Authorization") == f"Bearer {TOKEN}":
                status, found = grafana.handle(self.command, self.path, json.loads(body or b"{}"))
            else:
                status, found = 401, {"message": "Invalid API key"}
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler
