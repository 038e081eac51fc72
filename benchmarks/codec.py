"""What a message costs as our dataclass, as a pydantic model, and as a msgspec structure where that is installed."""

import importlib
import json
import tracemalloc
from collections import deque
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.measure import collector_off
from benchmarks.table import Cell, show
from gridfleet.broker.protocol import messages
from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import EnergyWh, PriceUeur, Serial, TickNumber

PACKAGES: Final = 10
MIN_S: Final = 0.05
HELD: Final = 2_000
PRICES: Final = [1_000_000 - 33_333 * n for n in range(PACKAGES)]
TICK: Final = 57
SERIAL: Final = 1


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class _Package(_Model):
    index: Annotated[int, Field(ge=0, lt=messages.MAX_PACKAGES)]
    energy_wh: EnergyWh
    price_ueur_per_kwh: PriceUeur


class _Bid(_Model):
    tick: TickNumber
    packages: Annotated[tuple[_Package, ...], Field(max_length=messages.MAX_PACKAGES)]


class _Award(_Model):
    tick: TickNumber
    serial: Serial
    lots: Annotated[tuple[_Package, ...], Field(max_length=messages.MAX_PACKAGES)]


class Way(NamedTuple):
    """A way to have a message: how it is made, written and read; None for what it does not do."""

    name: str
    make: Callable[[], object]
    write: Callable[[Any], bytes] | None
    read: Callable[[bytes], object] | None


def run(*, quick: bool) -> None:
    """Measure and print."""
    msgspec = _msgspec()
    for title, ways in (("a bid", _bids(msgspec)), ("an award", _awards(msgspec))):
        _measure(title, ways, quick=quick)
    if msgspec is None:
        print("msgspec: not run, it is not installed (pip install msgspec); GridFleet does not use it.")


def _measure(title: str, ways: list[Way], *, quick: bool) -> None:
    rounds, min_s = (1, 0.002) if quick else (9, MIN_S)
    jobs: dict[tuple[str, str], Callable[[], object]] = {}
    for way in ways:
        jobs[way.name, "make"] = way.make
        made = way.make()
        if way.write is not None and way.read is not None:
            payload = way.write(made)
            assert way.read(payload) == made
            jobs[way.name, "write"] = _bound(way.write, made)
            jobs[way.name, "read"] = _bound(way.read, payload)
    jobs["", "pass"] = _passing(ways[0].make())
    loops = {key: _calibrate(job, min_s) for key, job in jobs.items()}
    us: dict[tuple[str, str], list[float]] = {key: [] for key in jobs}
    with collector_off():
        for _ in range(rounds):
            for key, job in jobs.items():
                us[key].append(_time(job, loops[key]) / loops[key] * 1e6)
    cost = {key: median(found) for key, found in us.items()}
    floor = cost[ways[-1].name, "write"] + cost[ways[-1].name, "read"]
    rows: list[list[Cell]] = []
    for way in ways:
        parts: list[float | None] = [cost.get((way.name, step)) for step in ("make", "write", "read")]
        both = None if parts[1] is None or parts[2] is None else parts[1] + parts[2]
        rows.append([way.name, *parts, both, None if both is None else both / floor, _held_bytes(way.make)])
    payload = encode(_our_bid() if title == "a bid" else _our_award())
    show(
        f"Codec: {title} of {PACKAGES} packages, µs of CPU",
        ["", "make", "write", "read", "write + read", "× standard library", "bytes held"],
        rows,
        [f"Handing one on by reference: {cost['', 'pass']:.3f} µs. On the wire: {len(payload)} bytes."],
    )


def _bound(work: Callable[[Any], object], given: object) -> Callable[[], object]:
    return lambda: work(given)


def _passing(message: object) -> Callable[[], object]:
    """Return what the in-memory bus does with a message: into the queue, and out of it."""
    queue: deque[object] = deque()

    def work() -> object:
        queue.append(message)
        return queue.popleft()

    return work


def _time(job: Callable[[], object], loops: int) -> float:
    start_s = process_time()
    for _ in range(loops):
        job()
    return process_time() - start_s


def _calibrate(job: Callable[[], object], min_s: float) -> int:
    loops = 16
    while _time(job, loops) < min_s:
        loops *= 2
    return loops


def _held_bytes(make: Callable[[], object]) -> int:
    """Return the bytes that one message holds, its package objects included."""
    kept: list[object] = [None] * HELD
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(HELD):
        kept[n] = make()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return round(held / HELD)


# --- the ways ---------------------------------------------------------------------------------------------


def _our_bid() -> messages.Bid:
    package = messages.Package
    return messages.Bid(TICK, tuple([package(n, 10_000 + n, price) for n, price in enumerate(PRICES)]))


