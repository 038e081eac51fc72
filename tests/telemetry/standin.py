"""A stand-in for InfluxDB 2: Debian's InfluxDB 1 as real storage, behind a shim that speaks the v2 write path.

What is real: line protocol, the storage engine with its write-ahead log, its fsync, its overwriting of equal points,
its rejections. What is not: tokens (one fixed token is required), buckets (a database each), Flux, and v2's own texts
for errors. The shim stores nothing: it answers a write with 204 only after the engine has answered.
"""

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlparse

from tests.ports import free_port
from tests.waiting import wait_until

TOKEN: Final = "a-token-for-tests"
_CONFIG: Final = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
  logging-enabled = false
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  wal-fsync-delay = "0s"
  query-log-enabled = false
  max-values-per-tag = 0
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[logging]
  level = "error"
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
"""


class Engine:
    """An InfluxDB 1 server that can be killed, frozen and started again over the same data."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        self._program = program
        self._folder = folder
        self._config = folder / "influxdb.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_CONFIG.format(folder=folder, port=self.port, rpc=free_port()))
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._folder / "influxd.log").open("ab")
        with log:
            self._child = subprocess.Popen(
                [self._program, "run", "-config", str(self._config)], stdout=log, stderr=log
            )
        wait_until(self._answers, lambda: "influxd does not answer")

    def _answers(self) -> bool:
        try:
            self.query("SHOW DATABASES")
        except OSError:
            ended = self._child is None or self._child.poll() is not None
            assert not ended, (self._folder / "influxd.log").read_text()
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def query(self, text: str, database: str = "") -> list[dict[str, Any]]:
        """Return the series of a query in InfluxQL."""
        found = self.request("POST", "/query?" + urlencode({"q": text, "db": database, "epoch": "ms"}), b"")
        assert found[0] == 200, found
        results: list[dict[str, Any]] = json.loads(found[1])["results"]
        assert "error" not in results[0], results
        series: list[dict[str, Any]] = results[0].get("series", [])
        return series

    def request(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def count(self, database: str, measurement: str, field: str) -> int:
        """Return how many points of a measurement have a field."""
        series = self.query(f'SELECT count("{field}") FROM "{measurement}"', database)  # noqa: S608 - a test's
        return int(series[0]["values"][0][1]) if series else 0


class Shim:
    """The v2 write path before an engine; a bucket is a database, created when it is first written to."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.requests = 0
        self.accepted: list[int] = []
        """Lines of the batches that the engine has accepted."""
        self.lost_answers = 0
        """So many answers are dropped: the engine has the points, the sender does not know."""
        self._known: set[str] = set()
        shim = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                try:
                    status, answer = shim.write(self.path, self.headers.get("Authorization", ""), body)
                except OSError:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                health = b'{"name": "influxdb", "message": "ready", "status": "pass", "version": "v2.7.0"}'
                self.send_response(200 if self.path == "/health" else 404)
                self.send_header("Content-Length", str(len(health)))
                self.end_headers()
                self.wfile.write(health)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Ignore senders that stopped waiting or were killed: the tests do that."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def write(self, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        """Answer a request as InfluxDB 2 does; OSError for no answer at all."""
        asked = urlparse(path)
        parameters = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path != "/api/v2/write":
            return 404, b'{"code":"not found","message":"path not found"}'
        if authorization != f"Token {TOKEN}":
            return 401, b'{"code":"unauthorized","message":"unauthorized access"}'
        self.requests += 1
        database = parameters["bucket"]
        if database not in self._known:
            self.engine.query(f'CREATE DATABASE "{database}"')
            self._known.add(database)
        where = urlencode({"db": database, "precision": parameters["precision"]})
        status, answer = self.engine.request("POST", f"/write?{where}", body)
        if status == 204:
            self.accepted.append(body.count(b"\n") + 1)
            if self.lost_answers:
                self.lost_answers -= 1
                raise ConnectionError("the answer is lost")
            return 204, b""
        message = json.loads(answer or b"{}").get("error", "")
        return status, json.dumps({"code": "invalid", "message": message}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def standin(program: Path, folder: Path) -> Iterator[Shim]:
    """A running stand-in."""
    engine = Engine(program, folder)
    engine.start()
    shim = Shim(engine)
    try:
        yield shim
    finally:
        shim.close()
        engine.kill()
