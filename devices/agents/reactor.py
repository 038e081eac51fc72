"""The external reactor: sells without limit to whoever bids at least its price, and is asked last."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import Kind, Message, Phase, Receipt, Request, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Agent, Handler, Out
from gridfleet.devices.agents.seller import Seller
from gridfleet.devices.market.clearing import Sales

MOST_WH: Final = 10**11
"""100 GWh in a quarter of an hour is more than the whole of Europe draws: whoever asks for that is not served."""


class Reactor(Seller):
    """Answers each request with one award, at the price bid."""

    kind = Kind.REACTOR
    __slots__ = ("_asked", "price_ueur_per_kwh")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        price_ueur_per_kwh: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.price_ueur_per_kwh = price_ueur_per_kwh
        self._asked: set[str] = set()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        return [*super().subscriptions(), ("request", self.id)]

    def _process(self, _now_ms: int) -> Out:
        self._asked = set()
        return self.open_books(Sales(self.tick))

    def _on_request(self, _scope: str, sender: str, request: Request, _now_ms: int) -> Out:
        """Serve every package that bids enough; a repeated request is reminded of its award."""
        if request.tick != self.tick or self.sales.tick != self.tick or self.ticking.phase is Phase.SETTLE:
            return self.refuse("stale")
        if sender in self._asked:
            award = self.sales.open.get((sender, 0))
            return [(sender, award.message)] if award is not None else self.refuse("duplicate")
        lots = tuple(p for p in request.packages if p.price_ueur_per_kwh >= self.price_ueur_per_kwh)
        if not lots:
            return self.refuse("price")
        energy_wh = sum(lot.energy_wh for lot in lots)
        if self.sales.energy_wh + energy_wh > MOST_WH:
            return self.refuse("greedy")
        self.sales.energy_wh += energy_wh
        message = self.sales.award(sender, self.id, lots)
        self._asked.add(sender)
        return [(sender, message)]

    def _settle(self, _now_ms: int) -> Out:
        """Book as generated only what was taken or may still be: a reactor does not run for refused energy."""
        if self.sales.tick != self.tick:
            return ()
        self.sales.energy_wh -= self.sales.unsold_wh
        self.power_w = self.sales.energy_wh * 3_600_000 // TICK_MS
        return [self.state("reactor", 0)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Receipt: Seller.on_receipt,
        Request: _on_request,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: _process,
        Phase.SETTLE: _settle,
    }
