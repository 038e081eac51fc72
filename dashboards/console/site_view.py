"""What `gridfleet watch` knows of a running site, built from its messages."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ClockState,
    ConsumerState,
    Control,
    Facts,
    Message,
    Presence,
    ProducerState,
    Receipt,
    Role,
    State,
    StorageState,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS, WH_PER_KWH
from gridfleet.broker.simulated_time import short_time_text
from gridfleet.dashboards.market.aggregate import MarketAggregate
from gridfleet.dashboards.market.site_totals import SiteTotals, site_totals

SHOWN_TICKS: Final = 8
MAX_EVENTS: Final = 50
MAX_TICKS: Final = 16
"""The most ticks whose messages are kept at a time."""
MAX_DEVICES: Final = 200_000
"""Devices beyond this number are not shown."""
TICKS_PER_HOUR: Final = MS_PER_HOUR // TICK_MS


def readable(text: str) -> str:
    r"""Return a device's text without control characters, which a terminal would obey.

    >>> readable("\x1b[2Jfull")
    '?[2Jfull'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@dataclass(slots=True)
class TickView:
    """What the terminal shows of a tick."""

    market: MarketAggregate
    simulated_ms: int = 0
    _totals: SiteTotals | None = None

    @property
    def totals(self) -> SiteTotals:
        """The totals of the tick's market so far."""
        if self._totals is None:
            self._totals = site_totals(self.market)
        return self._totals

    def add(self, scope: str, sender: str, message: Receipt | State) -> None:
        """Add a receipt or an account to the tick's market."""
        self._totals = None
        if isinstance(message, Receipt):
            self.market.add(scope, sender, message)
        else:
            self.market.add_account(sender, message)

    def close(self) -> None:
        """Keep the totals and drop the messages."""
        self._totals = self.totals
        self.market = MarketAggregate(self.market.tick)

    @property
    def prices(self) -> str:
        """Lowest and mean price as text."""
        lowest, mean = self.totals.lowest_price_eur_per_kwh, self.totals.mean_price_eur_per_kwh
        return "nothing sold" if lowest is None or mean is None else f"{lowest:.3f} / {mean:.3f}"

    @property
    def residual_kw(self) -> float:
        """Mean power of the demand minus mean power of what producers generated."""
        return (self.totals.demand_wh - self.totals.generated_wh) * TICKS_PER_HOUR / WH_PER_KWH


