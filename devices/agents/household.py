"""A household, shop or farm: its load profile, always bid at the highest price, so that it is served first."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from gridfleet.broker.protocol.messages import ConsumerState, Kind, Package, Phase
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Out
from gridfleet.devices.agents.buyer import Buyer
from gridfleet.devices.market.clearing import packages_of


class Load(Protocol):
    """Where a consumer's demand comes from: a load profile or a meter."""

    def energy_wh(self, simulated_ms: int, annual_kwh: float) -> int:
        """Return the energy of the quarter hour that begins then, Wh."""


class Household(Buyer):
    """A consumer that needs what it needs."""

    kind = Kind.CONSUMER
    __slots__ = ("_annual_kwh", "_load", "_package_wh", "_price")

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
        super().__init__(
            agent_id, cell, latitude, longitude,
            reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh, label=label,
        )  # fmt: skip
        self._load = load
        self._annual_kwh = annual_kwh
        self._package_wh = package_wh
        self._price = price_ueur_per_kwh

    def wanted(self) -> tuple[Package, ...]:
        """Bid for the load of the coming quarter hour."""
        energy_wh = self._load.energy_wh(self.tick_ms, self._annual_kwh)
        return packages_of(
            round(energy_wh * self.ticking.settings.consumer_scale), self._package_wh, self._price
        )

    def _settle(self, _now_ms: int) -> Out:
        self.deadline_ms = None
        books = self.purchases
        if books.tick != self.tick:
            return ()
        demand_wh = books.demand_wh
        state = ConsumerState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=False,
            status="supplied" if books.bought_wh == demand_wh else "short",
            power_w=-books.bought_wh * 3_600_000 // TICK_MS,
            balance_neur=self.balance_neur,
            refused=dict(self.refused),
            kind="consumer",
            demand_wh=demand_wh,
            bought_wh=books.bought_wh,
            paid_neur=books.paid_neur,
        )
        return [("", state)]

    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {**Buyer.phases, Phase.SETTLE: _settle}
