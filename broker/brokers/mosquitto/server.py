"""Runs Mosquitto as a child process: configured from code, started, reloaded and stopped with its parent."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.access_control import BRIDGE_ID
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.child_process import stop_process
from gridfleet.broker.brokers.mosquitto.config import (
    PLUGINS,
    Access,
    Bridge,
    Listener,
    Tls,
    Version,
    configuration,
)
from gridfleet.broker.brokers.mosquitto.quota_plugin import compiled_plugin
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError, error_reason

INSTALL: Final = "sudo apt-get install mosquitto"
START_S: Final = 60.0
"""How long Mosquitto may take to accept connections on all its ports, in seconds.

The time that 2.0 takes to read access rules grows with the square of the users.
"""
_SERVER_PATH: Final = os.pathsep.join(
    ["/usr/local/sbin", "/usr/sbin"]
)  # Debian keeps servers off a user's PATH


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports to listen on: 0 is any free port, None is no listener. `plain` is on the loopback interface only."""

    tls: int | None = None
    plain: int | None = None
    websockets: int | None = None


def find_mosquitto() -> Path | None:
    """Return the path of an installed Mosquitto; None when there is none."""
    found = shutil.which(
        "mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), _SERVER_PATH])
    )
    return Path(found) if found else None


def version_of(program: Path) -> Version:
    """Return the version of an installed Mosquitto; raise BrokerError when it is older than 2.0 or not Mosquitto."""
    output = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"version (\d+)\.(\d+)", output)
    if numbers is None or (found := (int(numbers[1]), int(numbers[2]))) < (2, 0):
        raise BrokerError(f"{program} is not Mosquitto 2.0 or newer: {INSTALL}")
    return Version.V2_0 if found == (2, 0) else Version.V2_1