@dataclass(slots=True)
class SiteView:
    """The state of a site, built from its messages."""

    max_ticks: int | None = None
    tick: Tick | None = None
    clock: ClockState | None = None
    facts: Facts | None = None
    devices: dict[str, Presence] = field(default_factory=dict)
    """Id -> newest birth message or last will; without the clock."""
    accounts: dict[str, State] = field(default_factory=dict)
    """Id -> newest account, of those that have a line: chargers, storages, and devices with figures of their own."""
    ticks: dict[int, TickView] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    finished: deque[TickView] = field(default_factory=lambda: deque(maxlen=SHOWN_TICKS))
    problem: str = ""
    ended: bool = False
    """Whether the run has ended, or the requested number of ticks has been shown."""
    new_lines: list[str] = field(default_factory=list)
    """Lines that are still to be written where the output is not a terminal."""
    _finished_ticks: int = 0

    def receive(self, scope: str, sender: str, message: Message, *, retained: bool) -> None:
        """Update the view from a message."""
        match message:
            case Tick():
                self._on_tick(message)
            case Facts():
                self.facts = message
            case ClockState():
                self._on_clock(message, retained=retained)
            case Presence():
                self._on_presence(sender, message, retained=retained)
            case Control() if not retained:
                self.note(f"{sender} requests {scope} = {message.value}")
            case Receipt():
                self._tick_view(message.tick).add(scope, sender, message)
            case ProducerState() | ConsumerState() | StorageState() | ChargerState() | VehicleState():
                if message.figures or isinstance(message, ChargerState | StorageState):
                    self.accounts[sender] = message
                self._tick_view(message.tick).add(scope, sender, message)
            case _:
                pass

    def note(self, text: str) -> None:
        """Add an event to the log."""
        when = short_time_text(self.tick.simulated_ms) if self.tick else "      "
        self.events.append(f"{when}  {readable(text)}")
        self.new_lines.append(f"event  {when}  {readable(text)}")

    def count(self) -> dict[Role, dict[str, int]]:
        """Return how many devices of each kind there are, by role, for the roles present."""
        counts: dict[Role, dict[str, int]] = {}
        for presence in self.devices.values():
            kinds = counts.setdefault(presence.role, {})
            kinds[presence.kind] = kinds.get(presence.kind, 0) + 1
        return {role: counts[role] for role in Role if role in counts}

    def _tick_view(self, tick: int) -> TickView:
        """Return what is shown of a tick; that of a tick far from the present one is not kept."""
        found = self.ticks.get(tick)
        if found is None:
            found = TickView(MarketAggregate(tick))
            now = tick if self.tick is None else self.tick.tick
            if abs(tick - now) <= 1 and len(self.ticks) < MAX_TICKS:
                self.ticks[tick] = found
        return found

    def _on_tick(self, tick: Tick) -> None:
        before, self.tick = self.tick, tick
        if before is not None and before.epoch == tick.epoch and before.settings != tick.settings:
            for name in before.settings.__dataclass_fields__:
                was, now = getattr(before.settings, name), getattr(tick.settings, name)
                text = _change(name, was, now) if was != now else ""
                if text:
                    self.note(text)
        if before is not None and before.paused != tick.paused:
            self.note("paused" if tick.paused else "resumed")
        if before is None or before.epoch != tick.epoch:
            self.ticks.clear()
        elif before.tick != tick.tick:
            self._finish(before.tick)
        if tick.tick not in self.ticks:
            self._tick_view(tick.tick).simulated_ms = tick.simulated_ms // TICK_MS * TICK_MS

    def _finish(self, tick: int) -> None:
        finished = self._tick_view(tick)
        self.finished.append(finished)
        for old in [number for number in self.ticks if number < tick - 1]:
            self.ticks.pop(old).close()
        totals = finished.totals
        energies = {
            "producers": totals.generated_wh,
            "grid supply": totals.grid_supply_wh,
            "consumers": totals.consumers_wh,
            "chargers": totals.chargers_wh,
            "storages bought": totals.storages_bought_wh,
            "storages sold": totals.storages_sold_wh,
            "stored": totals.stored_wh,
        }
        self.new_lines.append(
            f"tick {tick + 1:>5}  {short_time_text(finished.simulated_ms)}  lowest / mean price {finished.prices}  "
            + "  ".join(f"{name} {wh / WH_PER_KWH:.0f} kWh" for name, wh in energies.items())
        )
        self._finished_ticks += 1
        self.ended = self.ended or (self.max_ticks is not None and self._finished_ticks >= self.max_ticks)

    def _on_clock(self, clock: ClockState, *, retained: bool) -> None:
        self.clock = clock
        if clock.status == "finished" and not retained:
            if self.tick is not None:
                self._finish(self.tick.tick)
            self.note("the run has ended")
            self.ended = True

    def _on_presence(self, sender: str, presence: Presence, *, retained: bool) -> None:
        if presence.role is Role.CLOCK:
            return
        was = self.devices.get(sender)
        if was is None and len(self.devices) >= MAX_DEVICES:
            return
        self.devices[sender] = presence
        if not retained and was is not None and was.online != presence.online:
            self.note(f"{sender} is {'online' if presence.online else 'offline'}")


def _change(name: str, was: object, now: object) -> str:
    """Return the event for a changed setting; empty if there is none."""
    match name:
        case "note":
            return str(now) or "changed by an operator"
        case "chargers_out":
            return f"chargers out of service: {now}" if now else "all chargers in service"
        case "outage_s":
            return f"outage drill: every device loses its connection for {now:g} s" if now else ""
        case _:
            return f"changed: {name} {was} -> {now}"
