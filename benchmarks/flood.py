"""One liar floods a site: what the broker needs, what the honest trade meanwhile, and how soon it is as before.

Mosquitto with TLS, logins and access rules; the devices of a scenario in a fleet process, the clock and the recorder
in processes of their own, in scaled time; the liar is enrolled as a vehicle. Its messages go to the topic that most
devices of the site receive. The trade is read from what the recorder stored.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

from benchmarks.flooder import Flood
from benchmarks.measure import ROOT, cpu_of
from benchmarks.table import Cell, show
from gridfleet.broker.brokers.mosquitto import server
from gridfleet.broker.brokers.mosquitto.config import MAX_PACKET
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Call, Role
from gridfleet.broker.protocol.topics import topic
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.chaos.subprocesses import Subprocesses
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.site.secrets import identities, make_secrets

LIAR: Final = "vehicle-liar"
SCENARIO: Final = "normal"
BEFORE: Final = 5
"""Ticks before the flood."""
AFTER: Final = 8
"""Ticks after it."""
POLL_S: Final = 0.1
START_S: Final = 90.0
HONEST_SHARE: Final = 0.95
MIB: Final = 1 << 20


class Load(NamedTuple):
    """A flood: its name, messages a second, bytes of the payload (0: those of a valid call), and QoS."""

    name: str
    per_s: float
    payload_bytes: int
    qos: int
    at_broker: bool = True
    """Whether the broker counts quotas too, or receivers alone."""


class Seen(NamedTuple):
    """What a run showed."""

    sold_wh: dict[int, int]
    """Energy sold by tick."""
    first: int
    last: int
    """The first and the last tick of the flood."""
    peak_mib: float
    idle_mib: float
    broker_cpu: float
    """Share of a core that the broker used during the flood."""
    sent: int
    connections: int
    verdict: str


LARGEST: Final = MAX_PACKET - 100
LOADS: Final = (
    Load("small, 5 000/s", 5_000, 0, 0),
    Load("small, 5 000/s", 5_000, 0, 1),
    Load("largest allowed, 100/s", 100, LARGEST, 0),
    Load("largest allowed, 100/s", 100, LARGEST, 1),
    Load("small, 5 000/s, receivers alone", 5_000, 0, 0, at_broker=False),
    Load("largest allowed, 100/s, receivers alone", 100, LARGEST, 0, at_broker=False),
)


def run(*, quick: bool) -> None:
    """Measure and print."""
    seconds, per_tick = (4.0, 1.0) if quick else (30.0, 2.0)
    honest = site_under(None, seconds, per_tick)
    rows = [_row("none", honest, honest, seconds)]
    notes: list[str] = []
    for load_ in LOADS[:1] if quick else LOADS:
        seen = site_under(load_, seconds, per_tick)
        name = f"{load_.name}, QoS {load_.qos}"
        rows.append(_row(name, seen, honest, seconds))
        notes.append(f"{name}: sold by tick, of the run without: {shares(seen, honest)}")
    show(
        f"One liar floods {len(Fleet(load(SCENARIO, [])).ids)} devices for {seconds:g} s, {per_tick:g} s per tick",
        ["flood", "sent/s", "connections", "broker before, MiB", "at most, MiB", "broker, % of a core",
         "honest trade, %", "ticks to recovery", "verdict", "load"],
        rows,
        notes,
    )  # fmt: skip


def _row(name: str, seen: Seen, honest: Seen, seconds: float) -> list[Cell]:
    share, recovered = judged(seen, honest)
    return [name, seen.sent / seconds, seen.connections, seen.idle_mib, seen.peak_mib, seen.broker_cpu * 100,
            share * 100, recovered, seen.verdict, f"{os.getloadavg()[0]:.1f}"]  # fmt: skip


def shares(seen: Seen, honest: Seen) -> str:
    """Return the energy sold in each tick from the first of the flood on, in percent of the run without it."""
    ticks = range(seen.first, seen.last + 1 + AFTER)
    return " ".join(f"{seen.sold_wh.get(each, 0) / honest.sold_wh.get(each, 1):.0%}" for each in ticks)


def judged(seen: Seen, honest: Seen) -> tuple[float, int]:
    """Return the share of the energy sold during the flood, and the ticks after it until a tick sold as much."""
    ticks = range(seen.first, seen.last + 1)
    share = sum(seen.sold_wh.get(each, 0) for each in ticks) / sum(honest.sold_wh[each] for each in ticks)
    recovered = 0
    while recovered < AFTER:
        tick = seen.last + 1 + recovered
        honest_wh = honest.sold_wh.get(tick)
        if honest_wh is not None and seen.sold_wh.get(tick, 0) >= HONEST_SHARE * honest_wh:
            break
        recovered += 1
    return share, recovered


def site_under(flood: Load | None, seconds: float, per_tick: float) -> Seen:
    """Run a site, with a flood or without; return what was seen."""
    ticks = BEFORE + round(seconds / per_tick) + 1 + AFTER
    options = [SCENARIO, "--set", f"ticks={ticks}"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridfleet-flood-")))
        secrets, out = folder / "secrets", folder / "out"
        fleet = Fleet(load(SCENARIO, []))
        make_secrets(secrets, fleet.scenario.site, identities(fleet, processes=1))
        cell = fleet.cells[0].name
        enrol(secrets, Enrolment(LIAR, Role.VEHICLE, cell))
        if flood is not None and not flood.at_broker:
            stack.enter_context(patch.object(server, "compiled_plugin", lambda: None))
        broker = stack.enter_context(MosquittoBroker(secrets))
        processes = stack.enter_context(Subprocesses(folder))
        where = ["--broker", broker.url, "--secrets", str(secrets)]
        processes.start("record", "site", "record", SCENARIO, *where, "--out", str(out))
        processes.start("fleet", "site", "fleet", *options, *where)
        speed = ("--mode", "scaled", "--seconds-per-tick", f"{per_tick:g}")
        processes.start("clock", "site", "clock", *options, *where, *speed)
        store = _wait_for_store(out)
        wait_for_tick(store, BEFORE)
        idle_mib = _memory_mib(broker.pid, "VmRSS")
        first = last_tick(store)
        cpu_s, begun_s = cpu_of(broker.pid), time.monotonic()
        peak, sent = idle_mib, {"messages": 0, "connections": 0}
        if flood is not None:
            liar = stack.enter_context(
                _liar(folder, secrets, broker, cell, fleet.scenario.site, flood, seconds)
            )
            while liar.poll() is None:
                peak = max(peak, _memory_mib(broker.pid, "VmRSS"))
                time.sleep(POLL_S)
            assert liar.stdout is not None
            sent = json.loads(liar.stdout.read())
        else:
            time.sleep(seconds)
        used = (cpu_of(broker.pid) - cpu_s) / (time.monotonic() - begun_s)
        last = first + round(seconds / per_tick)
        deadline = time.monotonic() + START_S
        while not processes["clock"].exited and time.monotonic() < deadline:
            peak = max(peak, _memory_mib(broker.pid, "VmRSS"))
            time.sleep(POLL_S)
        time.sleep(2.0)
        summary = next(iter(out.glob("runs/*/summary.json")), None)
        verdict = (
            "not finished" if summary is None else verdict_of(json.loads(summary.read_text(encoding="utf-8")))
        )
        return Seen(_sold_by_tick(store), first, last, peak, idle_mib, used, sent["messages"], sent["connections"],
                    verdict)  # fmt: skip


def verdict_of(summary: dict[str, object]) -> str:
    """Return a run's verdict in a few words."""
    return str(summary.get("audit", summary.get("verdict", "?")))[:200]


