"""Receiver quotas: how many messages of a sender are decoded in one tick, by message type; the others are ignored.

A budget is several times what an honest device was seen to send in a tick under loss, partitions and repetitions
(`docs/explanation/security.md` has the figures). It is full again with each new tick, and after REFILL_S of real time
where none comes. The clock is exempt. Only the topic is read to decide.
"""

import logging
import time
from collections.abc import Callable, Sized
from functools import lru_cache
from typing import Final

from gridfleet.broker.errors import PayloadError, shown
from gridfleet.broker.protocol.messages import Call, Close, Control, Correction, Incident, Ready, Sample
from gridfleet.broker.protocol.topics import BATCH, CLOCK_ID, MESSAGE_TYPES, Scope

LOG: Final = logging.getLogger(__name__)
FLOOD: Final = "flood"
"""The reason for which a message beyond its sender's budget is refused."""
BUDGET: Final = 64
"""Messages of one type and sender in a tick, where nothing else is stated."""
BUDGETS: Final = {
    Call.TYPE: 32,
    Close.TYPE: 32,
    Correction.TYPE: 256,
    Control.TYPE: 256,
    Ready.TYPE: 1_024,
    Sample.TYPE: 4_096,
    Incident.TYPE: 4_096,
}
"""The same for some types: many answer a call; a device that was offline publishes the samples that it kept."""
DIRECT_BUDGET: Final = 512
"""The same for messages to single devices, to which DIRECT_BUDGET_PER_DEVICE is added for each known device."""
DIRECT_BUDGET_PER_DEVICE: Final = 8
"""An award that stays open is repeated in each tick of a day."""
BATCH_LINES: Final = 4_096
"""Messages in the batches of one fleet process in a tick; for each known device BATCH_LINES_PER_DEVICE is added."""
BATCH_LINES_PER_DEVICE: Final = 64
REFILL_S: Final = 60.0
"""After how many seconds of real time budgets are full again where no tick comes."""
MAX_ENTRIES: Final = 100_000
"""Senders and message types that are counted; beyond, all counts begin again."""
MAX_KEY: Final = 64
"""The most characters of a sender and of a message type by which they are told apart; an id has 48."""
MAX_KNOWN_TOPIC: Final = 256
"""The longest topic that is remembered; a valid one has at most 256 characters."""
MAX_NAMED: Final = 1_000
"""Senders whose ignored messages are counted by name."""
FLOOD_ERROR: Final = PayloadError(
    "message", FLOOD, "more messages of this type than a sender may publish in a tick"
)
_LEAST: Final = min(BUDGET, *BUDGETS.values())
_SPENT: Final = 1 << 62
"""The count of a budget that is found to be used up."""


def budget_of(name: str, devices: int) -> int:
    """Return how many messages of a type a sender may publish in a tick, at a site with so many known devices.

    >>> budget_of("award", 100), budget_of("call", 100), budget_of("no such type", 100)
    (1312, 32, 64)
    """
    if name == BATCH:
        return BATCH_LINES + BATCH_LINES_PER_DEVICE * devices
    message_type = MESSAGE_TYPES.get(name)
    if message_type is not None and message_type.scope is Scope.DEVICE:
        return DIRECT_BUDGET + DIRECT_BUDGET_PER_DEVICE * devices
    return BUDGETS.get(name, BUDGET)


def _key(topic: str) -> tuple[str, str]:
    """Return message type and sender of a topic, whatever it is; of names that are no ids, no more than MAX_KEY."""
    levels = topic.split("/", 3)
    name, sender = levels[2] if len(levels) > 2 else "", topic[topic.rfind("/") + 1 :]
    return name[:MAX_KEY], sender[:MAX_KEY]


_known_key = lru_cache(maxsize=65_536)(_key)
"""The same, remembered: all receivers of a process share the texts."""


class Quota:
    """Counts what arrives by sender, message type and tick, for one receiver.

    >>> quota = Quota("charger-1")
    >>> sum(quota.admits("gridfleet/home/call/north/car-1") for _ in range(5_000))
    32
    >>> quota.dropped
    {'car-1': 4968}
    >>> quota.admits("gridfleet/home/call/north/car-2")
    True
    """

    __slots__ = (
        "_counts",
        "_devices",
        "_now_s",
        "_period",
        "_receiver",
        "_since_s",
        "_tick",
        "_warned",
        "dropped",
    )

    def __init__(
        self, receiver: str, devices: Sized = (), now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`receiver` names it in the log, `devices` are those known at the site, `now_s` is real time in seconds."""
        self._receiver = receiver
        self._devices = devices
        self._now_s = now_s
        self._counts: dict[tuple[str, str], int] = {}
        self._period = 0
        self._warned: dict[str, int] = {}
        """Sender -> the last period in which messages of it were ignored."""
        self._tick: tuple[int, int] | None = None
        self._since_s = now_s()
        self.dropped: dict[str, int] = {}
        """How many messages of each sender were beyond its budgets."""

    @property
    def remembered(self) -> int:
        """How many pairs of sender and message type have been counted in this tick."""
        return len(self._counts)

    def admits(self, topic: str, lines: int = 1) -> bool:
        """Return whether a message on this topic is within its sender's budget, and count it; `lines` of a batch."""
        key = _known_key(topic) if len(topic) <= MAX_KNOWN_TOPIC else _key(topic)
        count = self._counts.get(key, 0)
        if count >= _LEAST and key[1] != CLOCK_ID and (count >= _SPENT or count >= self._budget(key[0])):
            if not self._refilled():
                self._counts[key] = _SPENT
                self._drop(topic, *key, lines)
                return False
            count = 0
        if not count and len(self._counts) >= MAX_ENTRIES:
            self._counts.clear()
        self._counts[key] = count + lines
        return True

    def begin_tick(self, epoch: int, tick: int) -> None:
        """Fill all budgets again where this is another tick than the last."""
        if (epoch, tick) != self._tick:
            self._tick = epoch, tick
            self._refill()

    def _refill(self) -> None:
        self._period += 1
        self._since_s = self._now_s()
        self._counts.clear()

    def _refilled(self) -> bool:
        """Fill all budgets where no tick has come for a while; return whether they were."""
        if self._now_s() - self._since_s < REFILL_S:
            return False
        self._refill()
        return True

    def _budget(self, name: str) -> int:
        return budget_of(name, len(self._devices))

    def _drop(self, topic: str, name: str, sender: str, lines: int) -> None:
        known = sender in self.dropped
        if not known and len(self.dropped) >= MAX_NAMED:
            return
        self.dropped[sender] = self.dropped.get(sender, 0) + lines
        if self._warned.get(sender, self._period - 2) < self._period - 1:  # a flood begins
            LOG.warning(
                "%s ignores messages of %s on %s: more than the %d of type %r that a sender may publish in a tick, a "
                "flood. If it goes on, lock the sender out with `gridfleet device revoke`",
                self._receiver,
                shown(sender),
                shown(topic),
                self._budget(name),
                shown(name),
            )
        self._warned[sender] = self._period
