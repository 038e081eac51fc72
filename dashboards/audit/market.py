"""The power market of a tick: bids, supplies, awards and receipts against each other and against the accounts."""

from collections.abc import Callable
from typing import Final

from broker.messages import (
    Award,
    Bid,
    ChargerState,
    ConsumerState,
    Correction,
    Message,
    Package,
    ProducerState,
    Receipt,
    Supply,
)
from broker.units import cost_neur
from dashboards.audit.findings import Tallies
from dashboards.audit.window import Births, Window

Lots = tuple[Package, ...]
REMINDED_TICKS: Final = 8
"""For so many ticks a producer may ask for a receipt."""
SLACK_TICKS: Final = 4
"""So many ticks later what is still unsettled is a breach: ticks themselves may be lost on the way."""


class _Open:
    """An award whose receipt has not been heard; `room` is what each bid package still lacks, in Wh."""

    __slots__ = ("consumer", "lots", "room")

    def __init__(self, consumer: str, lots: Lots, room: dict[tuple[str, int], int]) -> None:
        self.consumer = consumer
        self.lots = lots
        self.room = room


class Sold:
    """What receipts say of one producer in one tick, at the prices bid."""

    __slots__ = ("consumers", "cost_neur", "energy_wh")

    def __init__(self) -> None:
        self.energy_wh = 0
        self.cost_neur = 0
        self.consumers: set[str] = set()


class Day:
    """The market of one tick, joined from what was heard."""

    def __init__(self, window: Window) -> None:
        self.bids: dict[str, Lots] = {}
        self.supplies: dict[str, int] = {}
        self.cells: dict[str, str] = {}
        self.awards: dict[tuple[str, int], tuple[str, Lots]] = {}
        self.receipts: dict[tuple[str, int, str], Lots] = {}
        self.twice: list[tuple[str, Message]] = []
        for scope, sender, message in window.market:
            if isinstance(message, Receipt):
                known: object = self.receipts.setdefault((scope, message.serial, sender), message.lots)
                same = known == message.lots
            elif isinstance(message, Award):
                known = self.awards.setdefault((sender, message.serial), (scope, message.lots))
                same = known == (scope, message.lots)
            elif isinstance(message, Bid):
                self.cells[sender] = scope
                same = self.bids.setdefault(sender, message.packages) == message.packages
            elif isinstance(message, Supply):
                self.cells[sender] = scope
                same = self.supplies.setdefault(sender, message.energy_wh) == message.energy_wh
            else:
                continue
            if not same:
                self.twice.append((sender, message))


