"""The power market of a tick: bids, supplies, awards and receipts against each other and against the accounts."""

from typing import Final

from gridfleet.broker.protocol.messages import (
    Award,
    ChargerState,
    ConsumerState,
    Correction,
    Message,
    ProducerState,
    Receipt,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.audit.findings import Tallies
from gridfleet.dashboards.audit.reconciliation import Key, Lots, Reconciliation, Sold, TickMarket
from gridfleet.dashboards.audit.window import Attendance, Gaps, LifecycleLog, Window

SETTLED_TICKS: Final = 8
"""So many ticks after both sides could hear each other, what is still unsettled is a breach: half of them for
messages lost on the way."""
REMINDED_TICKS: Final = 96
"""For so many ticks of its own a producer may ask for a receipt, and a consumer can give it again."""


class _Open:
    """An award whose receipt has not been heard; `room` is what each bid package still lacks, in Wh."""

    __slots__ = ("lots", "room")

    def __init__(self, lots: Lots, room: dict[tuple[str, int], int]) -> None:
        self.lots = lots
        self.room = room


class Market:
    """Checks each tick's market, and follows what it left open for a few ticks more."""

    def __init__(
        self, tallies: Tallies, births: LifecycleLog, attendance: Attendance, gaps: Gaps, *, exact: bool
    ) -> None:
        self._tallies = tallies
        self._births = births
        self._attendance = attendance
        self._gaps = gaps
        self._exact = exact
        self._open: dict[tuple[int, Key], _Open] = {}
        self._pending: dict[tuple[str, int], Sold] = {}
        self._serials: dict[int, dict[tuple[str, str], int]] = {}

    # --- a whole tick ------------------------------------------------------------------------------------

    def decide(self, tick: int, window: Window) -> None:
        """Check the market of a tick whose messages have all been heard; one with gaps is left to its accounts."""
        if self._gaps.within(tick, tick):
            self._forget(tick)
            return
        day = TickMarket(window)
        for sender, message in day.twice:
            if not self._births.within(sender, tick, tick + 1):
                self._tallies.packages.fail(f"tick {tick}: {sender} says two different {message.TYPE}s")
        join = Reconciliation(self._tallies, day, tick, self._excused)
        join.awards(exact=self._exact)
        self._producers(tick, window, day, join)
        self._consumers(tick, window, day, join)
        self._cells(tick, window, day, join)
        if not self._exact:  # else nothing is ever said again after its tick
            serials = self._serials[tick] = {}
            for producer, consumer, serial in day.awards:
                serials[producer, consumer] = max(serials.get((producer, consumer), 0), serial + 1)
        for key, lots in join.open.items():
            self._open[tick, key] = _Open(lots, join.room)
        self._forget(tick)

    def _excused(self, agent: str, tick: int) -> bool:
        return self._births.within(agent, tick, tick)

    def _producers(self, tick: int, window: Window, day: TickMarket, join: Reconciliation) -> None:
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
            if state.kind == "turbine" and sold.energy_wh and producer not in day.supplies:
                tallies.supply.fail(f"tick {tick}: {producer} sells {sold.energy_wh} Wh and announced none")
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
        if not self._exact:
            for producer in {producer for producer, _, _ in day.awards} - window.states.keys():
                self._pending[producer, tick] = join.sold.get(producer) or Sold()

    def _compare(
        self, producer: str, tick: int, account: ProducerState | Correction, sold: Sold, *, late: bool
    ) -> None:
        """Compare what a producer has booked in the end with what the receipts say."""
        tallies = self._tallies
        if not self._exact:
            tallies.settled.checked += 1
        forgetful = any(
            self._births.within(consumer, tick, tick + REMINDED_TICKS) for consumer in sold.consumers
        )
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

    def _consumers(self, tick: int, window: Window, day: TickMarket, join: Reconciliation) -> None:
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

    def _cells(self, tick: int, window: Window, day: TickMarket, join: Reconciliation) -> None:
        """Add up the accounts of each cell all of whose members have given one, with nothing unsettled."""
        sums: dict[str, int] = {}
        silent: set[str] = set()
        for agent, cell in day.cells.items():
            state = None if self._excused(agent, tick) else window.states.get(agent)
            account = window.corrections.get(agent, state)
            if isinstance(state, ConsumerState | ChargerState):
                sums[cell] = sums.get(cell, 0) - state.bought_wh
            elif isinstance(state, ProducerState) and isinstance(account, ProducerState | Correction):
                sums[cell] = sums.get(cell, 0) + state.generated_wh - account.curtailed_wh
                if account.unsettled_wh or (not self._exact and account is not state):
                    silent.add(cell)
            else:
                silent.add(cell)
        for (home, there), energy_wh in join.crossed.items():
            sums[there] = sums.get(there, 0) + energy_wh
            if home is not None:
                sums[home] = sums.get(home, 0) - energy_wh
        for cell in sorted(sums.keys() - silent):
            self._tallies.cells.checked += 1
            if excess_wh := sums[cell]:
                self._tallies.cells.fail(
                    f"tick {tick}: {excess_wh} Wh more came into {cell} than went out of it"
                )

    # --- what comes later --------------------------------------------------------------------------------

    def late(self, site_tick: int, scope: str, sender: str, message: Message) -> None:
        """Take a market message about a tick that is over and decided."""
        tick: int = message.tick  # type: ignore[attr-defined]
        fresh = self._tallies.fresh
        if self._gaps.within(tick, tick):
            return
        fresh.checked += 1
        knew_better = self._attendance.last(sender) > tick
        if isinstance(message, Award):
            reminder = message.serial < self._serials.get(tick, {}).get((sender, scope), 0)
            if reminder and site_tick - tick > REMINDED_TICKS + 1:
                fresh.fail(f"tick {site_tick}: {sender} reminds of an award of tick {tick}")
            elif not reminder and knew_better:
                fresh.fail(f"tick {site_tick}: {sender} makes a new award for tick {tick}")
            elif not reminder:
                room = {(scope, lot.index): lot.energy_wh for lot in message.lots}
                self._open.setdefault((tick, (sender, scope, message.serial)), _Open(message.lots, room))
        elif isinstance(message, Receipt):
            self._late_receipt(site_tick, scope, sender, message, knew_better=knew_better)
        elif knew_better:
            fresh.fail(f"tick {site_tick}: {sender} says a {message.TYPE} for tick {tick}")

    def _late_receipt(
        self, site_tick: int, producer: str, consumer: str, receipt: Receipt, *, knew_better: bool
    ) -> None:
        award = self._open.pop((receipt.tick, (producer, consumer, receipt.serial)), None)
        if award is None:
            return
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

    def correct(self, sender: str, correction: Correction | ProducerState, site_tick: int) -> None:
        """Take the correction, or the late account, of a tick that is over and decided."""
        sold = self._pending.get((sender, correction.tick))
        if sold is not None and not correction.unsettled_wh:
            del self._pending[sender, correction.tick]
            late = site_tick - correction.tick > REMINDED_TICKS
            self._compare(sender, correction.tick, correction, sold, late=late)

    def _forget(self, tick: int) -> None:
        """Drop what is too old to change; what a living producer never settled is a breach."""
        old = tick - SETTLED_TICKS
        for producer, then in [key for key in self._pending if key[1] < old]:
            if self._births.within(producer, then, tick + 2) or then < old - REMINDED_TICKS:
                del self._pending[producer, then]
            elif self._could_settle(producer, then, tick):
                del self._pending[producer, then]
                self._tallies.settled.checked += 1
                self._tallies.settled.fail(f"tick {tick}: {producer} has not settled tick {then}")
        reminders = {(producer, then) for producer, then in self._pending if then < old}
        for then in [then for then in self._serials if then < old]:
            serials = {
                key: serial for key, serial in self._serials.pop(then).items() if (key[0], then) in reminders
            }
            if serials:
                self._serials[then] = serials
        if self._open:
            self._open = {
                key: award
                for key, award in self._open.items()
                if key[0] >= old or (key[1][0], key[0]) in reminders
            }

    def _could_settle(self, producer: str, then: int, tick: int) -> bool:
        """Tell whether a producer and those who owe it receipts have heard each other for long enough."""
        owing = {key[1] for day, key in self._open if day == then and key[0] == producer}
        attendance = self._attendance
        return all(
            attendance.last(agent) >= tick and attendance.since(agent) < tick - SETTLED_TICKS
            for agent in (producer, *owing)
        )
