"""The external reactor: sells to every consumer that bids at least its price, and is asked last."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import Message, Packages, Phase, Request, Role
from gridfleet.devices.agents.base import NOTHING, Handler, Out, Prices, mean_power_w
from gridfleet.devices.agents.instruments import SIMULATED
from gridfleet.devices.agents.roles.seller import Seller, SellingSide

MAX_WH: Final = 10**11
"""It sells at most 100 GWh in a tick; a request beyond that is refused."""


class Reactor(Seller):
    """Answers each request with one award, at the prices of the clearing rule."""

    role = Role.GRID_SUPPLY
    kind = "reactor"
    __slots__ = ("_prices", "_served", "instruments", "power_w", "price_ueur_per_kwh", "selling")

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
        self.selling = SellingSide(self)
        self.instruments = SIMULATED
        self.power_w = 0
        self.price_ueur_per_kwh = price_ueur_per_kwh
        self._prices: Prices | None = None
        self._served: set[str] = set()

    def follow_prices(self, prices: Prices) -> None:
        """Sell at prices that change over time."""
        self._prices = prices

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        return [*super().subscriptions(), ("request", self.id)]

    def on_bid_phase(self, _now_ms: int) -> Out:
        """Open the account of the tick."""
        self._served = set()
        if self._prices is not None:
            self.price_ueur_per_kwh = self._prices.at(self.tick_ms)
        return self.selling.open_account(0)

    def on_request(self, _scope: str, sender: str, request: Request, _now_ms: int) -> Out:
        """Award every package that bids enough; a repeated request gets the same award again."""
        sales = self.selling.sales
        if request.tick != self.tick or sales.tick != self.tick or self.tick_message.phase is Phase.SETTLE:
            return self.refuse("stale")
        if sender in self._served:
            award = sales.open_awards.get((sender, 0))
            return [(sender, award.message)] if award is not None else self.refuse("duplicate")
        packages = self.believed_packages(sender, request.packages, "request beyond limits")
        lots = tuple(p for p in packages if p.price_ueur_per_kwh >= self.price_ueur_per_kwh)
        if not lots:
            return self.refuse("price") if packages else NOTHING
        lots = self.selling.price_imports(lots, self.price_ueur_per_kwh)
        if not lots:
            return NOTHING
        energy_wh = sum(lot.energy_wh for lot in lots)
        if sales.energy_wh + energy_wh > MAX_WH:
            return self.refuse("greedy")
        sales.energy_wh += energy_wh
        message = sales.award(sender, self.id, lots)
        self._served.add(sender)
        return [(sender, message)]

    def believed_packages(self, buyer: str, packages: Packages, lie: str) -> Packages:
        """Return what a buyer asks for; nothing from who is passed over, besides what every seller refuses."""
        if buyer in self.selling.passed_over:
            self.refuse("avoided")
            return ()
        return super().believed_packages(buyer, packages, lie)

    def on_settle_phase(self, _now_ms: int) -> Out:
        """Publish the account. Refused energy counts as not generated; energy without a receipt counts as generated."""
        sales = self.selling.sales
        if sales.tick != self.tick:
            return NOTHING
        sales.energy_wh -= sales.unsold_wh
        self.power_w = mean_power_w(sales.energy_wh)
        return [self.producer_state(0)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **Seller.handlers,
        Request: on_request,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: on_bid_phase,
        Phase.SETTLE: on_settle_phase,
    }
