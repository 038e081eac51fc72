"""A consumer keeps its receipts of a day, in little memory, and can send them again."""

import pickle
from dataclasses import replace

from gridfleet.broker.protocol.messages import Award, Package, Receipt
from gridfleet.devices.market.accounts import REMEMBERED_TICKS, Purchases
from gridfleet.devices.market.receipts import ReceiptHistory

EUR = 1_000_000


def lots(*energies_wh: int) -> tuple[Package, ...]:
    return tuple(Package(index, energy_wh, EUR) for index, energy_wh in enumerate(energies_wh))


def purchases_of(
    tick: int, *awards: tuple[str, Award], wanted: tuple[int, ...] = (10_000, 5_000)
) -> Purchases:
    purchases = Purchases(tick, lots(*wanted))
    for producer, award in awards:
        purchases.accept(producer, award)
    return purchases


def test_receipts_are_found_for_awards_accepted_in_whole_or_part_and_not_for_refused_ones() -> None:
    given = ReceiptHistory()
    whole = Award(7, 0, lots(10_000))
    part = Award(7, 1, (Package(0, 1_000, EUR), Package(1, 9_000, EUR)))
    refused = Award(7, 2, lots(1_000))
    given.keep(purchases_of(7, ("t1", whole), ("t1", part), ("t2", refused)))
    assert given.find("t1", whole) == Receipt(7, 0, whole.lots)
    assert given.find("t1", part) == Receipt(7, 1, (Package(1, 5_000, EUR),))
    assert given.find("t2", refused) is None


def test_no_receipt_is_found_for_a_different_award() -> None:
    given = ReceiptHistory()
    award = Award(7, 0, lots(10_000))
    given.keep(purchases_of(7, ("t1", award)))
    assert given.find("t2", award) is None
    assert given.find("t1", replace(award, serial=1)) is None
    assert given.find("t1", replace(award, tick=8)) is None
    assert given.find("t1", replace(award, lots=lots(10_001))) is None


def test_the_oldest_ticks_are_forgotten_and_ticks_without_purchases_do_not_count() -> None:
    given = ReceiptHistory()
    for tick in range(0, 3 * REMEMBERED_TICKS, 3):
        serial = tick % 2
        taken = Award(tick, 0, lots(10_000)) if serial else Award(tick, 0, lots(12_000))
        given.keep(purchases_of(tick, ("t1", taken)))
        given.keep(purchases_of(tick + 1))
    first, second = Award(0, 0, lots(12_000)), Award(3, 0, lots(10_000))
    assert given.find("t1", first) == Receipt(0, 0, lots(10_000))
    given.keep(purchases_of(1_000, ("t1", Award(1_000, 0, lots(10_000)))))
    assert given.find("t1", first) is None
    assert given.find("t1", second) == Receipt(3, 0, lots(10_000))
    given.keep(purchases_of(1_001, ("t1", Award(1_001, 0, lots(12_000)))))
    assert given.find("t1", second) is None
    assert given.find("t1", Award(6, 0, lots(12_000))) == Receipt(6, 0, lots(10_000))


def test_a_day_of_receipts_takes_little_memory() -> None:
    given = ReceiptHistory()
    for tick in range(1_000):
        given.keep(
            purchases_of(
                tick, ("t1", Award(tick, 0, lots(10_000))), ("t2", Award(tick, 0, (Package(1, 5_000, EUR),)))
            )
        )
    assert len(pickle.dumps(given)) < 4_000
