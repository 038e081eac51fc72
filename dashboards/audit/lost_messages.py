"""Trades of a tick of which a message was not received, although both sides account for them.

The recorder may miss a message that its receiver got: it was published without acknowledgement, or the broker lost it
for the recorder alone. Then seller and buyer state in their accounts what the recorder has no message of. One device
cannot pretend that: the account of the other side would not agree.

And messages that it receives before their tick: a broker that restarts may send newer messages before older ones. They
wait for it, so that neither their sender nor who has answered them looks like a liar.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import BuyerState, Message, Package, ProducerState, StorageState
from gridfleet.dashboards.audit.window import TickWindow

_Award = tuple[str, str, int]
"""Producer, consumer and serial."""


class Statements:
    """What the devices state of a tick in their accounts."""

    def __init__(self, window: TickWindow) -> None:
        self._states = window.states
        self._corrections = window.corrections

    def has_bid(self, consumer: str) -> bool:
        """Return whether a consumer may have bid: it states so, or has no account."""
        state = self._states.get(consumer)
        return not isinstance(state, BuyerState) or state.demand_wh > 0

    def sold_wh(self, producer: str) -> int | None:
        """Return what a producer has sold, with what it has awarded without a receipt; None without an account."""
        state = self._states.get(producer)
        if not isinstance(state, ProducerState | StorageState):
            return None
        account = self._corrections.get(producer, state)
        return account.sold_wh + account.unsettled_wh

    def bought_wh(self, consumer: str) -> int | None:
        """Return what a consumer has bought; None without an account."""
        state = self._states.get(consumer)
        return state.bought_wh if isinstance(state, BuyerState) else None


class LostMessages:
    """The devices whose books of a tick cannot be compared, and the receipts that nobody awarded."""

    def __init__(
        self, statements: Statements, sold_wh: Mapping[str, int], bought_wh: Mapping[str, int]
    ) -> None:
        """`sold_wh` and `bought_wh` are by the receipts of received awards."""
        self.devices: set[str] = set()
        """Sellers and buyers of which a trade was not received as a whole."""
        self._statements = statements
        self._sold_wh = sold_wh
        self._bought_wh = bought_wh

    def find(
        self, unawarded: Mapping[_Award, tuple[Package, ...]], unanswered: Iterable[_Award]
    ) -> Iterable[_Award]:
        """Yield the receipts that one side does not account for; note the devices where both sides do.

        `unawarded` are receipts without an award, `unanswered` awards without a receipt.
        """
        for key, lots in unawarded.items():
            producer, consumer, _ = key
            taken_wh = sum(lot.energy_wh for lot in lots)
            if not taken_wh:
                continue
            sold_wh, bought_wh = self._excess_wh(producer, consumer)
            if min(each for each in (sold_wh, bought_wh, taken_wh) if each is not None) < taken_wh:
                yield key
            else:
                self.devices.update((producer, consumer))
        for producer, consumer, _ in unanswered:
            sold_wh, bought_wh = self._excess_wh(producer, consumer)
            if sold_wh is not None and bought_wh is not None and min(sold_wh, bought_wh) > 0:
                self.devices.update((producer, consumer))

    def _excess_wh(self, producer: str, consumer: str) -> tuple[int | None, int | None]:
        """Return how much more each side states to have traded than was received; None without an account."""
        sold_wh, bought_wh = self._statements.sold_wh(producer), self._statements.bought_wh(consumer)
        return (
            None if sold_wh is None else sold_wh - self._sold_wh.get(producer, 0),
            None if bought_wh is None else bought_wh - self._bought_wh.get(consumer, 0),
        )


# --- messages that are received before their tick ---

MAX_OF_SENDER: Final = 64
"""The most messages of one sender that wait."""
MAX_MESSAGES: Final = 20_000
"""The most messages that wait in all."""


class Early(NamedTuple):
    """A message that waits for its tick, and the tick in which it was received."""

    simulated_ms: int
    scope: str
    sender: str
    message: Message
    tick: int
    received_tick: int


class EarlyMessages:
    """Keeps them in the order of arrival."""

    def __init__(self) -> None:
        self._waiting: list[Early] = []
        self._of_sender: Counter[str] = Counter()

    def hold(self, early: Early) -> None:
        """Keep a message; beyond the limits it is dropped."""
        if len(self._waiting) < MAX_MESSAGES and self._of_sender[early.sender] < MAX_OF_SENDER:
            self._waiting.append(early)
            self._of_sender[early.sender] += 1

    def take(self, through: int) -> list[Early]:
        """Return the messages for ticks up to this one."""
        if not self._waiting:
            return []
        due = [each for each in self._waiting if each.tick <= through]
        if due:
            self._waiting = [each for each in self._waiting if each.tick > through]
            self._of_sender = Counter(each.sender for each in self._waiting)
        return due

    def clear(self) -> None:
        """Drop all."""
        self._waiting.clear()
        self._of_sender.clear()
