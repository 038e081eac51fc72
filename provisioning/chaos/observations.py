"""What was heard of a site, kept as evidence: every account, correction, bid, award and receipt, with its tick.

The auditor judges tick by tick and lets go of what is old. A drill asks instead what has come of each tick in
the end and by when, even of those in which nobody heard anything; so all of it is kept, for the minutes that a
drill takes.
"""

from dataclasses import dataclass

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ChargerState,
    ConsumerState,
    Correction,
    Message,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    State,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.market.aggregate import AwardKey, MarketAggregate


@dataclass(slots=True)
class Account:
    """A device's account of one tick, with later corrections, and in which tick of the site it was heard last."""

    heard: int
    sold_wh: int = 0
    unsettled_wh: int = 0
    bought_wh: int = 0
    earned_neur: int = 0
    paid_neur: int = 0
    balance_neur: int | None = None
    corrected: bool = False


class Observations:
    """Call `tap` with every message."""

    def __init__(self) -> None:
        self.tick = -1
        """The tick of the site."""
        self.ticks: list[Tick] = []
        """Every phase that was begun, in the order heard."""
        self.accounts: dict[int, dict[str, Account]] = {}
        self.markets: dict[int, MarketAggregate] = {}
        """Each tick's bids, awards and receipts."""
        self.awarded: dict[tuple[int, AwardKey], int] = {}
        """In which tick of the site an award of a tick was received first."""
        self.alive: set[str] = set()
        self.births: dict[str, int] = {}
        """How often each device said that it lives."""
        self.contradictions: list[str] = []
        """Receipts of which two different ones were heard."""
        self.gaps: set[int] = set()
        """Ticks of which something may not have been heard."""
        self._gap_since: int | None = None

    def tap(self, _simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Hear a message."""
        match message:
            case Tick() if sender == CLOCK_ID:
                self._on_tick(message)
            case Presence():
                self._on_presence(sender, message)
            case Bid():
                self.market(message.tick).add(scope, sender, message)
            case Award():
                self.market(message.tick).add(scope, sender, message)
                self.awarded.setdefault((message.tick, (sender, scope, message.serial)), self.tick)
            case Receipt():
                self._on_receipt(scope, sender, message)
            case ProducerState() | ConsumerState() | ChargerState() | VehicleState():
                self._on_account(sender, message)
            case Correction():
                self._on_correction(sender, message)
            case _:
                pass

    def market(self, tick: int) -> MarketAggregate:
        """Return the market of a tick as far as it was received."""
        market = self.markets.get(tick)
        if market is None:
            market = self.markets[tick] = MarketAggregate(tick)
        return market

    def missed(self) -> None:
        """The connection was lost and is back: what was said in between may be missing."""
        if self._gap_since is None:
            self._gap_since = self.tick

    @property
    def phase(self) -> Phase:
        """The phase that the site is in."""
        return self.ticks[-1].phase

    def _on_tick(self, tick: Tick) -> None:
        last = self.ticks[-1] if self.ticks else None
        if last is None or (tick.epoch, tick.simulated_ms) != (last.epoch, last.simulated_ms):
            self.ticks.append(tick)
        self.tick = tick.tick
        if self._gap_since is not None and tick.tick >= self._gap_since:
            self.gaps.update(range(self._gap_since - 1, tick.tick + 1))
            self._gap_since = None

    def _on_presence(self, sender: str, presence: Presence) -> None:
        if presence.online:
            self.alive.add(sender)
            self.births[sender] = self.births.get(sender, 0) + 1
        else:
            self.alive.discard(sender)

    def _on_receipt(self, producer: str, consumer: str, receipt: Receipt) -> None:
        market = self.market(receipt.tick)
        market.add(producer, consumer, receipt)
        if market.receipts[producer, consumer, receipt.serial] != receipt.lots:
            self.contradictions.append(
                f"tick {receipt.tick}: {consumer} receipts {producer}/{receipt.serial} in two ways"
            )

    def _on_account(self, sender: str, state: State) -> None:
        account = self._account(state.tick, sender)
        account.balance_neur = state.balance_neur
        if isinstance(state, ConsumerState | ChargerState):
            account.bought_wh, account.paid_neur = state.bought_wh, state.paid_neur
        elif isinstance(state, ProducerState) and not account.corrected:
            account.sold_wh, account.unsettled_wh = state.sold_wh, state.unsettled_wh
            account.earned_neur = state.earned_neur

    def _on_correction(self, sender: str, correction: Correction) -> None:
        account = self._account(correction.tick, sender)
        account.corrected = True
        account.sold_wh, account.unsettled_wh = correction.sold_wh, correction.unsettled_wh
        account.earned_neur = correction.earned_neur

    def _account(self, tick: int, sender: str) -> Account:
        account = self.accounts.setdefault(tick, {}).setdefault(sender, Account(self.tick))
        account.heard = self.tick
        return account
