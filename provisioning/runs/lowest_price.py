"""The price that a long run shows while it runs."""

from gridfleet.broker.protocol.messages import Message, Receipt, Tick


class LowestPrice:
    """A tap: the lowest price per kWh in the last tick that ended, as the receipts tell it."""

    def __init__(self) -> None:
        self.ueur: int | None = None
        self._lowest: int | None = None
        self._tick = 0

    def tap(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        """Hear a message."""
        if not isinstance(message, Receipt | Tick):
            return
        if message.tick > self._tick:
            self.ueur, self._lowest, self._tick = self._lowest, None, message.tick
        if isinstance(message, Receipt) and message.tick == self._tick and message.lots:
            lowest = min(lot.price_ueur_per_kwh for lot in message.lots)
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
