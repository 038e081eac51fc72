"""A household, shop or farm: bids for the energy of its load profile at one fixed, high price, to be served first."""

from typing import Protocol

from gridfleet.broker.protocol.messages import Package
from gridfleet.devices.agents.roles.consumer import Consumer
from gridfleet.devices.market.packages import split_into_packages


class Load(Protocol):
    """A source of a consumer's demand: a load profile or a meter."""

    def energy_wh(self, simulated_ms: int, annual_kwh: float) -> int:
        """Return the energy in Wh of the quarter hour that begins at this time."""


class Household(Consumer):
    """A consumer whose demand does not depend on the price."""

    kind = "consumer"
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
            agent_id,
            cell,
            latitude,
            longitude,
            reactor=reactor,
            reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh,
            label=label,
        )
        self._load = load
        self._annual_kwh = annual_kwh
        self._package_wh = package_wh
        self._price = price_ueur_per_kwh

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Return packages for the load of the coming quarter hour."""
        energy_wh = self._load.energy_wh(self.tick_ms, self._annual_kwh)
        scaled_wh = round(energy_wh * self.tick_message.settings.consumer_scale)
        return split_into_packages(scaled_wh, self._package_wh, self._price)
