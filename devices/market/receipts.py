"""The receipts that a consumer has given, in a compact form, for producers that ask for them again."""

from array import array
from zlib import crc32

from gridfleet.broker.protocol.messages import Award, Package, Receipt
from gridfleet.devices.market.accounts import REMEMBERED_TICKS, Purchases
from gridfleet.devices.market.packages import total_wh


class ReceiptHistory:
    """The receipts of the last ticks in which something was bought, in a few bytes each.

    An award that was accepted as a whole is kept as a fingerprint of eight bytes, because a producer that asks repeats
    the award. A receipt for a part, which is rare, is kept unchanged. A refused award is not kept: it is refused again.
    """

    __slots__ = ("_fingerprints", "_partial", "_ticks")

    def __init__(self) -> None:
        self._fingerprints = array("Q")
        self._partial: dict[tuple[int, str, int], Receipt] | None = None
        self._ticks = 0

    def keep(self, purchases: Purchases) -> None:
        """Keep the receipts of a finished tick; forget the oldest tick if there are too many."""
        if not purchases.bought_wh:
            return
        for (producer, serial), receipt in purchases.receipts.items():
            if (producer, serial) not in purchases.partial:
                self._fingerprints.append(_fingerprint(receipt.tick, producer, serial, receipt.lots))
            elif receipt.lots:
                self._partial = self._partial or {}
                self._partial[receipt.tick, producer, serial] = receipt
        self._ticks += 1
        if self._ticks > REMEMBERED_TICKS:
            self._forget_oldest()

    def find(self, producer: str, award: Award) -> Receipt | None:
        """Return the receipt that was given for an award, or None if nothing of it was accepted."""
        if _fingerprint(award.tick, producer, award.serial, award.lots) in self._fingerprints:
            return Receipt(award.tick, award.serial, award.lots)
        return self._partial.get((award.tick, producer, award.serial)) if self._partial else None

    def _forget_oldest(self) -> None:
        fingerprints, partial = self._fingerprints, self._partial or {}
        oldest = min([*map(_tick_of, fingerprints[:1]), *(tick for tick, _, _ in partial)])
        count = next(
            (number for number, fingerprint in enumerate(fingerprints) if _tick_of(fingerprint) > oldest),
            len(fingerprints),
        )
        del fingerprints[:count]
        if partial:
            self._partial = {key: receipt for key, receipt in partial.items() if key[0] > oldest}
        self._ticks -= 1


def _fingerprint(tick: int, producer: str, serial: int, lots: tuple[Package, ...]) -> int:
    """Return the fingerprint of an award that was accepted as a whole: tick, and checksum of producer and energy."""
    return tick << 32 | crc32(b"%d %d" % (serial, total_wh(lots)), crc32(producer.encode()))


def _tick_of(fingerprint: int) -> int:
    return fingerprint >> 32
