"""What the auditor keeps of recent ticks: messages, reporting history, gaps in reception, and restarts of devices."""

from gridfleet.broker.protocol.messages import Correction, Message, Residual, State, Surplus


class TickWindow:
    """One tick's market messages, accounts and corrections, until the tick is judged."""

    __slots__ = (
        "corrections",
        "end_ms",
        "exchange",
        "late_states",
        "market",
        "rule",
        "settle_ms",
        "states",
        "supply_price",
        "waited_for_all",
    )

    def __init__(self) -> None:
        self.market: list[tuple[str, str, Message]] = []
        """(scope, sender, message)."""
        self.exchange: list[tuple[str, str, Residual | Surplus]] = []
        """What cells still need, and what is offered to them by their neighbours."""
        self.supply_price: int | None = None
        """The price of the grid supply, µEUR/kWh; None until it is known."""
        self.rule = ""
        """The clearing rule of the tick, by its bid phase; empty where that was not received."""
        self.waited_for_all = True
        """Whether no device was left out because it had missed a deadline."""
        self.states: dict[str, State] = {}
        self.late_states: dict[str, int] = {}
        """The tick of the site in which an account was received, where that is not its own."""
        self.corrections: dict[str, Correction] = {}
        self.settle_ms: int | None = None
        """When the tick's last phase began; None before that: the tick is incomplete."""
        self.end_ms: int | None = None

    def correct(self, sender: str, correction: Correction) -> None:
        """Keep a correction unless a later one is known: unsettled energy only shrinks."""
        known = self.corrections.get(sender)
        if known is None or correction.unsettled_wh <= known.unsettled_wh:
            self.corrections[sender] = correction


class ReportingHistory:
    """For which ticks devices have reported accounts: the last one, and since when without interruption."""

    __slots__ = ("_last", "_since")

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def note(self, device: str, tick: int) -> None:
        """Note that a device has reported its account of a tick."""
        last = self._last.get(device)
        if last is None or tick > last:
            self._last[device] = tick
            if last is None or tick > last + 1:
                self._since[device] = tick

    def last(self, device: str) -> int:
        """Return the last tick that a device has reported, or -1."""
        return self._last.get(device, -1)

    def since(self, device: str) -> int:
        """Return the tick since which a device has reported every one, or -1."""
        return self._since.get(device, -1)


class GapLog:
    """The ticks of which messages may not have been received."""

    __slots__ = ("_ticks", "latest")

    def __init__(self) -> None:
        self._ticks: set[int] = set()
        self.latest = -1
        """The last of them, or -1."""

    def add(self, first: int, last: int) -> None:
        """Note ticks of which messages may be missing."""
        self._ticks.update(range(first, last + 1))
        self.latest = max(self.latest, last)

    def overlaps(self, first: int, last: int) -> bool:
        """Return whether messages may be missing of any of those ticks."""
        return first <= self.latest and any(first <= tick <= last for tick in self._ticks)

    def prune(self, before: int) -> None:
        """Drop older ticks."""
        if self._ticks:
            self._ticks = {tick for tick in self._ticks if tick >= before}


class LifecycleLog:
    """In which ticks devices came online or went offline: what they knew before may be lost."""

    __slots__ = ("_known", "_online", "_ticks", "_unsteady")

    def __init__(self) -> None:
        self._known: set[str] = set()
        """Devices of which a birth or last will was received."""
        self._online: set[str] = set()
        self._ticks: dict[str, list[int]] = {}
        self._unsteady: set[int] = set()
        """Ticks in which any device came online or went offline."""

    def note(self, device: str, tick: int, *, online: bool) -> bool:
        """Note a birth or last will in a tick (-1 before the first); return whether it changes anything.

        A repeated birth changes nothing: a device that reconnects keeps its accounts.
        """
        self._known.add(device)
        if online and device in self._online:
            return False
        (self._online.add if online else self._online.discard)(device)
        self._ticks.setdefault(device, []).append(tick)
        if tick >= 0:
            self._unsteady.add(tick)
        return True

    def begin_run(self) -> None:
        """Begin a run, with the devices that are online."""
        self._ticks.clear()
        self._unsteady.clear()

    def knows(self, device: str) -> bool:
        """Return whether a birth or last will of a device was received: it says in which cell the device is."""
        return device in self._known

    def changed(self, device: str, first: int, last: int) -> bool:
        """Return whether a device came online or went offline in one of those ticks."""
        ticks = self._ticks.get(device)
        return ticks is not None and any(first <= tick <= last for tick in ticks)

    def unchanged(self, first: int, last: int) -> bool:
        """Return whether no device at all came online or went offline in those ticks."""
        return not self._unsteady or not any(first <= tick <= last for tick in self._unsteady)

    def prune(self, before: int) -> None:
        """Drop older ticks, except those that a device's first accounts still need."""
        self._unsteady = {tick for tick in self._unsteady if tick >= before}
        for device, ticks in [*self._ticks.items()]:
            if ticks[-1] < before:
                del self._ticks[device]
