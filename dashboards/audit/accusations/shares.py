"""Which part of its cell's demand each producer may serve, and who serves more: energy that is another's to sell.

Every producer lays the supplies of its cell end to end, in an order that is drawn for each tick, and serves the part of
the demand that its own supply covers (docs/explanation/market.md). The auditor does the same, with its own code. Which
package is whose does not matter here, only how much. It counts only where every producer has received everything.
"""

from collections.abc import Iterator
from zlib import crc32

_FIRST = 0x85EBCA6B
_SECOND = 0xC2B2AE35
_WORD = 0xFFFFFFFF


class Shares:
    """Supplies, demand and awards of the cells in one tick, inside each cell."""

    __slots__ = ("_cells", "_closed", "_committed_wh", "_demand_wh", "_most_wh", "_supplies", "_unclear")

    def __init__(self) -> None:
        self._cells: dict[str, str] = {}
        """Device -> the cell in which it bids or announces."""
        self._supplies: dict[str, dict[str, int]] = {}
        self._demand_wh: dict[str, int] = {}
        self._committed_wh: dict[str, int] = {}
        """Producer -> awarded to its own cell and not refused so far, Wh."""
        self._most_wh: dict[str, int] = {}
        """Producer -> the most of it at one time, Wh."""
        self._closed = False
        self._unclear: set[str] = set()
        """Cells of which producers may have received different bids or supplies."""

    def close(self) -> None:
        """Note that the cells are cleared from now on."""
        self._closed = True

    def announce(self, cell: str, producer: str, energy_wh: int) -> None:
        """Note a supply; of a second one, or one that comes late, producers may take one or the other."""
        self._cells[producer] = cell
        supplies = self._supplies.setdefault(cell, {})
        if self._closed or supplies.get(producer, energy_wh) != energy_wh:
            self._unclear.add(cell)
        supplies[producer] = energy_wh

    def bid(self, cell: str, buyer: str, energy_wh: int) -> None:
        """Note a bid; a second one, or one that comes late, may have reached only some producers."""
        if self._closed or (buyer in self._cells and self._cells[buyer] != cell):
            self._unclear.add(cell)
        self._cells[buyer] = cell
        self._demand_wh[cell] = self._demand_wh.get(cell, 0) + energy_wh

    def commit(self, producer: str, buyer: str, energy_wh: int) -> None:
        """Note energy that a producer awards, or with a minus sign energy that the buyer refuses, Wh."""
        if self._cells.get(producer) != self._cells.get(buyer):
            return  # an award to a neighbouring cell
        committed_wh = self._committed_wh[producer] = self._committed_wh.get(producer, 0) + energy_wh
        self._most_wh[producer] = max(self._most_wh.get(producer, 0), committed_wh)

    def exceeded(self, tick: int) -> Iterator[tuple[str, int, int]]:
        """Yield producers that have served more than their share: producer, the most at one time, share, in Wh."""
        for cell, supplies in sorted(self._supplies.items()):
            if cell in self._unclear:
                continue
            left_wh = self._demand_wh.get(cell, 0)
            for producer in sorted(supplies, key=lambda name: (drawn(name, tick), name)):
                share_wh = min(left_wh, supplies[producer])
                left_wh -= share_wh
                most_wh = self._most_wh.get(producer, 0)
                if most_wh > share_wh:
                    yield producer, most_wh, share_wh


def drawn(device: str, tick: int) -> int:
    """Return the number by which a device's turn in a tick is drawn: a checksum with the finaliser of MurmurHash3."""
    mixed = crc32(device.encode(), tick)
    for shift, factor in ((16, _FIRST), (13, _SECOND)):
        mixed = (mixed ^ mixed >> shift) * factor & _WORD
    return mixed ^ mixed >> 16
