"""A Mosquitto of our own: a child process that ends with its parent, configured from code, asked until it answers."""

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

from gridfleet.broker.access_control import BRIDGE
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.config import (
    PLUGINS,
    Access,
    Bridge,
    Listener,
    Tls,
    Version,
    configuration,
)
from gridfleet.broker.credentials import FileCredentials, SecretsFolder
from gridfleet.broker.errors import BrokerError

INSTALL: Final = "sudo apt-get install mosquitto"
START_S: Final = 60.0
"""How long Mosquitto may take to answer on all its ports, in seconds; 2.0 reads rules in the square of the users."""
_STOP_S: Final = 5.0
_PATH: Final = os.pathsep.join(["/usr/local/sbin", "/usr/sbin"])  # Debian keeps servers off a user's PATH


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen: 0 is any free port, None not at all. `plain` is on the loopback interface only."""

    tls: int | None = None
    plain: int | None = None
    websockets: int | None = None


def find_mosquitto() -> Path | None:
    """Return where Mosquitto is installed, if it is."""
    found = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), _PATH]))
    return Path(found) if found else None


def version_of(program: Path) -> Version:
    """Return the version of an installed Mosquitto; raise BrokerError when it is too old or says nothing."""
    said = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"version (\d+)\.(\d+)", said)
    if numbers is None or (found := (int(numbers[1]), int(numbers[2]))) < (2, 0):
        raise BrokerError(f"{program} is no Mosquitto of version 2: {INSTALL}")
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
        identify: bool = False,
        log: int | None = None,
        bridge: BrokerAddress | None = None,
    ) -> None:
        """Say who may do what (`secrets`, made by `gridfleet secrets`; without, anybody anything), and where.

        `host` is the address of the TLS and WebSocket listeners. `identify` demands client certificates instead
        of passwords from the TLS listener. Retained messages and sessions outlive the broker in `store`. `log` is
        a descriptor for what Mosquitto says; else it is kept until the end, for error messages. `bridge` is another
        broker with which all is shared; with secrets it is one of the same secrets, entered as `bridge`.
        """
        self._folder = SecretsFolder(secrets.resolve()) if secrets is not None else None
        self._wanted = ports or (Ports(tls=0) if secrets is not None else Ports(plain=0))
        self._host = host
        self._store = store.resolve() if store is not None else None
        self._identify = identify
        self._log = log
        self._bridge = bridge
        self._child: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.ports = Ports()
        """The ports listened on."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start Mosquitto and wait until it answers; after `close` or `kill`, on the same ports again."""
        if self._child is not None and self._child.poll() is None:
            raise BrokerError("this Mosquitto is running already")
        program = find_mosquitto()
        if program is None:
            raise BrokerError(f"Mosquitto is not installed: {INSTALL}")
        if self.ports == Ports():
            self.ports = _chosen(self._wanted, self._host)
        try:
            self._launch(program)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End Mosquitto, which saves what is to outlive it. Closing twice is safe."""
        self._end(signal.SIGTERM)
        self._child = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def kill(self) -> None:
        """End Mosquitto as a power failure would; `start` brings it back."""
        self._end(signal.SIGKILL)

    def reload(self) -> None:
        """Have Mosquitto read users, rights and certificates again; who is not let in any more is thrown out."""
        self._running().send_signal(signal.SIGHUP)

    @property
    def ended(self) -> bool:
        """Whether Mosquitto has ended by itself."""
        return self._running().poll() is not None

    @property
    def host(self) -> str:
        """The address listened on."""
        return self._host

    @property
    def url(self) -> str:
        """What clients connect to: the TLS listener if there is one, else the plain one."""
        self._running()
        if self.ports.tls is not None:
            return str(BrokerAddress(_reachable(self._host), self.ports.tls, tls=True))
        return str(BrokerAddress("127.0.0.1", self.ports.plain or 0))

    @property
    def pid(self) -> int:
        """The child's process id; raises BrokerError unless it runs."""
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
            tls = Tls(folder.certificate, folder.key, folder.authority, revoked, self._identify)
        if ports.tls is not None:
            if tls is None:
                raise BrokerError("TLS needs a certificate: make one with `gridfleet secrets DIR`")
            yield Listener(ports.tls, self._host, tls)
        if ports.websockets is not None:
            shown = Tls(tls.certificate, tls.key, tls.authority) if tls is not None else None
            yield Listener(ports.websockets, self._host, shown, websockets=True)
        if ports.plain is not None:
            yield Listener(ports.plain)

    def _bridged(self) -> Bridge | None:
        """Return the other broker, with the credentials for it."""
        address, folder = self._bridge, self._folder
        if address is None or folder is None:
            return Bridge(address) if address is not None else None
        if address.username is None:
            login = FileCredentials(folder.path).login(BRIDGE)
            address = replace(address, username=login.username, password=login.password)
        return Bridge(address, folder.authority)

    def _launch(self, program: Path) -> None:
        folder = self._folder
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="gridfleet-mosquitto-")
        text = configuration(
            list(self._listeners()),
            Access(folder.passwords, folder.acl) if folder is not None else None,
            version=version_of(program),
            store=self._store,
            # Root's Mosquitto would become a user who may not read the secrets again.
            user=pwd.getpwuid(os.geteuid()).pw_name,
            plugins=_plugins(),
            bridge=self._bridged(),
        )
        config = Path(self._scratch.name) / "mosquitto.conf"
        config.write_text(text, encoding="utf-8")
        said = Path(self._scratch.name) / "log"
        guard = shutil.which("setpriv")  # has the kernel end it when the parent dies
        before = [guard, "--pdeathsig", "TERM", "--"] if guard else []
        with said.open("ab") as log:
            self._child = subprocess.Popen(
                [*before, str(program), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log if self._log is None else self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        waiting = [port for port in (self.ports.tls, self.ports.websockets, self.ports.plain) if port]
        while waiting:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(f"Mosquitto does not answer on port {waiting[0]}: {_last_words(said)}")
            waiting = [port for port in waiting if not _accepts(port, self._host)]
            time.sleep(0.01)

    def _end(self, how: signal.Signals) -> None:
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(how)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _plugins() -> Path:
    """Return the folder with the plugins of Mosquitto 2.1."""
    folders = (PLUGINS, Path("/usr/local/lib"), *sorted(PLUGINS.glob("*-linux-gnu*")), PLUGINS / "mosquitto")
    return next((each for each in folders if (each / "mosquitto_acl_file.so").is_file()), PLUGINS)


def _chosen(wanted: Ports, host: str) -> Ports:
    """Return the ports, free ones in place of 0; raise BrokerError for one that is taken."""
    held: list[socket.socket] = []
    try:
        return Ports(
            _bound(wanted.tls, host, held),
            _bound(wanted.plain, "127.0.0.1", held),
            _bound(wanted.websockets, host, held),
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
            f"Mosquitto cannot listen on {host or '*'}:{port} ({error}): choose another port"
        ) from None
    return int(held[-1].getsockname()[1])


def _accepts(port: int, host: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_reachable(host), port), timeout=1.0):
        return True
    return False


def _reachable(host: str) -> str:
    """Return an address at which a listener on `host` is reached from here."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said no reason"