class Market:
    """Checks each tick's market, and follows what it left open for a few ticks more."""

    def __init__(
        self, tallies: Tallies, births: Births, latest: Callable[[str], int], *, exact: bool
    ) -> None:
        self._tallies = tallies
        self._births = births
        self._latest = latest
        self._exact = exact
        self._open: dict[tuple[str, int, int], _Open] = {}
        self._pending: dict[tuple[str, int], Sold] = {}
        self._serials: dict[int, dict[str, int]] = {}

    # --- a whole tick ------------------------------------------------------------------------------------

    def decide(self, tick: int, window: Window) -> None:
        """Check the market of a tick whose messages have all been heard."""
        day = Day(window)
        for sender, message in day.twice:
            if not self._births.within(sender, tick, tick + 1):
                self._tallies.packages.fail(f"tick {tick}: {sender} says two different {message.TOPIC}s")
        join = _Join(self._tallies, day, tick, self._excused)
        join.awards(exact=self._exact)
        self._producers(tick, window, day, join)
        self._consumers(tick, window, day, join)
        self._cells(tick, window, day, join)
        serials: dict[str, int] = {}
        for producer, serial in day.awards:
            serials[producer] = max(serials.get(producer, 0), serial + 1)
        self._serials[tick] = serials
        for (producer, serial), (consumer, lots) in join.open.items():
            self._open[producer, tick, serial] = _Open(consumer, lots, join.room)
        self._forget(tick)

    def _excused(self, agent: str, tick: int) -> bool:
        return self._births.within(agent, tick, tick)

    def _producers(self, tick: int, window: Window, day: Day, join: "_Join") -> None:
        tallies = self._tallies
        for producer, state in window.states.items():
            if not isinstance(state, ProducerState) or self._excused(producer, tick):
                continue
            tallies.production.checked += 1
            announced = day.supplies.get(producer, state.generated_wh)
            if not announced == state.generated_wh == state.sold_wh + state.curtailed_wh + state.unsettled_wh:
                tallies.production.fail(
                    f"tick {tick}: {producer} announced {announced} Wh, accounts for {state.generated_wh} = "
                    f"{state.sold_wh} sold + {state.curtailed_wh} curtailed + {state.unsettled_wh} unsettled"
                )
            sold = join.sold.get(producer) or Sold()
            account = window.corrections.get(producer, state)
            if self._exact:
                tallies.settled.checked += 1
                if account.unsettled_wh:
                    tallies.settled.fail(
                        f"tick {tick}: {producer} leaves {account.unsettled_wh} Wh unsettled"
                    )
            if account.unsettled_wh:
                self._pending[producer, tick] = sold
            else:
                self._compare(producer, tick, account, sold, late=False)

    def _compare(
        self, producer: str, tick: int, account: ProducerState | Correction, sold: Sold, *, late: bool
    ) -> None:
        """Compare what a producer has booked in the end with what the receipts say."""
        tallies = self._tallies
        if not self._exact:
            tallies.settled.checked += 1
        forgetful = any(self._births.within(consumer, tick, tick + 64) for consumer in sold.consumers)
        if account.sold_wh != sold.energy_wh and (late or forgetful):
            return  # a consumer without memory refuses what it had taken: it cannot know better
        tallies.books.checked += 1
        if account.sold_wh != sold.energy_wh:
            tallies.books.fail(
                f"tick {tick}: {producer} booked {account.sold_wh} Wh as sold, receipts say {sold.energy_wh}"
            )
            return
        tallies.payments.checked += 1
        if account.earned_neur != sold.cost_neur:
            tallies.payments.fail(
                f"tick {tick}: {producer} earned {account.earned_neur} nEUR for what costs {sold.cost_neur}"
            )

    def _consumers(self, tick: int, window: Window, day: Day, join: "_Join") -> None:
        tallies = self._tallies
        nothing = (0, 0)
        for consumer, state in window.states.items():
            if not isinstance(state, ConsumerState | ChargerState) or consumer not in day.bids:
                continue
            if self._excused(consumer, tick):
                continue
            bought_wh, paid_neur = join.bought.get(consumer, nothing)
            demand_wh = sum(package.energy_wh for package in day.bids[consumer])
            tallies.books.checked += 1
            if state.bought_wh != bought_wh or state.demand_wh != demand_wh:
                tallies.books.fail(
                    f"tick {tick}: {consumer} booked {state.bought_wh} of {state.demand_wh} Wh as bought, "
                    f"its receipts and bid say {bought_wh} of {demand_wh}"
                )
                continue
            tallies.payments.checked += 1
            if state.paid_neur != paid_neur:
                tallies.payments.fail(
                    f"tick {tick}: {consumer} paid {state.paid_neur} nEUR for what costs {paid_neur}"
                )

    def _cells(self, tick: int, window: Window, day: Day, join: "_Join") -> None:
        """Add up the accounts of each cell all of whose members have given one, with nothing unsettled."""
        into: dict[str, int] = {}
        out: dict[str, int] = {}
        silent: set[str] = set()
        for agent, cell in day.cells.items():
            state = window.states.get(agent)
            if isinstance(state, ProducerState):
                account = window.corrections.get(agent, state)
                into[cell] = into.get(cell, 0) + state.generated_wh
                out[cell] = out.get(cell, 0) + account.curtailed_wh
                if account.unsettled_wh:
                    silent.add(cell)
            elif isinstance(state, ConsumerState | ChargerState):
                out[cell] = out.get(cell, 0) + state.bought_wh
            else:
                silent.add(cell)
            if self._excused(agent, tick):
                silent.add(cell)
        for (producer_cell, consumer_cell), energy_wh in join.crossed.items():
            into[consumer_cell] = into.get(consumer_cell, 0) + energy_wh
            if producer_cell is not None:
                out[producer_cell] = out.get(producer_cell, 0) + energy_wh
        if not self._exact:
            # What a correction brings within the window, or never brings, is judged producer by producer.
            silent |= {cell for agent, cell in day.cells.items() if agent in window.corrections}
        for cell in into.keys() | out.keys():
            if cell in silent or cell not in day.cells.values():
                continue
            self._tallies.cells.checked += 1
            if into.get(cell, 0) != out.get(cell, 0):
                self._tallies.cells.fail(
                    f"tick {tick}: {into.get(cell, 0)} Wh came into {cell}, {out.get(cell, 0)} are accounted for"
                )

    # --- what comes later --------------------------------------------------------------------------------

    def late(self, site_tick: int, scope: str, sender: str, message: Message) -> None:
        """Take a market message about a tick that is over and decided."""
        tick: int = message.tick  # type: ignore[attr-defined]
        fresh = self._tallies.fresh
        fresh.checked += 1
        knew_better = self._latest(sender) > tick
        if isinstance(message, Award):
            reminder = message.serial < self._serials.get(tick, {}).get(sender, 0)
            if reminder and site_tick - tick > REMINDED_TICKS + 1:
                fresh.fail(f"tick {site_tick}: {sender} reminds of an award of tick {tick}")
            elif not reminder and knew_better:
                fresh.fail(f"tick {site_tick}: {sender} makes a new award for tick {tick}")
            elif not reminder:
                room = {(scope, lot.index): lot.energy_wh for lot in message.lots}
                self._open.setdefault((sender, tick, message.serial), _Open(scope, message.lots, room))
        elif isinstance(message, Receipt):
            self._late_receipt(site_tick, scope, sender, message, knew_better=knew_better)
        elif knew_better:
            fresh.fail(f"tick {site_tick}: {sender} says a {message.TOPIC} for tick {tick}")

    def _late_receipt(
        self, site_tick: int, producer: str, consumer: str, receipt: Receipt, *, knew_better: bool
    ) -> None:
        award = self._open.get((producer, receipt.tick, receipt.serial))
        if award is None or award.consumer != consumer:
            return
        del self._open[producer, receipt.tick, receipt.serial]
        sold = self._pending.get((producer, receipt.tick))
        if receipt.lots and knew_better:
            self._tallies.fresh.fail(f"tick {site_tick}: {consumer} buys anew for tick {receipt.tick}")
        offered = {lot.index: lot.energy_wh for lot in award.lots}
        for lot in receipt.lots:
            self._tallies.packages.checked += 1
            room = min(award.room.get((consumer, lot.index), 0), offered.get(lot.index, 0))
            if lot.energy_wh > room:
                self._tallies.packages.fail(
                    f"tick {site_tick}: {consumer} takes {lot.energy_wh} Wh for package {lot.index} of tick "
                    f"{receipt.tick}, which lacks {room}"
                )
            award.room[consumer, lot.index] = room - lot.energy_wh
            if sold is not None:
                sold.energy_wh += lot.energy_wh
                sold.cost_neur += cost_neur(lot.energy_wh, lot.price_ueur_per_kwh)
                sold.consumers.add(consumer)

    def correct(self, sender: str, correction: Correction, site_tick: int) -> None:
        """Take the correction of a tick that is over and decided."""
        sold = self._pending.get((sender, correction.tick))
        if sold is not None and not correction.unsettled_wh:
            del self._pending[sender, correction.tick]
            late = site_tick - correction.tick > REMINDED_TICKS
            self._compare(sender, correction.tick, correction, sold, late=late)

    def _forget(self, tick: int) -> None:
        """Drop what is too old to change; what a living producer never settled is a breach."""
        oldest = tick - REMINDED_TICKS - SLACK_TICKS
        self._serials.pop(oldest, None)
        if self._open:
            self._open = {key: award for key, award in self._open.items() if key[1] >= oldest}
        for producer, then in [key for key in self._pending if key[1] < oldest]:
            del self._pending[producer, then]
            if not self._births.within(producer, then, tick + 2) and self._latest(producer) >= tick:
                self._tallies.settled.checked += 1
                self._tallies.settled.fail(f"tick {tick}: {producer} has not settled tick {then}")


