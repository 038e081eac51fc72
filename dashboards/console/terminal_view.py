"""The view of `gridfleet watch`: the state of a running site, built from messages, and its picture on a terminal."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ClockState,
    ConsumerState,
    Control,
    Message,
    Presence,
    ProducerState,
    Receipt,
    Role,
    State,
    Tick,
)
from gridfleet.broker.protocol.units import QUARTER_HOUR_MS, WH_PER_KWH
from gridfleet.broker.simulated_time import short_time_text
from gridfleet.dashboards.console.phase_steps import step_text
from gridfleet.dashboards.market.aggregate import MarketAggregate
from gridfleet.dashboards.market.site_totals import SiteTotals, site_totals

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_TICKS: Final = 8
MAX_EVENTS: Final = 50
SHOWN_EVENTS: Final = 6
TICKS_PER_HOUR: Final = 4


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
        """Mean power of the demand minus mean power of the wind generation."""
        return (self.totals.demand_wh - self.totals.wind_wh) * TICKS_PER_HOUR / WH_PER_KWH


@dataclass(slots=True)
class SiteView:
    """The state of a site, built from its messages."""

    max_ticks: int | None = None
    tick: Tick | None = None
    clock: ClockState | None = None
    chargers: dict[str, ChargerState] = field(default_factory=dict)
    online: dict[str, bool] = field(default_factory=dict)
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
            case ClockState():
                self._on_clock(message, retained=retained)
            case Presence():
                self._on_presence(sender, message, retained=retained)
            case Control() if not retained:
                self.note(f"{sender} requests {scope} = {message.value}")
            case Receipt() | ProducerState() | ConsumerState() | ChargerState():
                if isinstance(message, ChargerState):
                    self.chargers[sender] = message
                self._tick_view(message.tick).add(scope, sender, message)
            case _:
                pass

    def note(self, text: str) -> None:
        """Add an event to the log."""
        when = short_time_text(self.tick.simulated_ms) if self.tick else "      "
        self.events.append(f"{when}  {text}")
        self.new_lines.append(f"event  {when}  {text}")

    def _tick_view(self, tick: int) -> TickView:
        return self.ticks.setdefault(tick, TickView(MarketAggregate(tick)))

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
            self._tick_view(tick.tick).simulated_ms = tick.simulated_ms // QUARTER_HOUR_MS * QUARTER_HOUR_MS

    def _finish(self, tick: int) -> None:
        finished = self._tick_view(tick)
        self.finished.append(finished)
        for old in [number for number in self.ticks if number < tick - 1]:
            self.ticks.pop(old).close()
        totals = finished.totals
        energies = {
            "wind": totals.wind_wh,
            "reactor": totals.reactor_wh,
            "consumers": totals.consumers_wh,
            "chargers": totals.chargers_wh,
            "stored": totals.stored_wh,
        }
        self.new_lines.append(
            f"tick {tick + 1:>5}  {short_time_text(finished.simulated_ms)}  price {finished.prices}  "
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
        was = self.online.get(sender)
        self.online[sender] = presence.online
        if not retained and was is not None and was != presence.online:
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


def render(view: SiteView, height: int) -> "RenderableType":
    """Return the view for a terminal of `height` lines; text of devices is never markup."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    figures = Table.grid(padding=(0, 3))
    for row in _figures(view):
        figures.add_row(*(Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in row))
    prices = Table(
        "time", "lowest / mean, €/kWh", "wind", "reactor", "consumers", "chargers", box=None, title="Market"
    )
    for column in prices.columns[2:]:
        column.justify = "right"
    for finished in view.finished:
        totals = finished.totals
        energies = (totals.wind_wh, totals.reactor_wh, totals.consumers_wh, totals.chargers_wh)
        cells = (
            short_time_text(finished.simulated_ms),
            finished.prices,
            *(f"{wh / WH_PER_KWH:.0f} kWh" for wh in energies),
        )
        prices.add_row(*map(Text, cells))
    space = max(height - SHOWN_TICKS - 14, 3)
    chargers = Table("charger", "stored", "", "ports", "status", box=None, title="Chargers")
    for name, state in sorted(view.chargers.items())[:space]:
        chargers.add_row(*map(Text, _charger(name, state)))
    if len(view.chargers) > space:
        chargers.add_row(Text(f"and {len(view.chargers) - space} more"))
    events = [Text(line, overflow="ellipsis", no_wrap=True) for line in list(view.events)[-SHOWN_EVENTS:]]
    heading = Text(view.problem, "bold red") if view.problem else Text("")
    return Group(figures, heading, prices, Text(""), chargers, Text(""), Text("Events", "italic"), *events)


def _figures(view: SiteView) -> list[list[tuple[str, str]]]:
    tick = view.tick
    if tick is None:
        return [[("waiting for the first tick", "…")]]
    last = view.finished[-1] if view.finished else None
    share = 0.0
    if last is not None and last.totals.wind_wh + last.totals.reactor_wh:
        share = last.totals.reactor_wh / (last.totals.wind_wh + last.totals.reactor_wh)
    settings = tick.settings
    return [
        [
            ("tick", f"{tick.tick + 1} of {tick.tick + 1 + tick.ticks_left}"),
            ("phase", f"{step_text(tick.phase)}, paused" if tick.paused else step_text(tick.phase)),
            ("time", short_time_text(tick.simulated_ms)),
            ("mode", str(tick.mode)),
            ("online", f"{sum(view.online.values())} of {len(view.online)}"),
        ],
        [
            ("residual load", f"{last.residual_kw:.0f} kW" if last else "-"),
            ("reactor share", f"{share:.0%}" if last else "-"),
            ("wind speed", f"× {settings.wind_scale:g}"),
            ("turbine output", f"× {settings.turbine_scale:g}"),
            ("vehicles choose", str(settings.algorithm)),
        ],
    ]


def _charger(name: str, state: ChargerState) -> tuple[str, ...]:
    share = state.stored_wh / state.capacity_wh if state.capacity_wh else 0.0
    filled = round(share * 10)
    free = state.ports - state.ports_reserved
    return (
        name,
        f"{share:>4.0%}",
        "█" * filled + "░" * (10 - filled),
        f"{free} of {state.ports} free",
        state.status,
    )
