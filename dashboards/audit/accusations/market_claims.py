"""What producers and buyers say of a tick's market, compared with what they said before.

All evidence against a device was published by the device itself; of others' messages only what it answers counts: an
award by its receipt, a refusal by the energy that may be awarded again. Where messages may be lost unnoticed, one that
is missing proves nothing, but none of one kind in REPEATED_TICKS ticks in a row does.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Award, Package, ProducerState, Receipt, State, StorageState
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.accusations.shares import Shares

REPEATED_TICKS: Final = 4
"""What a single lost message could explain is a lie in the fourth tick in a row."""
SILENT_TICKS: Final = 8
"""Who takes part in the market in so many ticks, without any account of the last sixteen, hides its account."""
Lots = tuple[Package, ...]


class Claim(NamedTuple):
    """A lie of a device, and what shows it; what one lost message could explain is `doubtful`."""

    device: str
    lie: str
    evidence: str
    doubtful: bool = False


class _Sales:
    """What a seller has announced and awarded in one tick."""

    __slots__ = (
        "announced_wh",
        "announcements",
        "announces",
        "awarded",
        "beyond_wh",
        "committed_wh",
        "contradictory",
        "taken_wh",
    )

    def __init__(self) -> None:
        self.announces = True
        """Whether such a seller announces what it sells; a grid supply does not."""
        self.announced_wh: int | None = None
        """The largest announcement; None where none was received."""
        self.announcements: set[int] = set()
        self.awarded: dict[tuple[str, int], Lots] = {}
        """(buyer, serial) -> lots."""
        self.taken_wh: dict[tuple[str, int], int] = {}
        """(buyer, serial) -> the least that a receipt of the buyer takes of it, Wh: no seller answers for its lies."""
        self.contradictory: set[tuple[str, int]] = set()
        """Numbers of which there are two different awards."""
        self.committed_wh = 0
        """Awarded and not refused so far."""
        self.beyond_wh = 0
        """The most that was so committed while less was announced."""

    def award(self, key: tuple[str, int], lots: Lots) -> int:
        """Note an award; return what of it is not refused already, Wh, 0 for one that was received before."""
        known = self.awarded.get(key)
        if known is not None:  # it asks again for the receipt
            if known != lots:
                self.contradictory.add(key)
            return 0
        self.awarded[key] = lots
        energy_wh = min(total_wh(lots), self.taken_wh.get(key, total_wh(lots)))
        self.committed_wh += energy_wh
        if self.announced_wh is not None and self.committed_wh > self.announced_wh:
            self.beyond_wh = max(self.beyond_wh, self.committed_wh)
        return energy_wh

    def take(self, key: tuple[str, int], energy_wh: int) -> int:
        """Note a receipt of an award; return what it refuses, so that it may be awarded again, Wh.

        It may be received before its award: messages of two senders come in any order.
        """
        awarded_wh = total_wh(self.awarded.get(key, ()))
        before_wh = min(self.taken_wh.get(key, awarded_wh), awarded_wh)
        self.taken_wh[key] = min(energy_wh, self.taken_wh.get(key, energy_wh))
        refused_wh = max(before_wh - energy_wh, 0)
        self.committed_wh -= refused_wh
        return refused_wh

    def awarded_wh(self) -> int:
        """Return the energy of all awards, Wh."""
        return sum(map(total_wh, self.awarded.values()))


class _Purchases:
    """The receipts of a buyer in one tick."""

    __slots__ = ("receipts",)

    def __init__(self) -> None:
        self.receipts: dict[tuple[str, int], Lots] = {}
        """(producer, serial) -> lots of the first receipt."""

    def bought(self) -> tuple[int, int]:
        """Return what its receipts take, Wh and nEUR."""
        lots = [lot for each in self.receipts.values() for lot in each]
        return total_wh(lots), sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in lots)


class _TickClaims:
    """What was said of one tick."""

    __slots__ = ("accounts", "purchases", "sales", "shares")

    def __init__(self) -> None:
        self.sales: dict[str, _Sales] = {}
        self.purchases: dict[str, _Purchases] = {}
        self.accounts: dict[str, State] = {}
        self.shares = Shares()


class MarketClaims:
    """The market's messages of the ticks that are not judged yet."""

    def __init__(self) -> None:
        self._ticks: dict[int, _TickClaims] = {}
        self._unaccounted: dict[str, list[int]] = {}
        """Device -> the ticks in which it took part, since its last account."""
        self._doubts: dict[tuple[str, str], tuple[int, int]] = {}
        """(device, lie) -> the last tick of a row, and how many ticks it has."""

    def clear(self) -> None:
        """Forget everything: messages may be missing."""
        self._ticks.clear()
        self._unaccounted.clear()
        self._doubts.clear()

    def forget(self, device: str) -> None:
        """Forget a row of a device, which starts, stops or reconnects."""
        self._unaccounted.pop(device, None)
        for key in [key for key in self._doubts if key[0] == device]:
            del self._doubts[key]

    def announce(self, tick: int, cell: str, producer: str, energy_wh: int) -> None:
        """Note a supply; of two for one tick the larger counts."""
        sales = self._sales(tick, producer)
        sales.announced_wh = max(sales.announced_wh or 0, energy_wh)
        sales.announcements.add(energy_wh)
        self._tick(tick).shares.announce(cell, producer, sales.announced_wh)
        self._take_part(producer, tick)

    def bid(self, tick: int, cell: str, buyer: str, energy_wh: int) -> None:
        """Note a bid."""
        self._tick(tick).shares.bid(cell, buyer, energy_wh)
        self._take_part(buyer, tick)

    def begin_trade(self, tick: int) -> None:
        """Note that the market of a tick is cleared from now on: what is announced later counts for no share."""
        if tick in self._ticks:
            self._ticks[tick].shares.close()

    def award(self, buyer: str, producer: str, award: Award, *, announces: bool) -> None:
        """Note an award; a producer `announces` what it sells, a grid supply does not."""
        sales = self._sales(award.tick, producer)
        sales.announces = announces
        energy_wh = sales.award((buyer, award.serial), award.lots)
        if energy_wh:
            self._tick(award.tick).shares.commit(producer, buyer, energy_wh)

    def receipt(self, buyer: str, producer: str, receipt: Receipt) -> Claim | None:
        """Note a receipt; return the lie if it contradicts an earlier one, or takes what was not awarded."""
        claims = self._tick(receipt.tick)
        sales = self._sales(receipt.tick, producer)
        key = buyer, receipt.serial
        award = None if key in sales.contradictory else sales.awarded.get(key)
        what = f"receipt {receipt.serial} of tick {receipt.tick} to {producer}"
        first = claims.purchases.setdefault(buyer, _Purchases()).receipts.setdefault(
            (producer, receipt.serial), receipt.lots
        )
        if refused_wh := sales.take(key, total_wh(receipt.lots)):
            claims.shares.commit(producer, buyer, -refused_wh)
        if key in sales.contradictory:
            return None  # it answers one of two awards
        if receipt.lots not in {
            (),
            first,
        }:  # an empty one may answer an award with that number and other lots
            text = f"{what}: {total_wh(receipt.lots)} Wh; an earlier one takes {total_wh(first)} Wh"
            return Claim(buyer, "two receipts for one award", text)
        if award is not None and not _within(receipt.lots, award) and _has_distinct_lots(award):
            text = f"{what} takes {total_wh(receipt.lots)} Wh; awarded were {total_wh(award)} Wh, or at other prices"
            return Claim(buyer, "receipt beyond award", text)
        return None

    def account(self, device: str, state: State) -> None:
        """Note an account."""
        self._unaccounted.pop(device, None)
        if state.tick in self._ticks:
            self._ticks[state.tick].accounts[device] = state

    def _take_part(self, device: str, tick: int) -> None:
        """Note that a device bids or announces in a tick, of which it owes an account."""
        ticks = self._unaccounted.setdefault(device, [])
        if not ticks or tick > ticks[-1]:
            ticks.append(tick)

    def judge(self, before: int, *, complete: bool) -> Iterator[tuple[int, Claim]]:
        """Yield the lies of the ticks before one, each with its tick; those ticks are forgotten.

        `complete` says that every producer has received, and believes, everything: then each has one share of its cell.
        """
        for tick in sorted(number for number in self._ticks if number < before):
            claims = self._ticks.pop(tick)
            for seller, sales in sorted(claims.sales.items()):
                claim = _sales_claim(tick, seller, sales, claims.accounts.get(seller))
                if claim is not None:
                    yield tick, claim
            for producer, most_wh, share_wh in claims.shares.exceeded(tick) if complete else ():
                text = f"awards of tick {tick} to its own cell for {most_wh} Wh; its share is {share_wh} Wh"
                yield tick, Claim(producer, "award out of turn", text)
            for buyer, state in sorted(claims.accounts.items()):
                claim = _purchase_claim(tick, buyer, state, claims.purchases.get(buyer))
                if claim is not None:
                    yield tick, claim

    def silent(self, tick: int) -> Iterator[Claim]:
        """Yield the devices that take part and publish no account."""
        for device, ticks in sorted(self._unaccounted.items()):
            due = [each for each in ticks if each <= tick - SILENT_TICKS]
            if len(due) >= SILENT_TICKS:
                text = f"takes part in {len(ticks)} ticks since tick {ticks[0]} and publishes no account"
                yield Claim(device, "no account", text)
                self._unaccounted[device] = [each for each in ticks if each > due[-1]]

    def unexplained(self, before: int) -> dict[int, set[str]]:
        """Return, by tick before one, the buyers whose receipts answer awards that were not received."""
        found: dict[int, set[str]] = {}
        for tick, claims in self._ticks.items():
            if tick < before:
                found[tick] = {
                    buyer
                    for buyer, purchases in claims.purchases.items()
                    if any(
                        (buyer, serial) not in claims.sales[producer].awarded
                        for producer, serial in purchases.receipts
                    )
                }
        return found

    def is_proven(self, tick: int, claim: Claim) -> bool:
        """Return whether a doubtful claim is the last of REPEATED_TICKS in a row of ticks with the same lie."""
        last, length = self._doubts.get((claim.device, claim.lie), (-1, 0))
        length = length + 1 if tick - last <= 2 else 1
        self._doubts[claim.device, claim.lie] = tick, length
        return length >= REPEATED_TICKS

    def _tick(self, tick: int) -> _TickClaims:
        return self._ticks.setdefault(tick, _TickClaims())

    def _sales(self, tick: int, producer: str) -> _Sales:
        return self._tick(tick).sales.setdefault(producer, _Sales())


