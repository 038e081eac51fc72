"""No test needs a port that another program, or the same test in another clone, may have."""

import re
import socket
import subprocess
import sys

import pytest

from tests.conftest import IN_CI, ROOT
from tests.ports import DEFAULT_PORTS, free_port

LISTENS = (
    r'(?:bind|create_server|Server|ConsoleServer|EmbeddedBroker)\(\(?(?:"[^"]*", )?[1-9]\d*\b',
    r'"--(?:ws-)?port[=", ]+[1-9]\d*',
    r"\b(?:port|plain|tls|websockets|v4_port|ws_port)=[1-9]\d*",
)


def fixed_ports(text: str) -> list[str]:
    """What in a test's text listens on a port that it did not ask for."""
    return [found[0] for pattern in LISTENS for found in re.finditer(pattern, text)]


def test_no_test_listens_on_a_fixed_port() -> None:
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    found = {str(path.relative_to(ROOT)): fixed_ports(path.read_text(encoding="utf-8")) for path in files}
    found.pop("tests/test_ports.py")
    assert {name: ports for name, ports in found.items() if ports} == {}


@pytest.mark.parametrize(
    "text",
    [
        'server.bind(("127.0.0.1", 9443))',
        'socket.create_server(("", 1883))',
        "EmbeddedBroker(1883)",
        "MosquittoBroker(ports=Ports(tls=8883))",
        'start("site", "broker", "--port", "8883")',
        'f"broker --ws-port=9443"',
    ],
)
def test_a_fixed_port_is_found(text: str) -> None:
    assert fixed_ports(text.replace('f"broker ', '"'))


def test_a_port_belongs_to_one_process() -> None:
    program = (
        "from tests.ports import free_port; print(*(free_port() for _ in range(50)), flush=True); input()"
    )
    command = [sys.executable, "-c", program]
    ours = {free_port() for _ in range(50)}
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        assert len(ours) == len(theirs) == 50
        assert not ours & theirs
        other.communicate("\n")


@pytest.mark.skipif(not IN_CI, reason="only CI keeps the default ports in use")
def test_in_ci_every_default_port_is_in_use() -> None:
    for port in DEFAULT_PORTS:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
