"""A town over a real Mosquitto under hostile payloads: its processes, and what is read from them while they run."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.hostile_sender import Options, Sent
from benchmarks.hostile_town import LIAR, SITE, TABLES, rows_of, scenario, write_scenario
from benchmarks.influx_stand_in import InfluxStandIn
from benchmarks.live_page import LivePage, PageSeen
from benchmarks.measure import ROOT, cpu_of
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.reports.summary import HOLDS
from gridfleet.dashboards.store.database import Store
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.chaos.subprocesses import Subprocesses
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.site.secrets import identities, make_secrets

POLL_S: Final = 0.5
START_S: Final = 120.0
TICK_S: Final = 120.0
"""The longest that a tick in lock-step may take before the site counts as stopped, in seconds."""
WARM: Final = 0.1
"""The share of a run after which memory is compared with what it was."""
MIB: Final = 1 << 20


class Memory(NamedTuple):
    """Resident memory of a process in MiB: once a tenth of the run was over, at most, and at the end."""

    warm: float
    peak: float
    last: float


class Seen(NamedTuple):
    """What a site under hostile payloads showed."""

    sent: Sent
    seconds: float
    load: float
    """The machine's load when it ended."""
    crashed: list[str]
    """Processes that ended by themselves, with their last words."""
    memory: Mapping[str, Memory]
    cpu_s: Mapping[str, float]
    rows: Mapping[str, list[tuple[object, ...]]]
    points: list[str]
    """Lines of InfluxDB's line protocol."""
    lines: list[str]
    """What `gridfleet watch` wrote for each tick."""
    page: PageSeen | None
    refused: int
    """What the recorder refused."""
    holds: bool
    """The auditor's verdict."""
    logs: Mapping[str, str]
    """The last lines of each process."""


