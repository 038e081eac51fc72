"""The role of a storage: it buys energy in some ticks, sells it in others, and loses a part both ways.

It takes part in its cell's market twice: as a consumer that bids, and as a producer that announces a supply and clears
the market like every other. In one tick it does only one of both, so that it never sells to itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from gridfleet.broker.protocol.messages import Message, Phase, Role, StorageState, Supply
from gridfleet.devices.agents.base import NOTHING, Handler, Out, mean_power_w
from gridfleet.devices.agents.instruments import SIMULATED, Instruments
from gridfleet.devices.agents.roles.buyer import Buyer, BuyingSide
from gridfleet.devices.agents.roles.producer import Producer
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.physics.battery import deliverable, drawn_to_fill, stored_from, taken_for


class Storage(Producer, Buyer):
    """Base of storages: a subclass has a `kind`, and decides in `energy_to_sell` and `packages_to_bid`.

    The losses are those of `physics.battery`: 90 % of what is bought is stored, 94 % of what is taken out is sold.
    """

    role = Role.STORAGE
    __slots__ = ("_charge_loss_wh", "buying", "capacity_wh", "stored_wh")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        capacity_wh: int,
        stored_wh: int,
        roster: Roster,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        neighbours: Sequence[str] = (),
        label: str = "",
        instruments: Instruments = SIMULATED,
    ) -> None:
        """`capacity_wh` is the most that it stores, `stored_wh` what it stores at the start; the rest as its bases."""
        super().__init__(
            agent_id,
            cell,
            latitude,
            longitude,
            roster=roster,
            neighbours=neighbours,
            label=label,
            instruments=instruments,
        )
        self.buying = BuyingSide(self, reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh)
        self.capacity_wh = capacity_wh
        self.stored_wh = stored_wh
        self._charge_loss_wh = 0

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        return [*dict.fromkeys(super().subscriptions())]  # both of its sides listen to supplies

    def restore_from(self, previous: Self) -> None:
        """Take over what a restart without memory does not change: also the stored energy."""
        super().restore_from(previous)
        self.stored_wh = previous.stored_wh

    @property
    def deliverable_wh(self) -> int:
        """The most that it can sell now, after losses, Wh."""
        return deliverable(self.stored_wh)

    @property
    def room_wh(self) -> int:
        """The most that it can buy now, before losses, Wh."""
        return drawn_to_fill(self.capacity_wh - self.stored_wh)

    def energy_to_sell(self) -> int:
        """Return the energy that it offers in this tick, at most `deliverable_wh`; 0 to buy instead, Wh."""
        raise NotImplementedError

    def generate(self) -> int:
        """Return the energy that it offers in this tick, Wh."""
        return min(max(self.energy_to_sell(), 0), self.deliverable_wh)

    def take_delivery(self, energy_wh: int) -> None:
        """Store what was bought, less the loss of the tick's total, so that the number of awards plays no part."""
        total_wh = self.buying.purchases.bought_wh
        gained_wh = stored_from(total_wh) - stored_from(total_wh - energy_wh)
        self.stored_wh += gained_wh
        self._charge_loss_wh += energy_wh - gained_wh

    def on_bid_phase(self, now_ms: int) -> Out:
        """Announce a supply, and bid where it is nothing."""
        self._charge_loss_wh = 0
        out = super().on_bid_phase(now_ms)
        packages = () if self.selling.sales.energy_wh else self.packages_to_bid()
        self.market.bids[self.id] = packages
        return [*out, *self.buying.bid(packages)]

    def on_settle_phase(self, now_ms: int) -> Out:
        """Publish the account of the tick: energy of an award without a receipt has left the battery, too."""
        self.buying.stop_waiting()
        super().on_settle_phase(now_ms)
        sales, purchases = self.selling.sales, self.buying.purchases
        if sales.tick != self.tick or purchases.tick != self.tick:
            return NOTHING
        fed_in_wh = sales.sold_wh + sales.pending_wh
        taken_wh = taken_for(fed_in_wh)
        self.stored_wh -= taken_wh
        self.power_w = mean_power_w(fed_in_wh - purchases.bought_wh)
        status = "discharging" if fed_in_wh else "charging" if purchases.bought_wh else "idle"
        state = StorageState(
            *self.account(status, self.power_w, measured=self.instruments.measured),
            demand_wh=purchases.demand_wh,
            bought_wh=purchases.bought_wh,
            paid_neur=purchases.paid_neur,
            announced_wh=sales.energy_wh,
            sold_wh=sales.sold_wh,
            unsettled_wh=sales.pending_wh,
            earned_neur=sales.earned_neur,
            stored_wh=self.stored_wh,
            capacity_wh=self.capacity_wh,
            charge_loss_wh=self._charge_loss_wh,
            discharge_loss_wh=taken_wh - fed_in_wh,
            faults=self.faults,
        )
        return [(self.role_name, state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **Producer.handlers,
        **Buyer.handlers,
        Supply: Producer.on_supply,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        **Producer.phases,
        Phase.BID: on_bid_phase,
        Phase.SETTLE: on_settle_phase,
    }
