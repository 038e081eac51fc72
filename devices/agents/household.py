"""A household, shop or farm: bids for the energy of its load profile at one fixed, high price, to be served first."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from gridfleet.broker.protocol.messages import ConsumerState, Kind, Package, Phase
from gridfleet.devices.agents.base import NOTHING, Out, mean_power_w
from gridfleet.devices.agents.buyer import Buyer, BuyingSide
from gridfleet.devices.market.packages import split_into_packages


class Load(Protocol):
    """A source of a consumer's demand: a load profile or a meter."""

    def energy_wh(self, simulated_ms: int, annual_kwh: float) -> int:
        """Return the energy in Wh of the quarter hour that begins at this time."""


class Household(Buyer):
    """A consumer whose demand does not depend on the price."""

    kind = Kind.CONSUMER
    __slots__ = ("_annual_kwh", "_load", "_package_wh", "_price", "buying")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        load: Load,
        annual_kwh: float,
        package_wh: int,
        price_ueur_per_kwh: int,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        label: str = "",
    ) -> None:
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.buying = BuyingSide(self, reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh)
        self._load = load
        self._annual_kwh = annual_kwh
        self._package_wh = package_wh
        self._price = price_ueur_per_kwh

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Return packages for the load of the coming quarter hour."""
        energy_wh = self._load.energy_wh(self.tick_ms, self._annual_kwh)
        scaled_wh = round(energy_wh * self.tick_message.settings.consumer_scale)
        return split_into_packages(scaled_wh, self._package_wh, self._price)

    def on_settle_phase(self, _now_ms: int) -> Out:
        """Publish the account of the tick."""
        self.buying.stop_waiting()
        purchases = self.buying.purchases
        if purchases.tick != self.tick:
            return NOTHING
        demand_wh = purchases.demand_wh
        state = ConsumerState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=False,
            status="supplied" if purchases.bought_wh == demand_wh else "short",
            power_w=mean_power_w(-purchases.bought_wh),
            balance_neur=self.balance_neur,
            refused=self.refused,
            kind="consumer",
            demand_wh=demand_wh,
            bought_wh=purchases.bought_wh,
            paid_neur=purchases.paid_neur,
        )
        return [("", state)]

    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        Phase.SETTLE: on_settle_phase,
    }
