"""A battery on the grid: buys cheap energy that is left over, and sells it when its cell was short of energy."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from gridfleet.broker.protocol.messages import Package, Phase
from gridfleet.devices.agents.base import Out
from gridfleet.devices.agents.instruments import SIMULATED, Instruments
from gridfleet.devices.agents.roles.storage import Storage
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.market.packages import split_into_packages


class Battery(Storage):
    """One battery. It decides by what its cell's market was short of in the tick before.

    Bids at its selling price or above that the cell's generation could not serve are a shortage: it offers that much.
    Without one it bids at its buying price.
    """

    kind = "battery"
    __slots__ = ("_buying_price", "_max_wh_per_tick", "_package_wh", "_selling_price", "_shortage_wh")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        capacity_wh: int,
        stored_wh: int,
        max_wh_per_tick: int,
        package_wh: int,
        buying_price_ueur_per_kwh: int,
        selling_price_ueur_per_kwh: int,
        roster: Roster,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        neighbours: Sequence[str] = (),
        label: str = "",
        instruments: Instruments = SIMULATED,
    ) -> None:
        """`max_wh_per_tick` limits what it buys or sells in a tick; the others as in `Storage`."""
        super().__init__(
            agent_id,
            cell,
            latitude,
            longitude,
            capacity_wh=capacity_wh,
            stored_wh=stored_wh,
            roster=roster,
            reactor=reactor,
            reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh,
            neighbours=neighbours,
            label=label,
            instruments=instruments,
        )
        self._max_wh_per_tick = max_wh_per_tick
        self._package_wh = package_wh
        self._buying_price = buying_price_ueur_per_kwh
        self._selling_price = selling_price_ueur_per_kwh
        self._shortage_wh = 0

    def on_new_run(self) -> None:
        """Forget the ticks of an earlier run of the clock."""
        super().on_new_run()
        self._shortage_wh = 0

    def energy_to_sell(self) -> int:
        """Return what the cell was short of in the tick before, up to its power, Wh."""
        return min(self._shortage_wh, self._max_wh_per_tick)

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Return packages that fill it, up to its power, at its buying price."""
        return split_into_packages(
            min(self.room_wh, self._max_wh_per_tick), self._package_wh, self._buying_price
        )

    def on_settle_phase(self, now_ms: int) -> Out:
        """Note what the cell was short of without its storages; then publish the account."""
        market = self.market
        if market.tick == self.tick:
            wanted_wh = sum(
                package.energy_wh
                for packages in market.bids.values()
                for package in packages
                if package.price_ueur_per_kwh >= self._selling_price
            )
            generated_wh = sum(
                energy_wh
                for name, energy_wh in market.supplies.items()
                if name != self.id and name not in self.roster.storages
            )
            self._shortage_wh = max(wanted_wh - generated_wh, 0)
        return super().on_settle_phase(now_ms)

    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Storage.phases,
        Phase.SETTLE: on_settle_phase,
    }
