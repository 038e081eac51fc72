"""The ledger of a site, tick by tick: whether sellers and buyers say the same of each, and since when."""

from typing import NamedTuple

from gridfleet.dashboards.market.aggregate import traded
from gridfleet.provisioning.chaos.observations import Account, Observations


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
    for (producer, consumer, _), lots in evidence.market(tick).receipts.items():
        sale = traded(lots)
        if producer not in accounts and sale.energy_wh:
            silent.add(producer)
            sold_wh += sale.energy_wh
            earned_neur += sale.cost_neur
        if consumer not in accounts and sale.energy_wh:
            silent.add(consumer)
            bought_wh += sale.energy_wh
            paid_neur += sale.cost_neur
    return Page(
        sold_wh + sum(account.sold_wh for account in accounts.values()),
        bought_wh + sum(account.bought_wh for account in accounts.values()),
        earned_neur + sum(account.earned_neur for account in accounts.values()),
        paid_neur + sum(account.paid_neur for account in accounts.values()),
        sum(account.unsettled_wh for account in accounts.values()),
        frozenset(silent),
        max((account.heard for account in accounts.values()), default=tick),
    )


def oversold(evidence: Observations, ticks: range) -> list[str]:
    """Return every package of which more was taken than was bid for, in words."""
    found = []
    for tick in ticks:
        market = evidence.market(tick)
        taken: dict[tuple[str, int], int] = {}
        for (_, consumer, _), lots in market.receipts.items():
            for lot in lots:
                taken[consumer, lot.index] = taken.get((consumer, lot.index), 0) + lot.energy_wh
        for (consumer, index), energy_wh in sorted(taken.items()):
            packages = market.bids.get(consumer)
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
        f"tick {awarded}: {key[0]} sells {key[1]} energy of tick {tick}"
        for (tick, key), awarded in sorted(evidence.awarded.items())
        if awarded in ticks and awarded > tick + 1 and evidence.market(tick).receipts.get(key)
    ]


def wealth_neur(accounts: dict[str, Account], everybody: frozenset[str]) -> int | None:
    """Return what all own together by their accounts of one tick; None unless everybody has given one.

    All begin with nothing, and what one earns another has paid: it is zero as long as nobody loses its memory.
    """
    balances = [accounts[agent].balance_neur if agent in accounts else None for agent in everybody]
    known = [balance for balance in balances if balance is not None]
    return sum(known) if len(known) == len(balances) else None