def _liar(
    folder: Path, secrets: Path, broker: MosquittoBroker, cell: str, site: str, flood: Load, seconds: float
) -> subprocess.Popen[bytes]:
    call = Call(1, 1_750_032_000_000, 10_000, 1_000_000, 51.0, 9.0, 150.0)
    payload = "x" * flood.payload_bytes if flood.payload_bytes else encode(call).decode()
    own = SecretsFolder(secrets)
    options = Flood(
        "localhost", broker.ports.tls or 0, str(own.authority), LIAR,
        own.password_of(LIAR).read_text(encoding="ascii").strip(),
        (topic(site, call, cell, LIAR),), payload, flood.qos, flood.per_s, seconds,
    )  # fmt: skip
    path = folder / "flood.json"
    path.write_text(json.dumps(options._asdict()), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.flooder", str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )


def _wait_for_store(out: Path) -> Path:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = next(iter(out.glob("runs/*/*.sqlite")), None)
        if found is not None:
            return found
        time.sleep(POLL_S)
    raise TimeoutError(f"no run was recorded in {out} within {START_S:g} s")


def wait_for_tick(store: Path, tick: int) -> None:
    """Wait until a tick is stored."""
    deadline = time.monotonic() + START_S
    while last_tick(store) < tick:
        if time.monotonic() > deadline:
            raise TimeoutError(f"tick {tick} was not recorded within {START_S:g} s")
        time.sleep(POLL_S)


def last_tick(store: Path) -> int:
    """Return the last stored tick; -1 without one."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT COALESCE(MAX(tick), -1) FROM ticks").fetchone()[0])


def _sold_by_tick(store: Path) -> dict[int, int]:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT tick, SUM(energy_wh) FROM trades GROUP BY tick"))


def _memory_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has no {field}")


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