class MosquittoBroker:
    """Context manager: Mosquitto at `url`; raises BrokerError when it is not installed or does not start."""

    def __init__(
        self,
        secrets: Path | None = None,
        ports: Ports | None = None,
        *,
        host: str = "127.0.0.1",
        store: Path | None = None,
        client_certificates: bool = False,
        log: int | None = None,
        bridge: BrokerAddress | None = None,
    ) -> None:
        """`secrets` is a folder made by `gridfleet site init`; without it every client may do everything.

        `host` is the address of the TLS and WebSocket listeners. With `client_certificates` the TLS listener requires
        certificates instead of passwords. Retained messages and sessions are stored in `store`. `log` is a file
        descriptor for Mosquitto's log; without it, the log is kept until the end, for error messages. `bridge` is
        another broker that all topics are bridged with; with secrets it has the same ones.
        """
        self._folder = SecretsFolder(secrets.resolve()) if secrets is not None else None
        self._requested = ports or (Ports(tls=0) if secrets is not None else Ports(plain=0))
        self._host = host
        self._store = store.resolve() if store is not None else None
        self._client_certificates = client_certificates
        self._log = log
        self._bridge = bridge
        self._child: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.ports = Ports()
        """The ports that it listens on."""
        self.has_quota = False
        """Whether it refuses what clients publish beyond their quota: with secrets, where there is a C compiler."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start Mosquitto and wait until it accepts connections; after `close` or `kill`, on the same ports again."""
        if self._child is not None and self._child.poll() is None:
            raise BrokerError("this Mosquitto is already running: close it first")
        program = find_mosquitto()
        if program is None:
            raise BrokerError(f"Mosquitto is not installed: {INSTALL}")
        if self.ports == Ports():
            self.ports = _free_ports(self._requested, self._host)
        try:
            self._launch(program)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop Mosquitto, which saves its store first. Closing twice is safe."""
        self._stop(signal.SIGTERM)
        self._child = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def kill(self) -> None:
        """Stop Mosquitto as a power failure would; `start` starts it again."""
        self._stop(signal.SIGKILL)

    def reload(self) -> None:
        """Let Mosquitto read users, access rules and certificates again; it disconnects clients that lost access."""
        self._running().send_signal(signal.SIGHUP)

    @property
    def ended(self) -> bool:
        """Whether Mosquitto has stopped by itself."""
        return self._running().poll() is not None

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._host

    @property
    def url(self) -> str:
        """The URL for clients: of the TLS listener if there is one, else of the plain one."""
        self._running()
        if self.ports.tls is not None:
            return str(BrokerAddress(_reachable(self._host), self.ports.tls, tls=True))
        return str(BrokerAddress("127.0.0.1", self.ports.plain or 0))

    @property
    def pid(self) -> int:
        """The process id; raises BrokerError when Mosquitto is not running."""
        return self._running().pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise BrokerError("this Mosquitto is not running: use it inside its `with` block")
        return self._child

    def _listeners(self) -> Iterator[Listener]:
        folder, ports = self._folder, self.ports
        tls = None
        if folder is not None:
            revoked = folder.revoked if folder.revoked.is_file() else None
            tls = Tls(folder.certificate, folder.key, folder.authority, revoked, self._client_certificates)
        if ports.tls is not None:
            if tls is None:
                raise BrokerError("TLS needs a certificate: make one with `gridfleet site init DIR`")
            yield Listener(ports.tls, self._host, tls)
        if ports.websockets is not None:
            server_only = Tls(tls.certificate, tls.key, tls.authority) if tls is not None else None
            yield Listener(ports.websockets, self._host, server_only, websockets=True)
        if ports.plain is not None:
            yield Listener(ports.plain)

    def _bridge_with_login(self) -> Bridge | None:
        """Return the other broker, with user name and password for it."""
        address, folder = self._bridge, self._folder
        if address is None or folder is None:
            return Bridge(address) if address is not None else None
        if address.username is None:
            login = FileCredentials(folder.path).login(BRIDGE_ID)
            address = replace(address, username=login.username, password=login.password)
        return Bridge(address, folder.authority)

    def _launch(self, program: Path) -> None:
        folder = self._folder
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="gridfleet-mosquitto-")
        scratch = Path(self._scratch.name)
        users = _count_lines(folder.passwords) if folder is not None else 0
        text = configuration(
            list(self._listeners()),
            Access(folder.passwords, folder.acl, users) if folder is not None else None,
            version=version_of(program),
            store=self._store,
            # Started by root, Mosquitto would change to a user who may not read the secrets again.
            user=pwd.getpwuid(os.geteuid()).pw_name,
            plugins=_plugins(),
            bridge=self._bridge_with_login(),
            quota_plugin=self._write_plugin(scratch) if folder is not None else None,
        )
        config = scratch / "mosquitto.conf"
        config.write_text(text, encoding="utf-8")
        log_path = scratch / "log"
        setpriv = shutil.which("setpriv")  # the kernel then stops it when the parent ends
        wrapper = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [*wrapper, str(program), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log if self._log is None else self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        waiting = [port for port in (self.ports.tls, self.ports.websockets, self.ports.plain) if port]
        while waiting:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(f"Mosquitto does not answer on port {waiting[0]}: {_last_line(log_path)}")
            waiting = [port for port in waiting if not _accepts(port, self._host)]
            time.sleep(0.01)

    def _write_plugin(self, folder: Path) -> Path | None:
        """Write the plugin that counts what each client publishes; return None where there is no C compiler."""
        plugin = compiled_plugin()
        if plugin is None:
            return None
        path = folder / "quota.so"
        if not path.is_file():  # Mosquitto may have the former one mapped
            path.write_bytes(plugin)
        self.has_quota = True
        return path

    def _stop(self, how: signal.Signals) -> None:
        if self._child is not None:
            stop_process(self._child, how)


def _plugins() -> Path:
    """Return the folder with the plugins of Mosquitto 2.1."""
    folders = (PLUGINS, Path("/usr/local/lib"), *sorted(PLUGINS.glob("*-linux-gnu*")), PLUGINS / "mosquitto")
    return next((each for each in folders if (each / "mosquitto_acl_file.so").is_file()), PLUGINS)


def _free_ports(requested: Ports, host: str) -> Ports:
    """Return the ports, free ones instead of 0; raise BrokerError for one that is in use."""
    held: list[socket.socket] = []
    try:
        return Ports(
            _bound(requested.tls, host, held),
            _bound(requested.plain, "127.0.0.1", held),
            _bound(requested.websockets, host, held),
        )
    finally:
        for each in held:
            each.close()


def _bound(port: int | None, host: str, held: list[socket.socket]) -> int | None:
    if port is None:
        return None
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        held.append(socket.create_server((host, port), family=family))
    except (OSError, OverflowError) as error:
        raise BrokerError(
            f"Mosquitto cannot listen on {host or '*'}:{port} ({error_reason(error)}): choose another port"
        ) from None
    return int(held[-1].getsockname()[1])


def _accepts(port: int, host: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_reachable(host), port), timeout=1.0):
        return True
    return False


def _reachable(host: str) -> str:
    """Return an address at which a listener on `host` is reached from here."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only


def _count_lines(path: Path) -> int:
    """Return the number of lines of a file; 0 for a missing one, about which Mosquitto complains itself."""
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
