"""Servers that are not what they are taken for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.http_servers import serving

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and content."""
SIGN_IN: Answer = (
    200,
    {"Content-Type": "text/html"},
    b"<!doctype html><title>Sign in to the network</title>",
)


class Impostor:
    """What a server has been asked, and where it is."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []


@contextmanager
def impostor(answer: Callable[[str, str], Answer]) -> Iterator[Impostor]:
    """A server that answers every request by a function of its method and path."""
    found = Impostor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.requests.append(f"{self.command} {self.path.partition('?')[0]}")
            status, headers, content = answer(self.command, self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = do  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as found.url:
        yield found
