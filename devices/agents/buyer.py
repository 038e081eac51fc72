"""What household and charger share: one bid for the tick, receipts for awards, and what is left asked elsewhere."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Message,
    Package,
    Phase,
    Receipt,
    Request,
    Residual,
    Tick,
)
from gridfleet.devices.agents.base import ATTEMPTS, NOTHING, Agent, Handler, Out
from gridfleet.devices.market.clearing import Purchases
from gridfleet.devices.market.receipts import GivenReceipts

MOST_AWARDS: Final = 64
"""One producer's awards to one consumer in one tick; an honest one needs two or three."""


class Buyer(Agent):
    """An agent that bids for energy; `bought` is the hook by which it takes delivery."""

    __slots__ = ("_attempts", "_given", "_reactor", "_reactor_price", "purchases")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, label)
        self._reactor = reactor
        self._reactor_price = reactor_price_ueur_per_kwh
        self._given = GivenReceipts()
        self._attempts = 0
        self.purchases = Purchases(-1)

    def start_books(self) -> None:
        """Forget what was bought under other tick numbers."""
        self.purchases = Purchases(-1)
        self._given = GivenReceipts()
        self.deadline_ms = None

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        return [("award", self.id)]

    def wanted(self) -> tuple[Package, ...]:
        """Return the packages to bid for in this tick, indexed from 0."""
        raise NotImplementedError

    def bought(self, energy_wh: int) -> None:
        """Take delivery of energy."""

    def _process(self, _now_ms: int) -> Out:
        self._given.keep(self.purchases)
        self.deadline_ms = None
        packages = self.wanted()
        self.purchases = Purchases(self.tick, packages)
        return [(self.cell, Bid(self.tick, packages))]

    def _on_award(self, _scope: str, sender: str, award: Award, _now_ms: int) -> Out:
        """Give a receipt: for this tick by the books, for an earlier one from memory, else for nothing."""
        books = self.purchases
        if award.tick > books.tick:
            return self.refuse("early")
        if award.serial >= MOST_AWARDS:
            return self.refuse("flood")
        if award.tick < books.tick:
            return self._again(sender, award, self._given.again(sender, award))
        if books.tick != self.tick or self.ticking.phase is Phase.SETTLE:
            return self._again(sender, award, books.receipts.get((sender, award.serial)))
        before_wh, before_neur = self.purchases.bought_wh, self.purchases.paid_neur
        receipt = self.purchases.take(sender, award)
        self.balance_neur -= self.purchases.paid_neur - before_neur
        self.bought(self.purchases.bought_wh - before_wh)
        if sender == self._reactor:
            self.deadline_ms = None
        return [(sender, receipt)]

    def _again(self, sender: str, award: Award, receipt: Receipt | None) -> Out:
        """Repeat a receipt after the books are closed; what they do not know is refused as a whole."""
        if receipt is None:
            self.refuse("stale")
            receipt = Receipt(award.tick, award.serial, ())
        return [(sender, receipt)]

    def _residual(self, _now_ms: int) -> Out:
        packages = self.purchases.remaining() if self.purchases.tick == self.tick else ()
        return [(self.cell, Residual(self.tick, packages))] if packages else NOTHING

    def _import(self, now_ms: int) -> Out:
        if self._reactor is None or self.purchases.tick != self.tick:
            return NOTHING
        packages = self.purchases.remaining(self._reactor_price)
        if not packages:
            return NOTHING
        self._attempts = 1
        self.deadline_ms = now_ms + self.patience_ms
        return [(self._reactor, Request(self.tick, packages))]

    def on_deadline(self, now_ms: int) -> Out:
        """Ask the reactor again, a few times."""
        packages = self.purchases.remaining(self._reactor_price)
        if self._attempts >= ATTEMPTS or self._reactor is None or not packages:
            self.deadline_ms = None
            return NOTHING
        self._attempts += 1
        self.deadline_ms = now_ms + self.patience_ms
        return [(self._reactor, Request(self.tick, packages))]

    handlers: ClassVar[dict[type[Message], Handler]] = {Tick: Agent.on_tick, Award: _on_award}
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: _process,
        Phase.RESIDUAL: _residual,
        Phase.IMPORT: _import,
    }
