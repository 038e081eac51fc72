"""Records all messages of a site during an experiment: accounts, corrections, bids, awards and receipts by tick.

The auditor checks tick by tick and drops old ones. An experiment asks for the final state of every tick and when it was
reached, even of ticks during a fault; so everything is kept for the minutes that it takes.
"""

from dataclasses import dataclass
from typing import NamedTuple

from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    BuyerState,
    ChargerState,
    ConsumerState,
    Correction,
    Message,
    Presence,
    ProducerState,
    Receipt,
    SellerState,
    State,
    StorageState,
    Suspension,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import CLOCK_ID, RECORDER_ID
from gridfleet.dashboards.market.aggregate import AwardKey, MarketAggregate


@dataclass(slots=True)
class Account:
    """A device's account of one tick with its corrections."""

    received_tick: int
    """The tick of the site in which the account or a correction was received last."""
    sold_wh: int = 0
    unsettled_wh: int = 0
    bought_wh: int = 0
    earned_neur: int = 0
    paid_neur: int = 0
    balance_neur: int | None = None
    corrected: bool = False


class Named(NamedTuple):
    """A device that the auditor has named as a liar."""

    tick: int
    """The tick of the site in which it was published."""
    suspension: Suspension


class Observations:
    """What was observed so far; `receive` takes every message."""

    def __init__(self) -> None:
        self.tick = -1
        """The current tick of the site."""
        self.ticks: list[Tick] = []
        """The tick messages, one for each phase, in order of arrival."""
        self.accounts: dict[int, dict[str, Account]] = {}
        self.markets: dict[int, MarketAggregate] = {}
        """Each tick's bids, awards and receipts."""
        self.awarded: dict[tuple[int, AwardKey], int] = {}
        """In which tick of the site an award of a tick was received first."""
        self.online: set[str] = set()
        """Ids of the devices whose last presence message is a birth."""
        self.births: dict[str, int] = {}
        """Number of birth messages of each device."""
        self.contradictions: list[str] = []
        """Receipts that exist in two versions, as text."""
        self.gaps: set[int] = set()
        """Ticks of which messages may be missing."""
        self.named: dict[str, Named] = {}
        """Whom the auditor has named, by device."""
        self._gap_since: int | None = None

    def receive(self, _simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Record a message."""
        match message:
            case Tick() if sender == CLOCK_ID:
                self._on_tick(message)
            case Presence():
                self._on_presence(sender, message)
            case Suspension() if sender == RECORDER_ID:
                self.named.setdefault(scope, Named(self.tick, message))
            case Bid():
                self.market(message.tick).add(scope, sender, message)
            case Award():
                self.market(message.tick).add(scope, sender, message)
                self.awarded.setdefault((message.tick, (sender, scope, message.serial)), self.tick)
            case Receipt():
                self._on_receipt(scope, sender, message)
            case ProducerState() | ConsumerState() | StorageState() | ChargerState() | VehicleState():
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

    def note_gap(self) -> None:
        """Note that the listener was disconnected: messages since then may be missing."""
        if self._gap_since is None:
            self._gap_since = self.tick

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
            self.online.add(sender)
            self.births[sender] = self.births.get(sender, 0) + 1
        else:
            self.online.discard(sender)

    def _on_receipt(self, producer: str, consumer: str, receipt: Receipt) -> None:
        market = self.market(receipt.tick)
        market.add(producer, consumer, receipt)
        if market.receipts[producer, consumer, receipt.serial] != receipt.lots:
            self.contradictions.append(
                f"tick {receipt.tick}: {consumer} published two different receipts for {producer}/{receipt.serial}"
            )

    def _on_account(self, sender: str, state: State) -> None:
        account = self._account(state.tick, sender)
        account.balance_neur = state.balance_neur
        if isinstance(state, BuyerState):
            account.bought_wh, account.paid_neur = state.bought_wh, state.paid_neur
        if isinstance(state, SellerState) and not account.corrected:
            account.sold_wh, account.unsettled_wh = state.sold_wh, state.unsettled_wh
            account.earned_neur = state.earned_neur

    def _on_correction(self, sender: str, correction: Correction) -> None:
        account = self._account(correction.tick, sender)
        account.corrected = True
        account.sold_wh, account.unsettled_wh = correction.sold_wh, correction.unsettled_wh
        account.earned_neur = correction.earned_neur

    def _account(self, tick: int, sender: str) -> Account:
        account = self.accounts.setdefault(tick, {}).setdefault(sender, Account(self.tick))
        account.received_tick = self.tick
        return account
