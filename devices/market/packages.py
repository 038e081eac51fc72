"""Packages of energy: how a demand is split into them, and how awards are cut from them."""

from collections.abc import Iterable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import MAX_PACKAGES, Package
from gridfleet.devices.market.clearing import Lot


def total_wh(packages: Iterable[Package]) -> int:
    """Return the energy of all packages together, Wh."""
    return sum([package.energy_wh for package in packages])  # a list: most have one or two packages


def package_size(energy_wh: int, package_wh: int) -> int:
    """Return the size of packages in Wh; it is larger than `package_wh` where one bid could not hold all of them."""
    return max(package_wh, -(-energy_wh // MAX_PACKAGES))


def split_into_packages(energy_wh: int, package_wh: int, price_ueur_per_kwh: int) -> tuple[Package, ...]:
    """Split an energy into packages of one price; the last may be smaller, so that nothing is rounded away.

    A demand of more packages than one bid may hold is split into larger ones.

    >>> [package.energy_wh for package in split_into_packages(25_000, 10_000, 1_000_000)]
    [10000, 10000, 5000]
    """
    package_wh = package_size(energy_wh, package_wh)
    full, rest = divmod(energy_wh, package_wh)
    packages = [Package(index, package_wh, price_ueur_per_kwh) for index in range(full)]
    if rest:
        packages.append(Package(full, rest, price_ueur_per_kwh))
    return tuple(packages)


_AT_BID: Final[Mapping[tuple[str, int], int]] = {}


def group_by_consumer(
    lots: Iterable[Lot], prices: Mapping[tuple[str, int], int] = _AT_BID
) -> dict[str, tuple[Package, ...]]:
    """Group lots of a market into the packages of one award for each consumer.

    `prices` are those of (consumer, index) that differ from the bid, µEUR/kWh.
    """
    grouped: dict[str, list[Package]] = {}
    for (negative_price, _, consumer, index, whole_wh, package), energy_wh in lots:
        part = package if energy_wh == whole_wh else Package(index, energy_wh, -negative_price)
        grouped.setdefault(consumer, []).append(part)
    if not prices:
        return {consumer: tuple(packages) for consumer, packages in grouped.items()}
    return {
        consumer: tuple(
            Package(p.index, p.energy_wh, prices.get((consumer, p.index), p.price_ueur_per_kwh))
            for p in packages
        )
        for consumer, packages in grouped.items()
    }


def take_up_to(energy_wh: int, packages: tuple[Package, ...]) -> tuple[Package, ...]:
    """Return the first packages that together hold at most this energy in Wh; the last one may be cut."""
    if total_wh(packages) <= energy_wh:
        return packages
    taken: list[Package] = []
    for package in packages:
        part_wh = min(package.energy_wh, energy_wh)
        if part_wh > 0:
            taken.append(Package(package.index, part_wh, package.price_ueur_per_kwh))
            energy_wh -= part_wh
    return tuple(taken)