def total_wh(lots: Lots | list[Package]) -> int:
    """Return the energy of packages, Wh."""
    return sum(lot.energy_wh for lot in lots)


def _sales_claim(tick: int, seller: str, sales: _Sales, account: State | None) -> Claim | None:
    """Return the lie of a seller in its announcement, its awards and its account of a tick."""
    if sales.contradictory:
        buyer, serial = min(sales.contradictory)
        return Claim(seller, "two awards with one number", f"award {serial} of tick {tick} to {buyer}")
    if len(sales.announcements) > 1:
        several = ", ".join(f"{energy_wh} Wh" for energy_wh in sorted(sales.announcements)[:3])
        return Claim(seller, "two supplies for one tick", f"supplies of tick {tick}: {several}")
    found = _excess(tick, sales, account)
    return None if found is None else Claim(seller, *found, doubtful=True)


def _excess(tick: int, sales: _Sales, account: State | None) -> tuple[str, str] | None:
    """Return which of its own limits of a tick a seller exceeds, and what shows it."""
    awarded_wh = sales.awarded_wh()
    what = f"{len(sales.awarded)} awards of tick {tick} for {awarded_wh} Wh in all"
    if sales.announced_wh is None:
        if sales.announces and sales.awarded:
            return "award without supply", f"{what}; nothing was announced"
    else:
        used_wh = sum(
            min(total_wh(lots), sales.taken_wh.get(key, total_wh(lots)))
            for key, lots in sales.awarded.items()
        )
        if used_wh > sales.announced_wh:
            return "award beyond supply", f"{what}; announced were {sales.announced_wh} Wh"
        if sales.beyond_wh:
            text = f"{what}, at one time {sales.beyond_wh} Wh of them not refused"
            return "award beyond supply", f"{text}; announced were {sales.announced_wh} Wh"
    if isinstance(account, ProducerState | StorageState) and account.sold_wh > awarded_wh:
        return "account is not the awards", f"account of tick {tick}: {account.sold_wh} Wh sold; {what}"
    return None


