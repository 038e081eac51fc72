"""Recognises messages that the broker delivers again."""

from collections import Counter, deque
from typing import Final

MAX_IN_FLIGHT: Final = 65_535
"""Most messages that can be unacknowledged at once: MQTT has that many packet identifiers."""


class RecentMessages:
    """The last messages that were kept, by a hash of topic and payload."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def add(self, topic: str, payload: bytes) -> None:
        """Remember a message; drop the oldest."""
        mark = hash((topic, payload))
        self._order.append(mark)
        self._counts[mark] += 1
        if len(self._order) > MAX_IN_FLIGHT:
            oldest = self._order.popleft()
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    def __contains__(self, message: tuple[str, bytes]) -> bool:
        """Return whether a message, as (topic, payload), is one of them."""
        return self._counts[hash(message)] > 0
