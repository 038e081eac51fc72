"""Lies about accounts: figures that cannot be, none at all, and those of another role."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ClockState,
    ConsumerState,
    Correction,
    Message,
    Phase,
    ProducerState,
    Role,
    State,
    StorageState,
    Tick,
    VehicleState,
)
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.trust.liars.lie import ALL_ROLES, Liar, Lie

HUGE_WH: Final = 10**12
HUGE_W: Final = 10**12
HUGE_NEUR: Final = 10**18
"""10⁹ EUR."""
SELLERS: Final = frozenset({Role.PRODUCER, Role.GRID_SUPPLY})


class FalseAccount(Liar):
    """Publishes an account with figures that no device can have."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Put 10⁹ kWh into the account."""
        return ((scope, _impossible(message)),)


def _impossible(message: Message) -> Message:
    """Return an account with 10⁹ kWh and 10⁹ EUR in it; any other message as it is."""
    match message:
        case ProducerState():
            return replace(
                message,
                power_w=HUGE_W,
                generated_wh=HUGE_WH,
                sold_wh=HUGE_WH,
                curtailed_wh=0,
                unsettled_wh=0,
                earned_neur=HUGE_NEUR,
            )
        case StorageState():
            return replace(message, sold_wh=HUGE_WH, announced_wh=HUGE_WH, earned_neur=HUGE_NEUR)
        case ConsumerState():
            return replace(message, power_w=-HUGE_W, demand_wh=HUGE_WH, bought_wh=HUGE_WH)
        case ChargerState():
            return replace(
                message, delivered_wh=HUGE_WH, earned_neur=HUGE_NEUR, stored_wh=HUGE_WH, ports_reserved=10**6
            )
        case VehicleState():
            return replace(message, drawn_wh=HUGE_WH, stored_wh=HUGE_WH, paid_neur=HUGE_NEUR)
    return message


class SilentAccount(Liar):
    """Takes part in the market and publishes no account."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop accounts and corrections."""
        return NOTHING if isinstance(message, State | Correction) else ((scope, message),)


class ForeignAccount(Liar):
    """Publishes a producer's account of 10⁹ kWh beside its own."""

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Publish it under the producers' topic, and under its own."""
        if tick.phase is not Phase.SETTLE:
            return NOTHING
        agent = self.agent
        fields: list[Any] = [*agent.account("running", HUGE_W)[:-1], "producer", HUGE_WH, 0, HUGE_WH, 0, 0]
        account = ProducerState(*fields)
        return (("producer", account), (agent.role_name, account))


class FalseClock(Liar):
    """Publishes that the run has ended, and a tick of its own, as only the clock may."""

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Publish the clock's end of the run under its topic and under the own one, and a tick far ahead."""
        if tick.phase is not Phase.BID:
            return NOTHING
        agent = self.agent
        pace = tick.mode, False, tick.seconds_per_tick, tick.tick + 1
        fields = [*agent.account("finished", 0)[:-1], "clock", *pace, tick.settings, tick.revision]
        state = ClockState(*fields)
        ahead = replace(tick, tick=tick.tick + 1, epoch=tick.epoch + 1)
        return (("clock", state), (agent.role_name, state), ("", ahead))


FALSE_ACCOUNT: Final = Lie("false-account", ALL_ROLES, "publishes an account of 10^9 kWh", FalseAccount)
SILENT_ACCOUNT: Final = Lie("silent-account", ALL_ROLES, "publishes no account", SilentAccount)
FOREIGN_ACCOUNT: Final = Lie(
    "foreign-account", ALL_ROLES - SELLERS, "publishes a producer's account of 10^9 kWh", ForeignAccount
)
FALSE_CLOCK: Final = Lie("false-clock", ALL_ROLES, "publishes the end of the run as the clock", FalseClock)