def _purchase_claim(tick: int, buyer: str, state: State, purchases: _Purchases | None) -> Claim | None:
    """Return the lie of a buyer whose account is not what its receipts take."""
    bought_wh = getattr(state, "bought_wh", None)
    if bought_wh is None:
        return None
    taken = (0, 0) if purchases is None else purchases.bought()
    booked = bought_wh, state.paid_neur  # type: ignore[attr-defined] # who buys, pays
    if booked == taken:
        return None
    text = (
        f"account of tick {tick}: {booked[0]} Wh bought for {booked[1]} nEUR; "
        f"its receipts take {taken[0]} Wh for {taken[1]} nEUR"
    )
    return Claim(buyer, "account is not the receipts", text, doubtful=True)


def _has_distinct_lots(lots: Lots) -> bool:
    """Return whether no two lots are of one package: what a buyer takes of those is not known."""
    return len({lot.index for lot in lots}) == len(lots)


def _within(taken: Lots, awarded: Lots) -> bool:
    """Return whether lots are among those of an award, at their price and no larger."""
    if taken == awarded:
        return True
    offered = {lot.index: lot for lot in awarded}
    for lot in taken:
        most = offered.pop(lot.index, None)
        if (
            most is None
            or lot.energy_wh > most.energy_wh
            or lot.price_ueur_per_kwh != most.price_ueur_per_kwh
        ):
            return False
    return True
