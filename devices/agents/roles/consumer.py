"""The role of a consumer: it bids for what it needs, and publishes an account of what it has bought and paid."""

from collections.abc import Callable
from typing import Any, ClassVar

from gridfleet.broker.protocol.messages import ConsumerState, Phase, Role
from gridfleet.devices.agents.base import NOTHING, Out, mean_power_w
from gridfleet.devices.agents.roles.buyer import Buyer, BuyingSide


class Consumer(Buyer):
    """Base of consumers: a subclass has a `kind`, and says in `packages_to_bid` what it needs in each tick."""

    role = Role.CONSUMER
    __slots__ = ("buying",)

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
        """`reactor` is the grid supply that it asks for what its cell lacks; None where there is none."""
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.buying = BuyingSide(self, reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh)

    def on_settle_phase(self, _now_ms: int) -> Out:
        """Publish the account of the tick."""
        self.buying.stop_waiting()
        purchases = self.buying.purchases
        if purchases.tick != self.tick:
            return NOTHING
        demand_wh = purchases.demand_wh
        status = "supplied" if purchases.bought_wh == demand_wh else "short"
        state = ConsumerState(
            *self.account(status, mean_power_w(-purchases.bought_wh)),
            demand_wh=demand_wh,
            bought_wh=purchases.bought_wh,
            paid_neur=purchases.paid_neur,
        )
        return [(self.role_name, state)]

    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        Phase.SETTLE: on_settle_phase,
    }
