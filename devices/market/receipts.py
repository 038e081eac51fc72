"""The receipts that a consumer has given, in a compact form, for producers that ask for them again."""

from array import array
from zlib import crc32

from gridfleet.broker.protocol.messages import Award, Package, Receipt
from gridfleet.devices.market.books import REMEMBERED_TICKS, Purchases
from gridfleet.devices.market.packages import total_wh


class GivenReceipts:
    """The receipts of the last ticks in which something was bought, in a few bytes each.

    An award that was accepted as a whole is kept as a mark of eight bytes: the producer sends the award again with its
    question. A receipt for a part, which is rare, is kept as it is. A refused award is not kept: it is refused again.
    """

    __slots__ = ("_marks", "_partly", "_ticks")

    def __init__(self) -> None:
        self._marks = array("Q")
        self._partly: dict[tuple[int, str, int], Receipt] | None = None
        self._ticks = 0

    def keep(self, purchases: Purchases) -> None:
        """Keep the receipts of a finished tick; forget the oldest tick if there are too many."""
        if not purchases.bought_wh:
            return
        for (producer, serial), receipt in purchases.receipts.items():
            if (producer, serial) not in purchases.partly:
                self._marks.append(_mark(receipt.tick, producer, serial, receipt.lots))
            elif receipt.lots:
                self._partly = self._partly or {}
                self._partly[receipt.tick, producer, serial] = receipt
        self._ticks += 1
        if self._ticks > REMEMBERED_TICKS:
            self._forget_oldest()

    def find(self, producer: str, award: Award) -> Receipt | None:
        """Return the receipt that was given for an award, or None if nothing of it was accepted."""
        if _mark(award.tick, producer, award.serial, award.lots) in self._marks:
            return Receipt(award.tick, award.serial, award.lots)
        return self._partly.get((award.tick, producer, award.serial)) if self._partly else None

    def _forget_oldest(self) -> None:
        marks, partly = self._marks, self._partly or {}
        oldest = min([*map(_tick_of, marks[:1]), *(tick for tick, _, _ in partly)])
        count = next((number for number, mark in enumerate(marks) if _tick_of(mark) > oldest), len(marks))
        del marks[:count]
        if partly:
            self._partly = {key: receipt for key, receipt in partly.items() if key[0] > oldest}
        self._ticks -= 1


def _mark(tick: int, producer: str, serial: int, lots: tuple[Package, ...]) -> int:
    """Return the mark of an award that was accepted as a whole: its tick, and a checksum of producer and energy."""
    return tick << 32 | crc32(b"%d %d" % (serial, total_wh(lots)), crc32(producer.encode()))


def _tick_of(mark: int) -> int:
    return mark >> 32