class HostileSite:
    """Runs the town for so many ticks under hostile payloads; `secure` is with TLS, logins and access rules."""

    def __init__(self, stack: ExitStack, *, secure: bool, ticks: int, with_page: bool) -> None:
        self._stack = stack
        self._secure = secure
        self._ticks = ticks
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gridfleet-hostile-"))
        self._folder = Path(folder)
        self._out = self._folder / "out"
        self._scenario = str(write_scenario(self._folder))
        self._secrets = self._make_secrets() if secure else None
        self._broker = stack.enter_context(
            MosquittoBroker(self._secrets, Ports(tls=0) if secure else Ports(plain=0))
        )
        self._where = ["--broker", self._broker.url]
        if self._secrets is not None:
            self._where += ["--secrets", str(self._secrets)]
        self._influx = stack.enter_context(InfluxStandIn())
        self._processes = stack.enter_context(Subprocesses(self._folder))
        self._page = LivePage.open_if_installed(stack) if with_page else None
        self._memory: dict[str, list[float]] = {}
        self._cpu_s: dict[str, float] = {}

    def _make_secrets(self) -> Path:
        secrets = self._folder / "secrets"
        fleet = Fleet(scenario(self._ticks))
        users = identities(fleet, processes=1, viewers=("viewer", "page"))
        make_secrets(secrets, SITE, users)
        enrol(secrets, Enrolment(LIAR, Role.VEHICLE, fleet.cells[0].name))
        return secrets

    def run(self, messages: int, per_tick: int, seed: int) -> Seen:
        """Run to the end of the ticks, or until the site stops; return what was seen."""
        names = self._start()
        liar = self._start_sender(messages, per_tick, seed)
        ticks = ["--set", f"ticks={self._ticks}"]
        self._processes.start(
            "clock", "site", "clock", self._scenario, *ticks, *self._where, "--mode", "lockstep"
        )
        begun_s = time.monotonic()
        crashed = self._watch_processes(names)
        seconds = time.monotonic() - begun_s
        sent = self._sent(liar, crashed)
        if not self._wait(lambda: self._summary() is not None):
            crashed.append(f"record: wrote no summary: {self._processes['record'].log_tail}")
        self._wait(lambda: self._processes["watch"].exited)
        page = None if self._page is None else self._page.seen()
        logs = {name: self._processes[name].log_tail for name in names}
        self._stop()
        status = json.loads((self._out / "status.json").read_text(encoding="utf-8"))
        return Seen(
            sent, seconds, os.getloadavg()[0], crashed,
            {name: _memory_of(found) for name, found in self._memory.items()}, dict(self._cpu_s),
            self._rows(), list(self._influx.lines), self._lines(), page, status["refused"],
            (self._summary() or {}).get("verdict") == HOLDS, logs,
        )  # fmt: skip

    # --- processes ---------------------------------------------------------------------------------------

    def _start(self) -> list[str]:
        start, where = self._processes.start, self._where
        token = self._folder / "token"
        token.write_text("a-token", encoding="ascii")
        influx = ["--influx", self._influx.url, "--token-file", str(token)]
        start("record", "site", "record", self._scenario, *where, "--out", str(self._out), *influx)
        start("watch", "watch", "--site", SITE, *where)
        start("fleet", "site", "fleet", self._scenario, "--set", f"ticks={self._ticks}", *where)
        if self._page is not None:
            start("console", "console", "--site", SITE, *where)
            self._page.open(self._console_url(), self._password("page"))
        return ["record", "watch", "fleet", *(["console"] if self._page is not None else []), "clock"]

    def _console_url(self) -> str:
        log = self._folder / "console.log"
        if not self._wait(lambda: "http://" in log.read_text(encoding="utf-8")):
            raise TimeoutError(f"the console does not start: {self._processes['console'].log_tail}")
        words = log.read_text(encoding="utf-8").split()
        return next(word for word in words if word.startswith("http://")).rstrip(",;.")

    def _password(self, name: str) -> tuple[str, str] | None:
        if self._secrets is None:
            return None
        return name, SecretsFolder(self._secrets).password_of(name).read_text(encoding="ascii").strip()

    def _start_sender(self, messages: int, per_tick: int, seed: int) -> subprocess.Popen[bytes]:
        if self._secrets is None:
            options = Options("127.0.0.1", self._broker.ports.plain or 0, "", "", messages, per_tick, seed)
        else:
            login = self._password(LIAR)
            authority = str(SecretsFolder(self._secrets).authority)
            port = self._broker.ports.tls or 0
            options = Options(
                "localhost", port, authority, login[1] if login else "", messages, per_tick, seed
            )
        path = self._folder / "sender.json"
        path.write_text(json.dumps(options._asdict()), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.hostile_sender", str(path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)

        def end() -> None:
            process.kill()
            process.wait()

        self._stack.callback(end)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the hostile client has ended before it was connected")
        return process

    def _sent(self, liar: subprocess.Popen[bytes], crashed: list[str]) -> Sent:
        """Return what the hostile client reports; note in `crashed` that it reports nothing."""
        try:
            output = liar.communicate(timeout=START_S)[0]
            return Sent(**json.loads(output))
        except (subprocess.TimeoutExpired, ValueError):
            crashed.append("the hostile client does not end")
            return Sent(0, 0, 0, 0.0, {})

    def _watch_processes(self, names: list[str]) -> list[str]:
        """Sample memory from the first tick until the clock ends; return what ends before it, or that nothing moves."""
        last, moved_s = "", time.monotonic()
        while not self._processes["clock"].exited:
            if last:
                self._sample([name for name in names if not self._processes[name].exited])
            ended = [
                name for name in names if self._processes[name].exited and name not in {"clock", "watch"}
            ]
            if ended:
                return [f"{name}: {self._processes[name].log_tail}" for name in ended]
            now = self._processes["watch"].log_tail
            if now != last:
                last, moved_s = now, time.monotonic()
            elif time.monotonic() - moved_s > TICK_S:
                return [f"no tick within {TICK_S:g} s: {self._processes['clock'].log_tail}"]
            time.sleep(POLL_S)
        return []

    def _sample(self, names: list[str]) -> None:
        pids = {name: self._processes[name].pid for name in names}
        pids["broker"] = self._broker.pid
        if self._page is not None:
            self._memory.setdefault("page's heap", []).append(self._page.heap_mib())
        for name, pid in pids.items():
            try:
                self._memory.setdefault(name, []).append(_resident_mib(pid))
                self._cpu_s[name] = cpu_of(pid)
            except OSError:
                continue  # it has just ended

    def _stop(self) -> None:
        """End the recorder first, so that it does not record that the others end."""
        for name in ("record", "fleet", "watch"):
            process = self._processes[name]
            process.terminate()
            self._wait(lambda process=process: process.exited)

    def _wait(self, condition: Any) -> bool:  # noqa: ANN401 - a function
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            if condition():
                return True
            time.sleep(POLL_S)
        return False

    # --- what they wrote ---------------------------------------------------------------------------------

    def _summary(self) -> dict[str, Any] | None:
        found = next(iter(self._out.glob("runs/*/summary.json")), None)
        return None if found is None else json.loads(found.read_text(encoding="utf-8"))

    def _rows(self) -> dict[str, list[tuple[object, ...]]]:
        path = next(iter(self._out.glob(f"runs/*/{STORE}")))
        with Store.open(path) as store:
            return {table: rows_of(store, table) for table in TABLES}

    def _lines(self) -> list[str]:
        text = (self._folder / "watch.log").read_text(encoding="utf-8")
        return [line for line in text.splitlines() if line.startswith("tick")]


def _memory_of(samples: list[float]) -> Memory:
    warm = samples[int(len(samples) * WARM)] if samples else 0.0
    return Memory(warm, max(samples, default=0.0), samples[-1] if samples else 0.0)


def _resident_mib(pid: int) -> float:
    return (
        int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / MIB
    )
