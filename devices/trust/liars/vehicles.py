"""Lies of vehicles: reservations that are not used, and energy that is not reported."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    Close,
    Decline,
    Heartbeat,
    Lease,
    Message,
    Offer,
    Phase,
    Release,
    Role,
    Tick,
)
from gridfleet.broker.protocol.units import MS_PER_MINUTE
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.physics.battery import drawn_to_fill
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import Honest, Liar, Lie

HOG_WH: Final = 10**9
"""10⁶ kWh, the most that a call may ask for."""
HOG_LIMIT_UEUR: Final = 10_000_000
"""10 EUR/kWh."""
USUAL_LIMIT_UEUR: Final = 1_010_000
"""1.01 EUR/kWh, the limit of an honest vehicle."""
REPORTED_SHARE: Final = 10
"""One tenth of what was drawn is reported."""
VEHICLES: Final = frozenset({Role.VEHICLE})


class _KeepsLeases(Liar):
    """Base of those that keep every lease by heartbeats and never arrive."""

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self.leases: dict[str, int] = {}
        """The call of the lease at each charger."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Keep what is confirmed; the honest agent does not learn of it."""
        match message:
            case Lease():
                self.leases[sender] = message.call
                return NOTHING
            case Decline() if self.leases.get(sender) == message.call:
                del self.leases[sender]
                return NOTHING
        return super().receive(scope, sender, message, now_ms, honest)

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Renew every lease once a tick."""
        if tick.phase is not Phase.IMPORT:
            return NOTHING
        return [
            (charger, Heartbeat(call, now_ms, arrived=False, drawn_wh=0))
            for charger, call in sorted(self.leases.items())
        ]


class Hog(_KeepsLeases):
    """Calls for 10⁶ kWh in every tick, accepts every offer, and never arrives."""

    limit_ueur = HOG_LIMIT_UEUR

    def energy_wh(self) -> int:
        """Return the energy that it calls for, Wh."""
        return HOG_WH

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Accept every offer at once."""
        match message:
            case Offer():
                at = self.agent.search.find(sender)
                return ((at.cell, Accept(message.call, now_ms, sender)),) if at is not None else NOTHING
            case Bill():
                return NOTHING
        return super().receive(scope, sender, message, now_ms, honest)

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop the honest agent's own reservations."""
        own = isinstance(message, Call | Accept | Close | Heartbeat | Release)
        return NOTHING if own else ((scope, message),)

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Call every charger within its rights."""
        if tick.phase is not Phase.BID:
            return super().on_phase(tick, now_ms)
        agent = self.agent
        number, energy_wh = now_ms // MS_PER_MINUTE, self.energy_wh()
        call = Call(number, now_ms, energy_wh, self.limit_ueur, agent.latitude, agent.longitude, 150.0)
        return [(cell, call) for cell in agent.search.cells]


class ReservesEverywhere(Hog):
    """Calls for what its battery holds, at a usual price, accepts every offer, and never arrives."""

    limit_ueur = USUAL_LIMIT_UEUR

    def energy_wh(self) -> int:
        """Return what fills its battery when it is empty."""
        return drawn_to_fill(self.agent.trip.model.capacity_wh)


class NoShow(_KeepsLeases):
    """Reserves as an honest vehicle does, at one charger after the other, and arrives at none."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Cancel nothing."""
        return NOTHING if isinstance(message, Release) else ((scope, message),)


class UnderReporter(Liar):
    """Reports a tenth of the energy that it draws, to chargers without a meter."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Divide the reading."""
        if isinstance(message, Heartbeat | Release):
            return ((scope, replace(message, drawn_wh=message.drawn_wh // REPORTED_SHARE)),)
        return ((scope, message),)


HOG: Final = Lie("hog", VEHICLES, "calls for 10^6 kWh, accepts every offer and never arrives", Hog)
RESERVE_EVERYWHERE: Final = Lie(
    "reserve-everywhere",
    VEHICLES,
    "calls for what its battery holds, accepts every offer and never arrives",
    ReservesEverywhere,
)
NO_SHOW: Final = Lie(
    "no-show", VEHICLES, "reserves at one charger after the other and arrives at none", NoShow
)
UNDER_REPORT: Final = Lie(
    "under-report", VEHICLES, "reports a tenth of the energy that it draws", UnderReporter
)
