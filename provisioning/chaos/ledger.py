"""The ledger of a site, tick by tick: whether sellers and buyers say the same of each, and since when."""

from collections.abc import Iterable
from typing import NamedTuple

from gridfleet.broker.protocol.units import cost_neur
from gridfleet.provisioning.chaos.observations import Account, Observations, Sale, SaleKey


class Page(NamedTuple):
    """What is known of one tick when all has been heard."""

    sold_wh: int
    bought_wh: int
    earned_neur: int
    paid_neur: int
    unsettled_wh: int
    silent: frozenset[str]
    """Who traded and gave no account: the receipts speak in its place."""
    settled: int
    """The tick of the site in which the last account or correction was heard."""

    @property
    def agrees(self) -> bool:
        """Whether all that was sold was bought, to the Wh and the nEUR, with nothing left open."""
        same = (self.sold_wh, self.earned_neur) == (self.bought_wh, self.paid_neur)
        return same and not self.unsettled_wh


def page(evidence: Observations, tick: int) -> Page:
    """Add up the accounts of a tick."""
    accounts = evidence.accounts.get(tick, {})
    silent: set[str] = set()
    sold_wh = bought_wh = earned_neur = paid_neur = 0
    for (_, producer, consumer, _), sale in sales_of(evidence, tick):
        energy_wh = sum(lot.energy_wh for lot in sale.lots)
        price_neur = sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in sale.lots)
        if producer not in accounts and energy_wh:
            silent.add(producer)
            sold_wh += energy_wh
            earned_neur += price_neur
        if consumer not in accounts and energy_wh:
            silent.add(consumer)
            bought_wh += energy_wh
            paid_neur += price_neur
    return Page(
        sold_wh + sum(account.sold_wh for account in accounts.values()),
        bought_wh + sum(account.bought_wh for account in accounts.values()),
        earned_neur + sum(account.earned_neur for account in accounts.values()),
        paid_neur + sum(account.paid_neur for account in accounts.values()),
        sum(account.unsettled_wh for account in accounts.values()),
        frozenset(silent),
        max((account.heard for account in accounts.values()), default=tick),
    )


def sales_of(evidence: Observations, tick: int) -> Iterable[tuple[SaleKey, Sale]]:
    """Yield the awards and receipts of a tick."""
    return ((key, sale) for key, sale in evidence.sales.items() if key[0] == tick)


def oversold(evidence: Observations, ticks: range) -> list[str]:
    """Return every package of which more was taken than was bid for, in words."""
    taken: dict[tuple[int, str, int], int] = {}
    for (tick, _, consumer, _), sale in evidence.sales.items():
        if tick in ticks:
            for lot in sale.lots:
                key = (tick, consumer, lot.index)
                taken[key] = taken.get(key, 0) + lot.energy_wh
    found = []
    for (tick, consumer, index), energy_wh in sorted(taken.items()):
        packages = evidence.bids.get((tick, consumer))
        if packages is None:
            continue
        bid_wh = next((package.energy_wh for package in packages if package.index == index), 0)
        if energy_wh > bid_wh:
            found.append(
                f"tick {tick}: {energy_wh} Wh sold of package {index} of {consumer}, which is {bid_wh}"
            )
    return found


def belated(evidence: Observations, ticks: range) -> list[str]:
    """Return every award that was made, and taken, for a tick that was over for at least one whole tick."""
    return [
        f"tick {sale.awarded}: {producer} sells {consumer} energy of tick {tick}"
        for (tick, producer, consumer, _), sale in sorted(evidence.sales.items())
        if sale.awarded is not None and sale.awarded in ticks and sale.lots and sale.awarded > tick + 1
    ]


def wealth_neur(accounts: dict[str, Account], everybody: frozenset[str]) -> int | None:
    """Return what all own together by their accounts of one tick; None unless everybody has given one.

    All begin with nothing, and what one earns another has paid: it is zero as long as nobody loses its memory.
    """
    balances = [accounts[agent].balance_neur if agent in accounts else None for agent in everybody]
    known = [balance for balance in balances if balance is not None]
    return sum(known) if len(known) == len(balances) else None
