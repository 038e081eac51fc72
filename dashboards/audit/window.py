"""What was said of one tick, kept until everybody who might speak of it has spoken."""

from gridfleet.broker.protocol.messages import Correction, Message, State


class Window:
    """One tick's market messages, accounts and corrections."""

    __slots__ = ("corrections", "end_ms", "late_states", "market", "settle_ms", "states")

    def __init__(self) -> None:
        self.market: list[tuple[str, str, Message]] = []
        self.states: dict[str, State] = {}
        self.late_states: dict[str, int] = {}
        """In which tick an account was heard, where that is not its own."""
        self.corrections: dict[str, Correction] = {}
        self.settle_ms: int | None = None
        """When the tick's last phase began, or None while it has not: the tick is incomplete."""
        self.end_ms: int | None = None

    def correct(self, sender: str, correction: Correction) -> None:
        """Keep a correction unless a later one is known: what is unsettled only shrinks."""
        known = self.corrections.get(sender)
        if known is None or correction.unsettled_wh <= known.unsettled_wh:
            self.corrections[sender] = correction


class Attendance:
    """Of which ticks devices have given accounts: the last one, and since when without a gap."""

    __slots__ = ("_last", "_since")

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def note(self, agent: str, tick: int) -> None:
        """A device has given its account of a tick."""
        last = self._last.get(agent)
        if last is None or tick > last:
            self._last[agent] = tick
            if last is None or tick > last + 1:
                self._since[agent] = tick

    def last(self, agent: str) -> int:
        """Return the last tick of which a device has given an account, or -1."""
        return self._last.get(agent, -1)

    def since(self, agent: str) -> int:
        """Return the tick since which a device has accounted for every one."""
        return self._since.get(agent, -1)


class Gaps:
    """The ticks of which something may not have been heard: what is missing there was perhaps said."""

    __slots__ = ("_ticks", "latest")

    def __init__(self) -> None:
        self._ticks: set[int] = set()
        self.latest = -1
        """The last of them, or -1."""

    def add(self, first: int, last: int) -> None:
        """Note ticks of which something may be missing."""
        self._ticks.update(range(first, last + 1))
        self.latest = max(self.latest, last)

    def within(self, first: int, last: int) -> bool:
        """Tell whether one of those ticks is such a tick."""
        return first <= self.latest and any(first <= tick <= last for tick in self._ticks)

    def forget(self, before: int) -> None:
        """Drop what is older."""
        if self._ticks:
            self._ticks = {tick for tick in self._ticks if tick >= before}


class LifecycleLog:
    """In which ticks devices came to life or died: across these, what they knew may be gone."""

    __slots__ = ("_alive", "_ticks", "unsteady")

    def __init__(self) -> None:
        self._alive: set[str] = set()
        self._ticks: dict[str, list[int]] = {}
        self.unsteady: set[int] = set()
        """Ticks in which any device came or went."""

    def note(self, agent: str, tick: int, *, online: bool) -> bool:
        """Remember that a device was born or died in a tick (-1 before the first); tell whether that is news.

        Whoever lives and says so again is excused of nothing: a device that reconnects keeps its books.
        """
        if online and agent in self._alive:
            return False
        (self._alive.add if online else self._alive.discard)(agent)
        self._ticks.setdefault(agent, []).append(tick)
        if tick >= 0:
            self.unsteady.add(tick)
        return True

    def within(self, agent: str, first: int, last: int) -> bool:
        """Tell whether a device was born or died in one of those ticks."""
        ticks = self._ticks.get(agent)
        return ticks is not None and any(first <= tick <= last for tick in ticks)

    def steady(self, first: int, last: int) -> bool:
        """Tell whether no device at all was born or died in those ticks."""
        return not self.unsteady or not any(first <= tick <= last for tick in self.unsteady)

    def forget(self, before: int) -> None:
        """Drop what is older, except what a device's first accounts still need."""
        self.unsteady = {tick for tick in self.unsteady if tick >= before}
        for agent, ticks in [*self._ticks.items()]:
            if ticks[-1] < before:
                del self._ticks[agent]
