"""Publish hostile payloads over every topic of a real Mosquitto, and see what receivers make of them.

    python -m benchmarks hostile-payloads                       a million, half of them with TLS and access rules
    python -m benchmarks.hostile_payloads --messages 20000      fewer; --seed S for others

A town of 50 devices runs in lock-step with clock, fleet, recorder with telemetry, `watch` and live page in processes of
their own, while another process publishes with the credentials of one device; then the same on a broker without access
rules, where it publishes in every name. Ledger, telemetry and the lines of `watch` must be those of the simulation.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.hostile_site import HostileSite, Seen
from benchmarks.hostile_town import Expected, expected
from benchmarks.table import Cell, show
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.telemetry.points import line_protocol

MESSAGES: Final = 1_000_000
QUICK: Final = 4_000
PER_TICK: Final = 500
AFTER: Final = 4
"""Ticks after the last hostile message."""
GROWTH_MIB: Final = 48.0
"""The most that a process may grow once a tenth of the run is over."""
DEVICES: Final = 52
"""Devices of the town, and the hostile client."""
THIN_SPACE: Final = "\u202f"
"""What the page puts between thousands."""
UNEQUAL: Final = frozenset({"clock", "recorder", "live_status", "rejects"})
"""Measurements that state the clock's mode, real time, or what was refused."""
_RUN: Final = re.compile(",run=[^, ]+")
_REFUSED: Final = re.compile("refused=[0-9]+i")
_LOCKSTEP_ONLY: Final = re.compile(
    "^messages,.*type=(ready|grant)|^messages,cell=site,message_type=presence|^event,device=clock"
)
"""What only a clock with a connection publishes; it is offline once the run has ended."""


def run(*, quick: bool) -> None:
    """Measure and print; end with exit code 1 where something was found."""
    found = measure(QUICK if quick else MESSAGES, seed=1)
    if found:
        raise SystemExit("\n".join(found))


def measure(messages: int, seed: int, per_tick: int = PER_TICK, *, with_page: bool = True) -> list[str]:
    """Run both sites, print the tables, and return what was found."""
    each = messages // 2
    ticks = -(-each // per_tick) + AFTER
    wanted = expected(ticks)
    rows: list[list[Cell]] = []
    memory: list[list[Cell]] = []
    notes: list[str] = []
    found: list[str] = []
    for secure in (True, False):
        name = "TLS, logins, access rules" if secure else "no access rules"
        with ExitStack() as stack:
            site = HostileSite(stack, secure=secure, ticks=ticks, with_page=with_page)
            seen = site.run(each, per_tick, seed + secure)
        problems = [f"{name}: {problem}" for problem in judged(seen, wanted, each, ticks)]
        found += problems
        page = "–" if seen.page is None else f"{seen.page.devices}, tick {seen.page.tick}"
        rows.append([name, seen.sent.messages, seen.sent.payload_bytes / 1e6, seen.seconds,
                     seen.sent.messages / seen.seconds, seen.refused, page, len(problems), seen.load])  # fmt: skip
        memory += [
            [f"{process}, {name}", each_.warm, each_.peak, each_.last, seen.cpu_s.get(process)]
            for process, each_ in sorted(seen.memory.items())
        ]
        notes += problems or [f"{name}: nothing found; made by: {_counts(seen.sent.makings)}"]
    show(
        f"{messages} hostile payloads over {ticks} ticks of each site",
        ["broker", "sent", "MB", "s", "messages/s", "refused by the recorder", "page", "problems", "load"],
        rows,
        notes,
    )
    show("Memory, MiB", ["process", "after a tenth", "at most", "at the end", "CPU s"], memory)
    return found


def judged(seen: Seen, wanted: Expected, messages: int, ticks: int) -> list[str]:
    """Return everything that is not as it must be."""
    found = list(seen.crashed)
    if seen.sent.messages != messages:
        found.append(f"only {seen.sent.messages} of {messages} messages were published")
    found += [f"{name} logs a traceback: {log}" for name, log in seen.logs.items() if "Traceback" in log]
    found += [
        f"{name} grows from {each.warm:.0f} to {each.peak:.0f} MiB"
        for name, each in seen.memory.items()
        if each.peak - each.warm > GROWTH_MIB
    ]
    for table, rows in wanted.rows.items():
        kept = [row for row in seen.rows.get(table, []) if table != "events" or CLOCK_ID not in row]
        found += _differences(f"table {table}", kept, rows)
    found += _differences("telemetry", comparable(seen.points), comparable(map(line_protocol, wanted.points)))
    found += _differences("watch", seen.lines, wanted.lines)
    if seen.holds != wanted.holds:
        found.append(f"the verdict is {seen.holds}, of the simulation {wanted.holds}")
    if seen.page is not None:
        found += [f"the page: {fault}" for fault in seen.page.faults]
        shown = seen.page.devices, seen.page.tick.replace(THIN_SPACE, "")
        right = (f"{DEVICES} of {DEVICES}", f"{ticks} of {ticks}")
        if shown != right:
            found.append(f"the page shows {shown}, and not {right}")
    return found


def comparable(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of points that a simulation and a site in lock-step have alike, without the run's name."""
    for line in lines:
        measurement = line[: line.index(",")]
        if measurement not in UNEQUAL and not _LOCKSTEP_ONLY.search(line):
            yield _REFUSED.sub("", _RUN.sub("", line))


def _differences(what: str, seen: Iterable[object], wanted: Iterable[object]) -> list[str]:
    """Return the first differences between two collections, in any order."""
    left, right = Counter(seen), Counter(wanted)
    more, fewer = left - right, right - left
    found = [f"{what}: {more.total()} more, such as {each}" for each in list(more)[:1]]
    return found + [f"{what}: {fewer.total()} missing, such as {each}" for each in list(fewer)[:1]]


def _counts(makings: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(makings.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with options; return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile_payloads", description=__doc__)
    parser.add_argument(
        "--messages", type=int, default=MESSAGES, help="how many are published (default: a million)"
    )
    parser.add_argument("--per-tick", type=int, default=PER_TICK, help="how many in each tick (default: 500)")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes others")
    parser.add_argument("--no-page", action="store_true", help="without Chromium")
    options = parser.parse_args(arguments)
    found = measure(options.messages, options.seed, options.per_tick, with_page=not options.no_page)
    print("\n".join(found) or "nothing found")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
