"""The price that the progress bar shows."""

from gridfleet.broker.protocol.messages import Message, Receipt, Tick


class LowestPrice:
    """Computes the lowest price per kWh in the last finished tick from the receipts; `receive` takes every message."""

    def __init__(self) -> None:
        self.ueur: int | None = None
        """The price in µEUR; None where nothing was sold."""
        self._lowest: int | None = None
        self._tick = 0

    def receive(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        """Process a message."""
        if not isinstance(message, Receipt | Tick):
            return
        if message.tick > self._tick:
            self.ueur, self._lowest, self._tick = self._lowest, None, message.tick
        if isinstance(message, Receipt) and message.tick == self._tick and message.lots:
            lowest = min(lot.price_ueur_per_kwh for lot in message.lots)
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
