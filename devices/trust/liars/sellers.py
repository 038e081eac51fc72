"""Lies of producers: energy that is announced and not there, sold and not announced, or sold many times."""

from dataclasses import replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    Correction,
    Message,
    Package,
    Phase,
    ProducerState,
    Receipt,
    Role,
    Supply,
    Surplus,
    Tick,
)
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.devices.agents.base import NOTHING, Out
from gridfleet.devices.market.packages import take_up_to, total_wh
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.liars.lie import Honest, Liar, Lie

HUGE_WH: Final = 10**12
"""10⁹ kWh, the most that a message may contain."""
PRODUCERS: Final = frozenset({Role.PRODUCER})


class Withholder(Liar):
    """Announces its energy and awards none of it; accounts for it as curtailed."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop awards; account for all energy as curtailed."""
        match message:
            case Award() | Correction():
                return NOTHING
            case ProducerState():
                account = replace(
                    message, sold_wh=0, unsettled_wh=0, earned_neur=0, curtailed_wh=message.generated_wh
                )
                return ((scope, account),)
        return ((scope, message),)


class AwardsLate(Liar):
    """Announces its energy, and awards it when the tick is over."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop awards of the present tick; the reminders of the next one are the first that a buyer receives."""
        late = isinstance(message, Award) and message.tick == self.agent.tick
        return NOTHING if late else ((scope, message),)


class Announcer(Withholder):
    """Announces 10⁹ kWh, so that the market counts on it, and awards none of it."""

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Announce, and account for, a supply that no device has."""
        match message:
            case Supply():
                return ((scope, replace(message, energy_wh=HUGE_WH)),)
            case ProducerState():
                message = replace(message, generated_wh=HUGE_WH)
        return super().alter(scope, message, now_ms)


class Reseller(Liar):
    """Base of those that award on their own: keeps the account of it, by the receipts."""

    def __init__(self, agent: Any, random: RandomStream, partner: str) -> None:  # noqa: ANN401 - as `Liar`
        super().__init__(agent, random, partner)
        self._serials: dict[str, int] = {}
        self._tick = -1
        self.sold_wh = 0
        self.earned_neur = 0
        self._balance_neur = 0

    def award(self, consumer: str, tick: int, lots: tuple[Package, ...]) -> Out:
        """Return an award of these lots."""
        self.begin(tick)
        serial = self._serials.get(consumer, 0)
        self._serials[consumer] = serial + 1
        return ((consumer, Award(tick, serial, lots)),)

    def begin(self, tick: int) -> None:
        """Open the account of a tick."""
        if tick != self._tick:
            self._tick, self.sold_wh, self.earned_neur = tick, 0, 0
            self._serials = {}

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Book receipts; the honest agent, whose awards nobody gets, expects none."""
        if not isinstance(message, Receipt):
            return super().receive(scope, sender, message, now_ms, honest)
        if message.tick == self._tick:
            earned = sum(cost_neur(lot.energy_wh, lot.price_ueur_per_kwh) for lot in message.lots)
            self.sold_wh = min(self.sold_wh + total_wh(message.lots), HUGE_WH)
            self.earned_neur += earned
            self._balance_neur += earned
        return NOTHING

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Drop what the honest agent sells; `account` gives what is published in place of its account."""
        match message:
            case Award() | Surplus() | Correction():
                return NOTHING
            case ProducerState():
                return ((scope, replace(self.account(message), balance_neur=self._balance_neur)),)
        return ((scope, message),)

    def account(self, honest: ProducerState) -> ProducerState:
        """Return the account of the tick."""
        raise NotImplementedError


class Thief(Reseller):
    """Announces nothing, and awards every package of its cell as soon as it receives the bid."""

    def receive(self, scope: str, sender: str, message: Message, now_ms: int, honest: Honest) -> Out:
        """Award a bid as a whole before anybody else can."""
        out = super().receive(scope, sender, message, now_ms, honest)
        if isinstance(message, Bid) and message.packages and message.tick >= self.agent.tick:
            return [*self.award(sender, message.tick, message.packages), *out]
        return out

    def alter(self, scope: str, message: Message, now_ms: int) -> Out:
        """Announce nothing."""
        if isinstance(message, Supply):
            return ((scope, replace(message, energy_wh=0)),)
        return super().alter(scope, message, now_ms)

    def account(self, honest: ProducerState) -> ProducerState:
        """Account for what the receipts say, so that the books agree."""
        return replace(
            honest,
            generated_wh=self.sold_wh,
            sold_wh=self.sold_wh,
            earned_neur=self.earned_neur,
            curtailed_wh=0,
            unsettled_wh=0,
        )


class Overseller(Reseller):
    """Announces its energy truly, and sells all of it to every buyer of its cell."""

    def on_phase(self, tick: Tick, now_ms: int) -> Out:
        """Award the whole supply to each bid of the cell."""
        if tick.phase is not Phase.TRADE:
            return NOTHING
        market = self.agent.market
        supply_wh = market.supplies.get(self.agent.id, 0)
        out: list[tuple[str, Message]] = []
        for consumer, packages in sorted(market.bids.items()):
            lots = take_up_to(supply_wh, packages)
            if lots and consumer != self.agent.id:
                out += self.award(consumer, tick.tick, lots)
        return out

    def account(self, honest: ProducerState) -> ProducerState:
        """Account for what it announced, as sold to somebody."""
        sold_wh = min(self.sold_wh, honest.generated_wh)
        return replace(
            honest,
            sold_wh=sold_wh,
            earned_neur=self.earned_neur,
            curtailed_wh=honest.generated_wh - sold_wh,
            unsettled_wh=0,
        )


ANNOUNCE: Final = Lie("announce", PRODUCERS, "announces 10^9 kWh and awards nothing", Announcer)
WITHHOLD: Final = Lie("withhold", PRODUCERS, "announces its energy and awards nothing", Withholder)
AWARD_LATE: Final = Lie("award-late", PRODUCERS, "awards its energy one tick late", AwardsLate)
STEAL: Final = Lie("steal", PRODUCERS, "announces nothing, and awards every bid that it receives", Thief)
OVERSELL: Final = Lie("oversell", PRODUCERS, "sells all that it announces to every buyer", Overseller)
