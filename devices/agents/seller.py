"""What turbine and reactor share: awards that wait for receipts, and books that are settled even if late."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from gridfleet.broker.protocol.messages import (
    Correction,
    Message,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Tick,
)
from gridfleet.devices.agents.base import ATTEMPTS, NOTHING, Agent, Handler, Out
from gridfleet.devices.agents.instruments import SIMULATED, Instruments
from gridfleet.devices.market.clearing import REMEMBERED_TICKS, OpenAward, Sales, up_to


class Seller(Agent):
    """An agent that awards energy and books what the receipts say."""

    __slots__ = ("_attempts", "_unsettled", "instruments", "power_w", "sales")

    def __init__(self, agent_id: str, cell: str, latitude: float, longitude: float, label: str = "") -> None:
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.instruments: Instruments = SIMULATED
        self.power_w = 0
        self._unsettled: dict[int, Sales] = {}
        self._attempts = 0
        self.sales = Sales(-1)

    def start_books(self) -> None:
        """Forget what was sold under other tick numbers."""
        self.sales = Sales(-1)
        self._unsettled.clear()
        self.deadline_ms = None

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        return [("receipt", self.id)]

    def sell(self, market: str, lots: dict[str, tuple[Package, ...]]) -> list[tuple[str, Message]]:
        """Award lots to consumers in the name of a market, but never more than is left."""
        out: list[tuple[str, Message]] = []
        for consumer, packages in lots.items():
            affordable = up_to(self.sales.unsold_wh, packages)
            if affordable:
                out.append((consumer, self.sales.award(consumer, market, affordable)))
        return out

    def expect_receipts(self, now_ms: int) -> None:
        """Wait for the receipts that are open, if any."""
        self._attempts = 1
        self.deadline_ms = now_ms + self.patience_ms if self.sales.open else None

    def resell(self, award: OpenAward, now_ms: int) -> Out:  # noqa: ARG002 - the reactor's energy needs no second buyer
        """Find other buyers for the energy of an award that was refused in part."""
        return NOTHING

    def on_receipt(self, _scope: str, sender: str, receipt: Receipt, now_ms: int) -> Out:
        """Book what was taken, now or for an earlier tick; sell again what was refused."""
        if receipt.tick != self.sales.tick:
            return self._late_receipt(sender, receipt)
        earned_before = self.sales.earned_neur
        award = self.sales.receipt(sender, receipt)
        if award is None:
            return self.refuse("receipt")
        self.balance_neur += self.sales.earned_neur - earned_before
        if self.ticking.phase is Phase.SETTLE or self.sales.tick != self.tick:
            return self._correct(self.sales)
        out = self.resell(award, now_ms) if award.energy_wh else NOTHING
        if self.waiting and not self.sales.open:
            self.deadline_ms = None
        elif out:
            self.expect_receipts(now_ms)
        return out

    def on_deadline(self, now_ms: int) -> Out:
        """Ask again for missing receipts, a few times; then go on without, the books left open."""
        if self._attempts >= ATTEMPTS or not self.sales.open:
            self.deadline_ms = None
            return NOTHING
        self._attempts += 1
        self.deadline_ms = now_ms + self.patience_ms
        return self._reminders(self.sales)

    def open_books(self, sales: Sales) -> list[tuple[str, Message]]:
        """Begin the books of a tick; return reminders for what earlier ticks left open."""
        out: list[tuple[str, Message]] = []
        if self.sales.open:
            self._unsettled[self.sales.tick] = self.sales
        self.sales = sales
        self.deadline_ms = None
        for tick in [*self._unsettled]:
            old = self._unsettled[tick]
            old.reminded += 1
            if old.reminded <= REMEMBERED_TICKS:
                out += self._reminders(old)
                continue
            del self._unsettled[tick]
            old.open.clear()
            old.pending_wh = 0
            out += self._correct(old)
        return out

    def state(self, kind: Literal["turbine", "reactor"], curtailed_wh: int) -> tuple[str, ProducerState]:
        """Return the account of the tick that ends."""
        sales = self.sales
        return "", ProducerState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=self.instruments.measured,
            status="running" if self.power_w else "idle",
            power_w=self.power_w,
            balance_neur=self.balance_neur,
            refused=dict(self.refused),
            kind=kind,
            generated_wh=sales.energy_wh,
            sold_wh=sales.sold_wh,
            curtailed_wh=curtailed_wh,
            unsettled_wh=sales.pending_wh,
            earned_neur=sales.earned_neur,
            faults=self.instruments.faults,
        )

    def _late_receipt(self, sender: str, receipt: Receipt) -> Out:
        sales = self._unsettled.get(receipt.tick)
        if sales is None:
            return self.refuse("stale")
        earned_before = sales.earned_neur
        if sales.receipt(sender, receipt) is None:
            return self.refuse("receipt")
        self.balance_neur += sales.earned_neur - earned_before
        if not sales.open:
            del self._unsettled[receipt.tick]
        return self._correct(sales)

    def _correct(self, sales: Sales) -> list[tuple[str, Message]]:
        return [
            ("", Correction(sales.tick, sales.sold_wh, sales.unsold_wh, sales.pending_wh, sales.earned_neur))
        ]

    @staticmethod
    def _reminders(sales: Sales) -> list[tuple[str, Message]]:
        return [(award.consumer, award.message) for award in sales.open.values()]

    handlers: ClassVar[dict[type[Message], Handler]] = {Tick: Agent.on_tick, Receipt: on_receipt}
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {}
