"""The ledger of a site by tick: whether the accounts of sellers and buyers agree, and since when."""

from typing import NamedTuple

from gridfleet.dashboards.market.aggregate import lot_totals
from gridfleet.provisioning.chaos.observations import Account, Observations


class TickLedger(NamedTuple):
    """Sums of all accounts of one tick, with receipts in place of missing accounts."""

    sold_wh: int
    bought_wh: int
    earned_neur: int
    paid_neur: int
    unsettled_wh: int
    without_account: frozenset[str]
    """Devices that traded and published no account; their receipts count instead."""
    complete_tick: int
    """The tick of the site in which the last account or correction was received."""

    @property
    def agrees(self) -> bool:
        """Whether energy and money sold equal energy and money bought, to the Wh and nEUR, with nothing unsettled."""
        same = (self.sold_wh, self.earned_neur) == (self.bought_wh, self.paid_neur)
        return same and not self.unsettled_wh


def tick_ledger(observations: Observations, tick: int) -> TickLedger:
    """Return the sums of a tick."""
    accounts = observations.accounts.get(tick, {})
    without_account: set[str] = set()
    sold_wh = bought_wh = earned_neur = paid_neur = 0
    for (producer, consumer, _), lots in observations.market(tick).receipts.items():
        sale = lot_totals(lots)
        if producer not in accounts and sale.energy_wh:
            without_account.add(producer)
            sold_wh += sale.energy_wh
            earned_neur += sale.cost_neur
        if consumer not in accounts and sale.energy_wh:
            without_account.add(consumer)
            bought_wh += sale.energy_wh
            paid_neur += sale.cost_neur
    return TickLedger(
        sold_wh + sum(account.sold_wh for account in accounts.values()),
        bought_wh + sum(account.bought_wh for account in accounts.values()),
        earned_neur + sum(account.earned_neur for account in accounts.values()),
        paid_neur + sum(account.paid_neur for account in accounts.values()),
        sum(account.unsettled_wh for account in accounts.values()),
        frozenset(without_account),
        max((account.received_tick for account in accounts.values()), default=tick),
    )


def oversold_packages(observations: Observations, ticks: range) -> list[str]:
    """Return every package of which more was sold than was bid for, as text."""
    found = []
    for tick in ticks:
        market = observations.market(tick)
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
                    f"tick {tick}: {energy_wh} Wh sold of package {index} of {consumer}, which has {bid_wh} Wh"
                )
    return found


def late_awards(observations: Observations, ticks: range) -> list[str]:
    """Return every award that was made and accepted more than one tick after its own tick, as text."""
    return [
        f"tick {awarded}: {key[0]} sells {key[1]} energy of tick {tick}"
        for (tick, key), awarded in sorted(observations.awarded.items())
        if awarded in ticks and awarded > tick + 1 and observations.market(tick).receipts.get(key)
    ]


def total_balance_neur(accounts: dict[str, Account], all_ids: frozenset[str]) -> int | None:
    """Return the sum of all balances by the accounts of one tick, in nEUR; None unless every device has an account.

    Every balance starts at 0, and what one device earns another pays: the sum is 0 until a device loses its memory.
    """
    balances = [accounts[device].balance_neur if device in accounts else None for device in all_ids]
    known = [balance for balance in balances if balance is not None]
    return sum(known) if len(known) == len(balances) else None
