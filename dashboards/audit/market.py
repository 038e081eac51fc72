"""The power market of a tick: bids, supplies, awards and receipts compared with each other and with the accounts."""

from typing import Final

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    BuyerState,
    Correction,
    Message,
    ProducerState,
    Receipt,
    SellerState,
    StorageState,
    Supply,
)
from gridfleet.broker.protocol.topics import PRODUCERS
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.lost_messages import Statements
from gridfleet.dashboards.audit.prices import PriceAudit, Pricing
from gridfleet.dashboards.audit.reconciliation import AwardKey, Lots, Reconciliation, Sales, TickMarket
from gridfleet.dashboards.audit.specifications import SpecificationOf, find_specification
from gridfleet.dashboards.audit.window import GapLog, LifecycleLog, ReportingHistory, TickWindow

SETTLED_TICKS: Final = 8
"""Energy that is still unsettled so many ticks after both sides are online is a breach; half of them are for lost
messages."""
DEBT_TICKS: Final = 4
"""A producer may pass over a buyer for a day, from so many ticks after an award was left unanswered: see docs/trust.md.
"""
REMINDED_TICKS: Final = 96
"""For so many of its own ticks a producer may ask for a receipt, and a consumer can repeat it."""


class _OpenAward:
    """An award without a receipt; `room_wh` is what may still be sold of each bid package: (consumer, index) -> Wh."""

    __slots__ = ("lots", "room_wh")

    def __init__(self, lots: Lots, room_wh: dict[tuple[str, int], int]) -> None:
        self.lots = lots
        self.room_wh = room_wh


def _offered(state: SellerState) -> tuple[int, int]:
    """Return what a seller had to sell, and what of it nobody bought, Wh; a storage keeps that."""
    if isinstance(state, StorageState):
        return state.announced_wh, state.announced_wh - state.sold_wh - state.unsettled_wh
    return state.generated_wh, state.curtailed_wh


def _fed_in(state: SellerState, correction: Correction | None) -> int:
    """Return what a seller fed in, by its account or the correction of it, Wh."""
    offered_wh, unsold_wh = _offered(state)
    return offered_wh - (unsold_wh if correction is None else correction.curtailed_wh)


