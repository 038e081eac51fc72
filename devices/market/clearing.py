"""The power market of one cell and tick, as pure functions: merit order and allocation."""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from gridfleet.broker.protocol.messages import Package

CONSUMER: Final = 2
"""The place of the consumer in a claim."""
ENERGY: Final = 4
"""The place of the energy in a claim."""

Claim = tuple[int, int, str, int, int, Package]
"""One package in the merit order: (minus the price, tie break, consumer, index, energy in Wh, the package itself).

It sorts by price, highest first; then by the tie break; then by id and index. A plain tuple, because clearing builds
and sorts a great many of them: a named one costs 20 % of a whole simulation.
"""
Lot = tuple[Claim, int]
"""A claim, and how many Wh of it are served."""


def tie_break(agent: str, tick: int) -> int:
    """Return the number that orders equal prices: the same for every producer, another order in every tick.

    It is a checksum with the finaliser of MurmurHash3. Without it, the checksums of two ids of equal length differ in
    the same bits in every tick.
    """
    mixed = crc32(agent.encode(), tick)
    mixed = (mixed ^ (mixed >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ (mixed >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def merit_order(tick: int, bids: Mapping[str, Iterable[Package]]) -> list[Claim]:
    """Return all packages of all bids, the highest price first; the order of arrival plays no part.

    >>> bids = {"shop": [Package(0, 500, 900_000)], "home": [Package(0, 300, 1_000_000)]}
    >>> [(consumer, energy_wh) for _, _, consumer, _, energy_wh, _ in merit_order(0, bids)]
    [('home', 300), ('shop', 500)]
    """
    claims: list[Claim] = []
    for consumer, packages in bids.items():
        key = tie_break(consumer, tick)
        claims += [(-p.price_ueur_per_kwh, key, consumer, p.index, p.energy_wh, p) for p in packages]
    claims.sort()
    return claims


def supply_order(tick: int, supplies: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (producer, energy in Wh) in the order in which supplies are laid along the merit order."""
    return sorted(supplies.items(), key=lambda item: (tie_break(item[0], tick), item[0]))


def allocate(claims: Iterable[Claim], start_wh: int, energy_wh: int) -> list[Lot]:
    """Return what of the claims lies between start and start + energy along the merit order.

    >>> claims = merit_order(0, {"home": [Package(0, 300, 1_000_000), Package(1, 300, 900_000)]})
    >>> [(index, energy_wh) for (_, _, _, index, _, _), energy_wh in allocate(claims, 200, 250)]
    [(0, 100), (1, 150)]
    """
    lots: list[Lot] = []
    end_wh = start_wh + energy_wh
    if energy_wh <= 0:
        return lots
    at = 0
    for claim in claims:
        if at >= end_wh:
            break
        after = at + claim[ENERGY]
        if after > start_wh and after > at:
            lots.append((claim, min(after, end_wh) - max(at, start_wh)))
        at = after
    return lots
