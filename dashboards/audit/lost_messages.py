"""Trades of a tick of which a message was not received, although both sides account for them.

The recorder may miss a message that its receiver got: it was published without acknowledgement, or the broker lost it
for the recorder alone. Then seller and buyer state in their accounts what the recorder has no message of. One device
cannot pretend that: the account of the other side would not agree.
"""

from collections.abc import Iterable, Mapping

from gridfleet.broker.protocol.messages import BuyerState, Package, ProducerState, StorageState
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
