"""The selling side of an agent: its awards, the receipts that it waits for, and accounts that are settled late.

`SellingSide` keeps the account of each tick and exchanges messages with buyers. `Seller` is the base of agents that
hold one; it has no slots of its own, so an agent may be a `Buyer` as well.
"""

from typing import ClassVar, Final

from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    Correction,
    Message,
    Package,
    Packages,
    Phase,
    ProducerState,
    Receipt,
    Tick,
)
from gridfleet.devices.agents.base import MAX_ATTEMPTS, NOTHING, Agent, AgentError, Handler, Out
from gridfleet.devices.agents.instruments import Instruments
from gridfleet.devices.market.accounts import REMEMBERED_TICKS, OpenAward, Sales
from gridfleet.devices.market.clearing_rule import ClearingRule, RuleError
from gridfleet.devices.market.packages import take_up_to
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.trust.punctuality import Punctuality, most_in_time

DEBT_TICKS: Final = 4
"""Who has not answered an award for so many of the seller's ticks is awarded nothing more until it does."""
MAX_FAULT_LENGTH: Final = 64
"""A state holds no longer text for a fault."""


_NOBODY: Final = frozenset[str]()


class SellingSide:
    """What an agent sells in a tick, to whom, and the open awards of earlier ticks."""

    __slots__ = (
        "_agent",
        "_attempts",
        "_buyers",
        "_unsettled",
        "avoided",
        "passed_over",
        "rule",
        "rule_fault",
        "sales",
    )

    def __init__(self, agent: "Seller") -> None:
        self._agent = agent
        self._attempts = 0
        self._unsettled: dict[int, Sales] = {}
        self.sales = Sales(-1)
        self._buyers = Punctuality()
        """Who answers awards in time."""
        self.avoided: frozenset[str] = _NOBODY
        """Who has often refused awards too late, or not answered them at all."""
        self.passed_over: frozenset[str] = _NOBODY
        """Who is awarded nothing in this tick: who is avoided, or has left an award unanswered for DEBT_TICKS."""
        self.rule: ClearingRule | None = None
        """The clearing rule of the tick: that of its bid phase; None where it is not installed here."""
        self.rule_fault = ""
        """That the rule of this tick is not installed here."""

    def on_new_run(self) -> None:
        """Forget what was sold under the tick numbers of an earlier run."""
        self.sales = Sales(-1)
        self._unsettled.clear()
        self._buyers.clear()
        self.avoided = self.passed_over = _NOBODY
        self.stop_waiting()

    def open_account(self, energy_wh: int) -> list[tuple[str, Message]]:
        """Open the account of a tick with this energy to sell; return reminders of the open awards of earlier ticks."""
        out: list[tuple[str, Message]] = []
        tick = self._agent.tick
        self._close_account(tick)
        self.sales = Sales(tick, energy_wh)
        self._find_rule()
        self.stop_waiting()
        for old in [*self._unsettled.values()]:
            old.reminded += 1
            if old.reminded == DEBT_TICKS:
                for buyer in old.unjudged:
                    self._buyers.note_broken(buyer, old.tick, tick)
                old.unjudged = _NOBODY
            if old.reminded <= REMEMBERED_TICKS:
                out += _reminders(old)
                continue
            del self._unsettled[old.tick]
            old.open_awards.clear()
            old.pending_wh = 0
            out.append(_correction(old))
        if self._agent.trust.enabled:
            self.avoided = self._buyers.avoided(tick)
            self.passed_over = self._debtors() | self.avoided
        return out

    def _close_account(self, tick: int) -> None:
        """Note who has answered every award of the last tick; who has not may still take all of it."""
        sales = self.sales
        if not sales.open_awards:
            self._buyers.note_kept(sales.buyers, tick)
            return
        self._unsettled[sales.tick] = sales
        if self._agent.trust.enabled:
            late = sales.unanswered
            in_time = sales.buyers - late
            self._buyers.note_kept(in_time, tick)
            sales.unjudged = frozenset(buyer for buyer in late if most_in_time(buyer, in_time, late))

    def _judge_late(self, sales: Sales, buyer: str, refused_wh: int, tick: int) -> None:
        """Judge a receipt that comes after its tick: what is refused then nobody else could buy."""
        if buyer not in sales.unjudged or (not refused_wh and buyer in sales.unanswered):
            return
        sales.unjudged -= {buyer}
        if refused_wh:
            self._buyers.note_broken(buyer, sales.tick, tick)
        else:
            self._buyers.note_kept((buyer,), tick)

    def _debtors(self) -> frozenset[str]:
        """Return who has left an award of DEBT_TICKS ago or earlier unanswered."""
        return frozenset(
            award.consumer
            for old in self._unsettled.values()
            if old.reminded >= DEBT_TICKS
            for award in old.open_awards.values()
        )

    def _find_rule(self) -> None:
        name = self._agent.tick_message.settings.clearing_rule
        self.rule, self.rule_fault = None, ""
        try:
            self.rule = CLEARING_RULES.get(name)
        except PluginError:
            self.rule_fault = f"no clearing rule {name}"[:MAX_FAULT_LENGTH]
            self._agent.refuse("clearing rule")

    def rule_error(self, error: RuleError) -> AgentError:
        """Return the error that ends the run because the clearing rule fails."""
        return self._agent.error(str(error), "correct the rule, or choose another clearing_rule")

    def price_imports(self, lots: tuple[Package, ...], supply_price: int) -> tuple[Package, ...]:
        """Return lots as imports at the price of the rule; `supply_price` is the seller's own, µEUR/kWh.

        Nothing is returned, and a refusal counted, where the rule is not installed here. Raises AgentError where it
        fails.
        """
        if self.rule is None:
            self._agent.refuse("clearing rule")
            return ()
        if self.rule.import_price is None:
            return lots
        try:
            prices = [self.rule.price_import(lot.price_ueur_per_kwh, supply_price) for lot in lots]
        except RuleError as error:
            raise self.rule_error(error) from error
        return tuple(
            Package(lot.index, lot.energy_wh, price) for lot, price in zip(lots, prices, strict=True)
        )

    def sell(self, market: str, lots: dict[str, tuple[Package, ...]]) -> list[tuple[str, Message]]:
        """Award lots to consumers in the market of a cell, but never more than is left."""
        out: list[tuple[str, Message]] = []
        for consumer, packages in lots.items():
            affordable = take_up_to(self.sales.unsold_wh, packages)
            if affordable:
                out.append((consumer, self.sales.award(consumer, market, affordable)))
        return out

    def expect_receipts(self, now_ms: int) -> None:
        """Wait for the receipts that are missing, if any."""
        self.stop_waiting()
        if self.sales.open_awards:
            self._attempts = 1
            self._agent.wait(now_ms, self._remind)

    def stop_waiting(self) -> None:
        """Stop waiting for receipts."""
        if self._attempts:
            self._attempts = 0
            self._agent.stop_waiting()

    def _remind(self, now_ms: int) -> Out:
        """Ask again for missing receipts, a few times; then stop waiting: the account stays open."""
        if self._attempts >= MAX_ATTEMPTS or not self.sales.open_awards:
            self.stop_waiting()
            return NOTHING
        self._attempts += 1
        self._agent.wait(now_ms, self._remind)
        return _reminders(self.sales)

    def on_receipt(self, sender: str, receipt: Receipt, now_ms: int) -> Out:
        """Book what was taken, now or for an earlier tick; offer to others what was refused."""
        agent, sales = self._agent, self.sales
        if receipt.tick != sales.tick:
            return self._late_receipt(sender, receipt)
        award = self._settle(sales, sender, receipt)
        if award is None:
            return agent.refuse("receipt")
        if agent.tick_message.phase is Phase.SETTLE or sales.tick != agent.tick:
            return [_correction(sales)]
        out = agent.resell(award, now_ms) if award.energy_wh else NOTHING
        if self._attempts and not sales.open_awards:
            self.stop_waiting()
        elif out:
            self.expect_receipts(now_ms)
        return out

    def _settle(self, sales: Sales, sender: str, receipt: Receipt) -> OpenAward | None:
        """Settle the open award of a receipt in the account of its tick; None if there is none."""
        agent = self._agent
        earned_before, sold_before = sales.earned_neur, sales.sold_wh
        award = sales.settle(sender, receipt)
        if award is not None:
            agent.balance_neur += sales.earned_neur - earned_before
            agent.deliver(sales.sold_wh - sold_before)
        return award

    def _late_receipt(self, sender: str, receipt: Receipt) -> Out:
        agent, sales = self._agent, self._unsettled.get(receipt.tick)
        if sales is None:
            return agent.refuse("stale")
        award = self._settle(sales, sender, receipt)
        if award is None:
            return agent.refuse("receipt")
        self._judge_late(sales, sender, award.energy_wh, agent.tick)
        if not sales.open_awards:
            del self._unsettled[receipt.tick]
        return [_correction(sales)]