def _our_award() -> messages.Award:
    package = messages.Package
    return messages.Award(
        TICK, SERIAL, tuple([package(n, 10_000 + n, price) for n, price in enumerate(PRICES)])
    )


def _bids(msgspec: Any) -> list[Way]:  # noqa: ANN401 - a module, or None
    def plain() -> tuple[int, list[tuple[int, int, int]]]:
        return TICK, [(n, 10_000 + n, price) for n, price in enumerate(PRICES)]

    def validated() -> _Bid:
        packages = [
            _Package(index=n, energy_wh=10_000 + n, price_ueur_per_kwh=p) for n, p in enumerate(PRICES)
        ]
        return _Bid(tick=TICK, packages=tuple(packages))

    def unvalidated() -> _Bid:
        make = _Package.model_construct
        packages = [make(index=n, energy_wh=10_000 + n, price_ueur_per_kwh=p) for n, p in enumerate(PRICES)]
        return _Bid.model_construct(tick=TICK, packages=tuple(packages))

    ways = [
        Way("GridFleet: dataclass, pydantic at the wire", _our_bid, encode, lambda data: decode("bid", data)),
        Way("pydantic model, validated", validated, _dump, _Bid.model_validate_json),
        Way("pydantic model, model_construct", unvalidated, None, None),
    ]
    if msgspec is not None:
        package, bid, _ = _structs(msgspec)
        write, read = msgspec.json.Encoder().encode, msgspec.json.Decoder(bid).decode
        ways.append(
            Way(
                "msgspec",
                lambda: bid(TICK, tuple([package(n, 10_000 + n, p) for n, p in enumerate(PRICES)])),
                write,
                read,
            )
        )
    return [*ways, Way("standard library: json of tuples, unchecked", plain, _dumps, _loads_bid)]


def _awards(msgspec: Any) -> list[Way]:  # noqa: ANN401 - a module, or None
    def plain() -> tuple[int, int, list[tuple[int, int, int]]]:
        return TICK, SERIAL, [(n, 10_000 + n, price) for n, price in enumerate(PRICES)]

    def validated() -> _Award:
        lots = [_Package(index=n, energy_wh=10_000 + n, price_ueur_per_kwh=p) for n, p in enumerate(PRICES)]
        return _Award(tick=TICK, serial=SERIAL, lots=tuple(lots))

    def unvalidated() -> _Award:
        make = _Package.model_construct
        lots = [make(index=n, energy_wh=10_000 + n, price_ueur_per_kwh=p) for n, p in enumerate(PRICES)]
        return _Award.model_construct(tick=TICK, serial=SERIAL, lots=tuple(lots))

    ways = [
        Way(
            "GridFleet: dataclass, pydantic at the wire",
            _our_award,
            encode,
            lambda data: decode("award", data),
        ),
        Way("pydantic model, validated", validated, _dump, _Award.model_validate_json),
        Way("pydantic model, model_construct", unvalidated, None, None),
    ]
    if msgspec is not None:
        package, _, award = _structs(msgspec)
        write, read = msgspec.json.Encoder().encode, msgspec.json.Decoder(award).decode

        def struct() -> object:
            return award(TICK, SERIAL, tuple([package(n, 10_000 + n, p) for n, p in enumerate(PRICES)]))

        ways.append(Way("msgspec", struct, write, read))
    return [*ways, Way("standard library: json of tuples, unchecked", plain, _dumps, _loads_award)]


def _dump(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _dumps(plain: object) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()


def _loads_bid(data: bytes) -> tuple[int, list[tuple[int, ...]]]:
    tick, packages = json.loads(data)
    return tick, [tuple(package) for package in packages]


def _loads_award(data: bytes) -> tuple[int, int, list[tuple[int, ...]]]:
    tick, serial, lots = json.loads(data)
    return tick, serial, [tuple(lot) for lot in lots]


def _msgspec() -> Any:  # noqa: ANN401 - a module without types here, or None
    try:
        return importlib.import_module("msgspec")
    except ModuleNotFoundError:
        return None


def _structs(msgspec: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - a module without types here
    """Return Package, Bid and Award as msgspec would have them, with the same bounds."""
    number = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    index = Annotated[int, msgspec.Meta(ge=0, lt=messages.MAX_PACKAGES)]
    energy = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    price = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    strict = {"frozen": True, "forbid_unknown_fields": True}
    fields = [("index", index), ("energy_wh", energy), ("price_ueur_per_kwh", price)]
    package = msgspec.defstruct("Package", fields, **strict)
    several = tuple[package, ...]  # type: ignore[valid-type] # made just now
    bid = msgspec.defstruct("Bid", [("tick", number), ("packages", several)], **strict)
    award = msgspec.defstruct("Award", [("tick", number), ("serial", number), ("lots", several)], **strict)
    return package, bid, award
