"""A stand-in for the part of InfluxDB 2's API that `gridfleet influx setup` uses: organisation, buckets, tasks, tokens.

It stores objects in memory and checks little: paths, methods and field names are those of InfluxData's OpenAPI
document of 2.7, so the requests of the client library are tested, the server is not.
"""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.http_servers import serving

ADMIN = "the-operators-token"
ORG: dict[str, Any] = {"id": "00000000000000aa", "name": "gridfleet"}


class FakeApi:
    """The server's state, and every request that changed it."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, dict[str, Any]]] = {"buckets": {}, "tasks": {}, "authorizations": {}}
        self.changes: list[str] = []
        self.url = ""

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.kept[kind].values()}

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked = urlparse(path)
        parameters = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if token != f"Token {ADMIN}":
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        if (method, asked.path) == ("GET", "/api/v2/orgs"):
            return 200, {"orgs": [ORG]}
        _, _, _, kind, *rest = asked.path.split("/")
        things: dict[str, dict[str, Any]] = self.kept[kind]
        if method == "GET":
            found = [each for each in things.values() if parameters.get("name") in (None, each.get("name"))]
            return 200, {kind: found}
        self.changes.append(f"{method} {kind}")
        if method == "DELETE":
            del things[rest[0]]
            return 204, None
        thing: dict[str, Any] = things[rest[0]] if rest else {"id": secrets.token_hex(8)}
        thing.update(body)
        if kind == "tasks":
            found_name = re.search(r'name: "([^"]+)"', thing["flux"])
            assert found_name is not None
            thing.update(name=found_name[1], status="active")
        if kind == "authorizations":
            thing.setdefault("token", secrets.token_urlsafe(24))
            for permission in thing["permissions"]:
                assert set(permission["resource"]) >= {"type", "id", "orgID"}
        things[thing["id"]] = thing
        return 200 if rest else 201, thing


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    api = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization", "")
            status, found = api.answer(self.command, self.path, token, json.loads(body or b"{}"))
            text = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as api.url:
        yield api
