"""A stand-in for InfluxDB's write path: it keeps the lines that a recorder sends."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class InfluxStandIn:
    """Context manager: a server at `url` that accepts every batch; `lines` are those received."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback interface."""
        self.lines: list[str] = []
        kept = self.lines

        class Handler(BaseHTTPRequestHandler):
            """Answers every POST as InfluxDB answers a write."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Keep the lines of a batch."""
                kept.extend(self.rfile.read(int(self.headers["Content-Length"])).decode().splitlines())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