class MarketAudit:
    """Checks each tick's market, and follows its open awards and unsettled energy for some ticks more."""

    def __init__(
        self,
        tallies: Tallies,
        lifecycle: LifecycleLog,
        reporting: ReportingHistory,
        gaps: GapLog,
        *,
        exact: bool,
        specification_of: SpecificationOf | None = None,
    ) -> None:
        self._specification_of = specification_of
        self._tallies = tallies
        self._lifecycle = lifecycle
        self._reporting = reporting
        self._gaps = gaps
        self._exact = exact
        self._open: dict[tuple[int, AwardKey], _OpenAward] = {}
        self._unsettled: dict[tuple[str, int], Sales] = {}
        """(producer, tick) -> its sales so far."""
        self._reminding: set[tuple[str, int]] = set()
        """(producer, tick) of accounts that were unsettled for long: their awards are repeated for a day."""
        self._left_unsettled: dict[int, set[str]] = {}
        """Tick -> producers of which buyers left awards unanswered in it."""
        self._reminded: dict[tuple[str, int], int] = {}
        """(producer, tick) -> the tick of the site in which it repeated an award last."""
        self._awarded: dict[int, set[AwardKey]] = {}
        """Tick -> the awards that were received: another copy of one is a reminder."""
        self._announced: dict[int, set[tuple[str, Message]]] = {}
        """Tick -> (sender, bid or supply): another copy comes of a connection that was lost."""

    # --- a whole tick ------------------------------------------------------------------------------------

    def check_tick(self, tick: int, window: TickWindow) -> None:
        """Check the market of a finished tick; if messages are missing, only its accounts are checked."""
        if self._gaps.overlaps(tick, tick):
            self._prune(tick)
            return
        market = TickMarket(window)
        for sender, message in market.contradictions:
            if not self._lifecycle.changed(sender, tick, tick + 1):
                self._tallies.packages.fail(
                    f"tick {tick}: {sender} publishes two different {message.TYPE} messages"
                )
        prices = PriceAudit(
            self._tallies.prices,
            tick,
            self._pricing(tick, window),
            window,
            market.bids,
            market.supplies,
            market.cells,
        )
        statements = None if self._exact else Statements(window)
        reconciliation = Reconciliation(self._tallies, market, tick, self._is_restarting, prices, statements)
        reconciliation.check_awards(exact=self._exact, owed=self._owed(tick))
        self._producers(tick, window, market, reconciliation)
        self._consumers(tick, window, market, reconciliation)
        self._places(tick, market, reconciliation)
        self._cells(tick, window, market, reconciliation)
        if not self._exact:  # else no message is repeated after its tick
            self._awarded[tick] = set(market.awards)
            self._announced[tick] = {
                (sender, message) for _, sender, message in window.market if isinstance(message, Bid | Supply)
            }
        if reconciliation.open:
            self._left_unsettled[tick] = {producer for producer, _, _ in reconciliation.open}
        for key, lots in reconciliation.open.items():
            self._open[tick, key] = _OpenAward(lots, reconciliation.room_wh)
        self._prune(tick)

    def _pricing(self, tick: int, window: TickWindow) -> Pricing:
        """Return what the prices of a tick depend on; a device that starts or stops may have missed a message."""
        steady = window.waited_for_all and self._lifecycle.unchanged(tick - 1, tick)
        specification = find_specification(window.rule, self._specification_of) if window.rule else None
        return Pricing(window.rule, specification, window.supply_price, complete=self._exact and steady)

    def _owed(self, tick: int) -> set[str]:
        """Return the producers that may pass over buyers because these have not answered awards within the tick."""
        owed: set[str] = set()
        for then in [then for then in self._left_unsettled if then <= tick - DEBT_TICKS]:
            if then < tick - REMINDED_TICKS - DEBT_TICKS:
                del self._left_unsettled[then]
            else:
                owed |= self._left_unsettled[then]
        return owed

    def _is_restarting(self, device: str, tick: int) -> bool:
        """Return whether a device came online or went offline in a tick: its memory of it may be incomplete."""
        return self._lifecycle.changed(device, tick, tick)

    def _producers(
        self, tick: int, window: TickWindow, market: TickMarket, reconciliation: Reconciliation
    ) -> None:
        tallies = self._tallies
        for producer, state in window.states.items():
            if not isinstance(state, ProducerState | StorageState) or self._is_restarting(producer, tick):
                continue
            sold = reconciliation.sold.get(producer) or Sales()
            self._check_production(tick, producer, state, market.supplies.get(producer), sold.energy_wh)
            account = window.corrections.get(producer, state)
            if self._exact:
                tallies.settled.checked += 1
                if account.unsettled_wh:
                    tallies.settled.fail(
                        f"tick {tick}: {producer} leaves {account.unsettled_wh} Wh unsettled"
                    )
            if account.unsettled_wh:
                self._unsettled[producer, tick] = sold
                held_wh = reconciliation.held.get(producer, 0)
                sold.unseen_wh = account.sold_wh + account.unsettled_wh - sold.energy_wh - held_wh
            elif producer not in reconciliation.incomplete:
                self._compare(producer, tick, account, sold, late=False)
        if not self._exact:
            for producer in {producer for producer, _, _ in market.awards} - window.states.keys():
                self._unsettled[producer, tick] = reconciliation.sold.get(producer) or Sales()

    def _check_production(
        self, tick: int, producer: str, state: SellerState, announced: int | None, sold_wh: int
    ) -> None:
        """Check that a producer's account adds up, and that it has announced what it sells.

        Unless `exact`, it has where its account states so: then its supply was not received.
        """
        tallies = self._tallies
        tallies.production.checked += 1
        offered_wh, unsold_wh = _offered(state)
        supply_wh = offered_wh if announced is None else announced
        if unsold_wh < 0 or not supply_wh == offered_wh == state.sold_wh + unsold_wh + state.unsettled_wh:
            tallies.production.fail(
                f"tick {tick}: {producer} announced {supply_wh} Wh, accounts for {offered_wh} = "
                f"{state.sold_wh} sold + {unsold_wh} left over + {state.unsettled_wh} unsettled"
            )
        if announced is None and state.role in PRODUCERS and sold_wh > (0 if self._exact else offered_wh):
            tallies.supply.fail(f"tick {tick}: {producer} sells {sold_wh} Wh and announced none")

    def _compare(
        self, producer: str, tick: int, account: SellerState | Correction, sold: Sales, *, late: bool
    ) -> None:
        """Compare what a producer has booked in the end with the receipts."""
        tallies = self._tallies
        if not self._exact:
            tallies.settled.checked += 1
        restarted = any(
            self._lifecycle.changed(consumer, tick, tick + REMINDED_TICKS) for consumer in sold.consumers
        )
        if account.sold_wh != sold.energy_wh and (late or restarted):
            return  # a consumer that lost its memory refuses energy that it took before
        tallies.books.checked += 1
        if account.sold_wh != sold.energy_wh:
            tallies.books.fail(
                f"tick {tick}: {producer} booked {account.sold_wh} Wh as sold, by the receipts {sold.energy_wh}"
            )
            return
        tallies.payments.checked += 1
        if account.earned_neur != sold.cost_neur:
            tallies.payments.fail(
                f"tick {tick}: {producer} earned {account.earned_neur} nEUR for what costs {sold.cost_neur}"
            )

    def _consumers(
        self, tick: int, window: TickWindow, market: TickMarket, reconciliation: Reconciliation
    ) -> None:
        tallies = self._tallies
        nothing = (0, 0)
        for consumer, state in window.states.items():
            if not isinstance(state, BuyerState) or consumer not in market.bids:
                continue
            if self._is_restarting(consumer, tick) or consumer in reconciliation.incomplete:
                continue
            bought_wh, paid_neur = reconciliation.bought.get(consumer, nothing)
            demand_wh = sum(package.energy_wh for package in market.bids[consumer])
            tallies.books.checked += 1
            if state.bought_wh != bought_wh or state.demand_wh != demand_wh:
                tallies.books.fail(
                    f"tick {tick}: {consumer} booked {state.bought_wh} of {state.demand_wh} Wh as bought, "
                    f"by its receipts and bid {bought_wh} of {demand_wh}"
                )
                continue
            tallies.payments.checked += 1
            if state.paid_neur != paid_neur:
                tallies.payments.fail(
                    f"tick {tick}: {consumer} paid {state.paid_neur} nEUR for what costs {paid_neur}"
                )

    def _places(self, tick: int, market: TickMarket, reconciliation: Reconciliation) -> None:
        """Check that the cell of everybody who bought is known: no row of a run is without a cell."""
        for consumer in sorted(reconciliation.bought.keys() - market.cells.keys()):
            if not self._lifecycle.knows(consumer):
                self._tallies.cells.fail(
                    f"tick {tick}: {consumer} has bought in an unknown cell: neither its birth nor its bid was received"
                )

    def _cells(
        self, tick: int, window: TickWindow, market: TickMarket, reconciliation: Reconciliation
    ) -> None:
        """Add up the accounts of each cell whose devices have all reported one, with nothing unsettled."""
        sums: dict[str, int] = {}
        unknown = reconciliation.incomplete - market.cells.keys()
        incomplete = {
            cell for device, cell in market.cells.items() if device in reconciliation.incomplete or unknown
        }
        for device, cell in market.cells.items():
            state = None if self._is_restarting(device, tick) else window.states.get(device)
            correction = window.corrections.get(device)
            if isinstance(state, SellerState):
                sums[cell] = sums.get(cell, 0) + _fed_in(state, correction)
                unsettled_wh = (correction or state).unsettled_wh
                if unsettled_wh or (correction is not None and not self._exact):
                    incomplete.add(cell)
            if isinstance(state, BuyerState):
                sums[cell] = sums.get(cell, 0) - state.bought_wh
            elif not isinstance(state, SellerState):
                incomplete.add(cell)
        for (home, there), energy_wh in reconciliation.between_cells.items():
            sums[there] = sums.get(there, 0) + energy_wh
            if home is not None:
                sums[home] = sums.get(home, 0) - energy_wh
        for cell in sorted(sums.keys() - incomplete):
            self._tallies.cells.checked += 1
            if excess_wh := sums[cell]:
                self._tallies.cells.fail(
                    f"tick {tick}: {excess_wh} Wh more came into {cell} than went out of it"
                )

    # --- later messages ----------------------------------------------------------------------------------

    def on_late_message(self, site_tick: int, scope: str, sender: str, message: Message) -> None:
        """Check a market message for a tick that was judged before."""
        tick: int = message.tick  # type: ignore[attr-defined]
        fresh = self._tallies.fresh
        if self._gaps.overlaps(tick, tick):
            return
        fresh.checked += 1
        reported_later = self._reporting.last(sender) > tick
        if isinstance(message, Award):
            self._late_award(site_tick, scope, sender, message, reported_later=reported_later)
        elif isinstance(message, Receipt):
            self._late_receipt(site_tick, scope, sender, message, reported_later=reported_later)
        elif reported_later and (sender, message) not in self._announced.get(tick, ()):
            fresh.fail(f"tick {site_tick}: {sender} publishes a {message.TYPE} for finished tick {tick}")

    def _late_award(
        self, site_tick: int, consumer: str, producer: str, award: Award, *, reported_later: bool
    ) -> None:
        """Check an award of a tick that was judged before: a reminder, or the first copy that was received.

        The first copies may have expired before they were sent. The account that a producer has reported since says so:
        it leaves at least that energy unsettled.
        """
        tick, key = award.tick, (producer, consumer, award.serial)
        fresh = self._tallies.fresh
        if key in self._awarded.get(tick, ()):
            self._reminded[producer, tick] = site_tick
            if site_tick - tick > REMINDED_TICKS + 1:
                fresh.fail(f"tick {site_tick}: {producer} repeats an award of tick {tick}")
            return
        if reported_later:
            sold = self._unsettled.get((producer, tick))
            energy_wh = sum(lot.energy_wh for lot in award.lots)
            if sold is None or energy_wh > sold.unseen_wh:
                fresh.fail(f"tick {site_tick}: {producer} makes a new award for tick {tick}")
                return
            sold.unseen_wh -= energy_wh
        elif self._reporting.last(producer) < tick:
            self._unsettled.setdefault((producer, tick), Sales())
        if not self._exact:
            self._awarded.setdefault(tick, set()).add(key)
        room_wh = {(consumer, lot.index): lot.energy_wh for lot in award.lots}
        self._open.setdefault((tick, key), _OpenAward(award.lots, room_wh))

    def _late_receipt(
        self, site_tick: int, producer: str, consumer: str, receipt: Receipt, *, reported_later: bool
    ) -> None:
        award = self._open.pop((receipt.tick, (producer, consumer, receipt.serial)), None)
        if award is None:
            return
        sold = self._unsettled.get((producer, receipt.tick))
        if receipt.lots and reported_later:
            self._tallies.fresh.fail(f"tick {site_tick}: {consumer} buys for finished tick {receipt.tick}")
        offered = {lot.index: lot.energy_wh for lot in award.lots}
        for lot in receipt.lots:
            self._tallies.packages.checked += 1
            room_wh = min(award.room_wh.get((consumer, lot.index), 0), offered.get(lot.index, 0))
            if lot.energy_wh > room_wh:
                self._tallies.packages.fail(
                    f"tick {site_tick}: {consumer} takes {lot.energy_wh} Wh for package {lot.index} of tick "
                    f"{receipt.tick}, of which {room_wh} Wh are unsold"
                )
            award.room_wh[consumer, lot.index] = room_wh - lot.energy_wh
            if sold is not None:
                sold.energy_wh += lot.energy_wh
                sold.cost_neur += cost_neur(lot.energy_wh, lot.price_ueur_per_kwh)
                sold.consumers.add(consumer)

    def on_correction(self, sender: str, correction: Correction | SellerState, site_tick: int) -> None:
        """Take the correction, or the late account, of a tick that was judged before."""
        if self._gaps.overlaps(correction.tick, site_tick):
            self._unsettled.pop((sender, correction.tick), None)
            return
        sold = self._unsettled.get((sender, correction.tick))
        if isinstance(correction, SellerState) and correction.unsettled_wh:
            if sold is None:
                sold = self._unsettled[sender, correction.tick] = Sales()
            sold.unseen_wh = (
                correction.sold_wh
                + correction.unsettled_wh
                - sold.energy_wh
                - sum(
                    lot.energy_wh
                    for (tick, key), award in self._open.items()
                    if (tick, key[0]) == (correction.tick, sender)
                    for lot in award.lots
                )
            )
        elif sold is not None and not correction.unsettled_wh:
            del self._unsettled[sender, correction.tick]
            self._reminding.discard((sender, correction.tick))
            late = site_tick - correction.tick > REMINDED_TICKS
            self._compare(sender, correction.tick, correction, sold, late=late)

    def _prune(self, tick: int) -> None:
        """Drop what is too old to change; energy of which an online consumer sends no receipt is a breach."""
        old = tick - SETTLED_TICKS
        self._reminding = {key for key in self._reminding if key[1] >= old - REMINDED_TICKS}
        for producer, then in [key for key in self._unsettled if key[1] < old]:
            self._reminding.add((producer, then))
            if self._lifecycle.changed(producer, then, tick + 2) or then < old - REMINDED_TICKS:
                del self._unsettled[producer, then]
            elif silent := self._silent(producer, then, tick):
                del self._unsettled[producer, then]
                self._tallies.settled.checked += 1
                self._tallies.settled.fail(
                    f"tick {tick}: {', '.join(sorted(silent))}: no receipt for an award of {producer} of tick {then}"
                )
        for then in [then for then in self._awarded if then < old]:
            awarded = {key for key in self._awarded.pop(then) if (key[0], then) in self._reminding}
            if awarded:
                self._awarded[then] = awarded
        self._reminded = {key: at for key, at in self._reminded.items() if key[1] >= old - REMINDED_TICKS}
        self._announced = {then: each for then, each in self._announced.items() if then >= old}
        if self._open:
            self._open = {
                key: award
                for key, award in self._open.items()
                if key[0] >= old or (key[1][0], key[0]) in self._reminding
            }

    def _silent(self, producer: str, then: int, tick: int) -> set[str]:
        """Return the consumers that have been online for long enough, and have not answered an award.

        The producer must be online too, and still repeat its awards; otherwise it has settled them, and its correction
        was not received. Where a receipt was received here, it may be late or lost on its way to the producer.
        """
        owing = {key[1] for at, key in self._open if at == then and key[0] == producer}
        reporting = self._reporting
        if not self._exact and self._reminded.get((producer, then), -1) < tick - 2:
            return set()
        online = all(
            reporting.last(device) >= tick and reporting.since(device) < tick - SETTLED_TICKS
            for device in (producer, *owing)
        )
        return owing if online else set()