def _correction(sales: Sales) -> tuple[str, Message]:
    correction = Correction(sales.tick, sales.sold_wh, sales.unsold_wh, sales.pending_wh, sales.earned_neur)
    return "", correction


def _reminders(sales: Sales) -> list[tuple[str, Message]]:
    return [(award.consumer, award.message) for award in sales.open_awards.values()]


class Seller(Agent):
    """An agent that sells; `resell` is called for energy that a buyer has refused."""

    __slots__ = ()
    selling: SellingSide
    """Its selling side; a subclass creates it, and lists it, `instruments` and `power_w` in its slots."""
    instruments: Instruments
    power_w: int
    """Electrical power that it feeds in, W."""

    def on_new_run(self) -> None:
        """Forget the ticks of an earlier run of the clock."""
        super().on_new_run()
        self.selling.on_new_run()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        return [*super().subscriptions(), ("receipt", self.id)]

    def deliver(self, energy_wh: int) -> None:
        """Deliver energy that a buyer has taken; called for each receipt, also for a late one of an earlier tick."""

    def resell(self, award: OpenAward, now_ms: int) -> Out:  # noqa: ARG002 - a reactor needs no second buyer
        """Find other buyers for the energy of an award that was refused in part; return what to send."""
        return NOTHING

    def on_receipt(self, _scope: str, sender: str, receipt: Receipt, now_ms: int) -> Out:
        """Book a receipt."""
        return self.selling.on_receipt(sender, receipt, now_ms)

    def avoided(self) -> tuple[str, ...]:
        """Return the devices that have lied to it, and the buyers that often answer too late."""
        late = self.selling.avoided
        return tuple(sorted({*super().avoided(), *late}))[:MAX_AVOIDED] if late else super().avoided()

    def believed_packages(self, buyer: str, packages: Packages, lie: str) -> Packages:
        """Return what a buyer bids for; nothing from who is avoided, or bids beyond its limits, which is the `lie`."""
        trust = self.trust
        if not trust.enabled:
            return packages
        if trust.avoids(buyer, self.tick):
            self.refuse("avoided")
            return ()
        if trust.register.allows_bid(buyer, packages):
            return packages
        self.note_lie(buyer, lie)
        return ()

    @property
    def faults(self) -> tuple[str, ...]:
        """What its state reports as faults: those of its instruments, and a clearing rule that it cannot apply."""
        fault = self.selling.rule_fault
        return (*self.instruments.faults, fault) if fault else self.instruments.faults

    def producer_state(self, curtailed_wh: int) -> tuple[str, ProducerState]:
        """Return the account of the tick that ends; `curtailed_wh` is what nobody bought."""
        sales = self.selling.sales
        state = ProducerState(
            *self.account(
                "running" if self.power_w else "idle", self.power_w, measured=self.instruments.measured
            ),
            generated_wh=sales.energy_wh,
            sold_wh=sales.sold_wh,
            curtailed_wh=curtailed_wh,
            unsettled_wh=sales.pending_wh,
            earned_neur=sales.earned_neur,
            faults=self.faults,
        )
        return self.role_name, state

    handlers: ClassVar[dict[type[Message], Handler]] = {Tick: Agent.on_tick, Receipt: on_receipt}