class _Join:
    """Awards joined with bids and receipts."""

    def __init__(self, tallies: Tallies, day: Day, tick: int, excused: Callable[[str, int], bool]) -> None:
        self._tallies = tallies
        self._day = day
        self._tick = tick
        self._excused = excused
        self.sold: dict[str, Sold] = {}
        self.bought: dict[str, tuple[int, int]] = {}
        self.crossed: dict[tuple[str | None, str], int] = {}
        """(producer's cell or None for a reactor, consumer's cell) -> Wh, where the two differ."""
        self.open: dict[tuple[str, int], tuple[str, Lots]] = {}
        self.room: dict[tuple[str, int], int] = {}

    def awards(self, *, exact: bool) -> None:
        """Check every award and receipt."""
        day, tallies, tick = self._day, self._tallies, self._tick
        taken: dict[tuple[str, int], int] = {}
        promised: dict[tuple[str, int], int] = taken if exact else {}
        held: dict[str, int] = {}
        receipts = day.receipts
        for (producer, serial), (consumer, lots) in day.awards.items():
            packages = day.bids.get(consumer, ())
            got = receipts.pop((producer, serial, consumer), None)
            energy_wh = paid_neur = 0
            if got is None:
                self.open[producer, serial] = (consumer, lots)
            prices = self._match(
                consumer, lots, packages, f"tick {tick}: award {producer}/{serial} to {consumer}"
            )
            if got is not None and got != lots:
                self._within(got, lots, f"tick {tick}: receipt {consumer} to {producer}/{serial}")
            for lot in lots if got is None else got:
                key = (consumer, lot.index)
                if got is None:
                    held[producer] = held.get(producer, 0) + lot.energy_wh
                    if exact:
                        promised[key] = promised.get(key, 0) + lot.energy_wh
                    continue
                taken[key] = taken.get(key, 0) + lot.energy_wh
                energy_wh += lot.energy_wh
                paid_neur += cost_neur(lot.energy_wh, prices.get(lot.index, 0))
            if energy_wh:
                self._book(producer, consumer, energy_wh, paid_neur)
        self._leftover(receipts)
        self._totals(taken, held)

    def _book(self, producer: str, consumer: str, energy_wh: int, paid_neur: int) -> None:
        sold = self.sold.get(producer)
        if sold is None:
            sold = self.sold[producer] = Sold()
        sold.energy_wh += energy_wh
        sold.cost_neur += paid_neur
        sold.consumers.add(consumer)
        before_wh, before_neur = self.bought.get(consumer, (0, 0))
        self.bought[consumer] = (before_wh + energy_wh, before_neur + paid_neur)
        cells = self._day.cells
        home, there = cells.get(producer), cells.get(consumer)
        if home != there and there is not None:
            self.crossed[home, there] = self.crossed.get((home, there), 0) + energy_wh

    def _match(self, consumer: str, lots: Lots, packages: Lots, what: str) -> dict[int, int]:
        """Check that lots are of the consumer's packages, at their price; return the prices bid by index."""
        tallies = self._tallies
        prices: dict[int, int] = {}
        if self._excused(consumer, self._tick):
            return {lot.index: lot.price_ueur_per_kwh for lot in lots}
        for lot in lots:
            index = lot.index
            package = packages[index] if index < len(packages) else None
            if package is None or package.index != index:
                package = next((each for each in packages if each.index == index), None)
            tallies.packages.checked += 1
            if package is None or lot.energy_wh > package.energy_wh:
                tallies.packages.fail(f"{what}: {lot.energy_wh} Wh are not within package {index} of the bid")
                prices[index] = lot.price_ueur_per_kwh
                continue
            tallies.prices.checked += 1
            prices[index] = package.price_ueur_per_kwh
            if lot.price_ueur_per_kwh != package.price_ueur_per_kwh:
                tallies.prices.fail(
                    f"{what}: {lot.price_ueur_per_kwh} µEUR/kWh, bid were {package.price_ueur_per_kwh}"
                )
        return prices

    def _within(self, got: Lots, lots: Lots, what: str) -> None:
        offered = {lot.index: lot for lot in lots}
        for lot in got:
            limit = offered.pop(lot.index, None)
            self._tallies.packages.checked += 1
            if limit is None or lot.energy_wh > limit.energy_wh:
                self._tallies.packages.fail(
                    f"{what}: {lot.energy_wh} Wh of package {lot.index} exceed the award"
                )
            elif lot.price_ueur_per_kwh != limit.price_ueur_per_kwh:
                self._tallies.prices.fail(
                    f"{what}: {lot.price_ueur_per_kwh} µEUR/kWh is not the award's price"
                )

    def _leftover(self, receipts: dict[tuple[str, int, str], Lots]) -> None:
        for (producer, serial, consumer), lots in receipts.items():
            if lots and not self._excused(producer, self._tick):
                self._tallies.packages.fail(
                    f"tick {self._tick}: {consumer} receipts {producer}/{serial}, which was never awarded to it"
                )

    def _totals(self, taken: dict[tuple[str, int], int], held: dict[str, int]) -> None:
        tallies, day, tick = self._tallies, self._day, self._tick
        for consumer, packages in day.bids.items():
            for package in packages:
                key = (consumer, package.index)
                got = taken.get(key, 0)
                if got > package.energy_wh:
                    tallies.packages.fail(
                        f"tick {tick}: {got} Wh are sold of package {package.index} of {consumer}, "
                        f"which is {package.energy_wh}"
                    )
                if self.open:
                    self.room[key] = package.energy_wh - got
        for producer, energy_wh in day.supplies.items():
            sold = self.sold.get(producer)
            used_wh = held.get(producer, 0) + (sold.energy_wh if sold is not None else 0)
            tallies.supply.checked += 1
            if used_wh > energy_wh and not self._excused(producer, tick):
                tallies.supply.fail(f"tick {tick}: {producer} sells {used_wh} Wh of {energy_wh} announced")
