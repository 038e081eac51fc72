"""The picture of `gridfleet watch` on a terminal: figures, market, devices and events of a running site."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from gridfleet.broker.protocol.messages import ChargerState, Facts, Presence, State, StorageState
from gridfleet.broker.protocol.units import WH_PER_KWH
from gridfleet.broker.simulated_time import short_time_text
from gridfleet.dashboards.console.phase_steps import step_text
from gridfleet.dashboards.console.site_view import SHOWN_TICKS, SiteView, readable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

SHOWN_EVENTS: Final = 6
MIN_DEVICES: Final = 3
_OTHER_LINES: Final = 17
"""Lines of the view that show neither ticks nor devices."""
_BETWEEN: Final = "   "
_BAR: Final = 10
"""Width of a full battery, in characters."""


def render(view: SiteView, height: int) -> "RenderableType":
    """Return the view for a terminal of `height` lines; text of devices is never markup."""
    from rich.console import Group
    from rich.text import Text

    figures = [
        _Flow([Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in row])
        for row in _figures(view)
    ]
    choices = [
        Text.assemble((f"{name} ", "dim"), values, overflow="ellipsis", no_wrap=True)
        for name, values in _choices(view.facts)
    ]
    roles = Text(_roles(view), overflow="ellipsis", no_wrap=True)
    heading = Text(view.problem, "bold red") if view.problem else Text("")
    devices = _devices(view, max(height - SHOWN_TICKS - _OTHER_LINES, MIN_DEVICES))
    events = [Text(line, overflow="ellipsis", no_wrap=True) for line in list(view.events)[-SHOWN_EVENTS:]]
    return Group(
        *figures,
        *choices,
        roles,
        heading,
        _market(view),
        Text(""),
        devices,
        Text(""),
        Text("Events", "italic"),
        *events,
    )


class _Flow:
    """Texts side by side; one that does not fit into the line begins the next, and none is broken."""

    def __init__(self, texts: "Sequence[Text]") -> None:
        self._texts = texts

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        """Yield the lines for the width of the terminal."""
        line = self._texts[0].copy()
        for text in self._texts[1:]:
            if line.cell_len + len(_BETWEEN) + text.cell_len > options.max_width:
                yield line
                line = text.copy()
            else:
                line.append(_BETWEEN).append_text(text)
        yield line


def _figures(view: SiteView) -> list[list[tuple[str, str]]]:
    tick = view.tick
    if tick is None:
        return [[("waiting for the first tick", "…")]]
    last = view.finished[-1] if view.finished else None
    share = 0.0
    if last is not None and last.totals.generated_wh + last.totals.grid_supply_wh:
        share = last.totals.grid_supply_wh / (last.totals.generated_wh + last.totals.grid_supply_wh)
    settings = tick.settings
    return [
        [
            ("tick", tick.count_text),
            ("phase", f"{step_text(tick.phase)}, paused" if tick.paused else step_text(tick.phase)),
            ("time", short_time_text(tick.simulated_ms)),
            ("mode", str(tick.mode)),
            ("online", f"{sum(each.online for each in view.devices.values())} of {len(view.devices)}"),
        ],
        [
            ("residual load", f"{last.residual_kw:.0f} kW" if last else "-"),
            ("grid supply", f"{share:.0%}" if last else "-"),
            ("wind speed", f"× {settings.wind_scale:g}"),
            ("turbine output", f"× {settings.turbine_scale:g}"),
            ("vehicles choose", settings.algorithm),
            ("clearing rule", settings.clearing_rule),
        ],
    ]


def _choices(facts: Facts | None) -> list[tuple[str, str]]:
    """Return what an operator may choose at this site."""
    if facts is None or not facts.clearing_rules:
        return []
    rankings, rules = ", ".join(facts.offer_rankings), ", ".join(facts.clearing_rules)
    return [("vehicles may choose", rankings), ("clearing rules", rules)]


def _roles(view: SiteView) -> str:
    """Return the devices by role, and the kinds of a role that has several."""
    texts = []
    for role, kinds in view.count().items():
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        text = f"{role.value} {sum(kinds.values())}"
        texts.append(f"{text} ({listed})" if len(kinds) > 1 else text)
    return "   ".join(texts)


def _market(view: SiteView) -> "Table":
    """Return the table of the newest finished ticks, with what storages sold and bought where there are any."""
    from rich.table import Table
    from rich.text import Text

    has_storages = any(isinstance(state, StorageState) for state in view.accounts.values())
    columns = ["producers", "grid supply", "consumers", "chargers", *(["storages"] if has_storages else [])]
    title = "Market: lowest / mean price in €/kWh, energies in kWh"
    table = Table("time", "price", *columns, box=None, title=title, pad_edge=False)
    for column in table.columns:
        column.no_wrap = column.header != "grid supply"
        column.justify = "left" if column.header in {"time", "price"} else "right"
    for finished in view.finished:
        totals = finished.totals
        energies = (totals.generated_wh, totals.grid_supply_wh, totals.consumers_wh, totals.chargers_wh)
        cells = [short_time_text(finished.simulated_ms), finished.prices, *map(_kwh, energies)]
        if has_storages:
            cells.append(f"+{_kwh(totals.storages_sold_wh)} −{_kwh(totals.storages_bought_wh)}")
        table.add_row(*(Text(cell, no_wrap=True) for cell in cells))
    return table


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh / WH_PER_KWH:.0f}"


def _devices(view: SiteView, space: int) -> "Table":
    """Return the table of storages, chargers and devices with figures of their own, at most `space` of them."""
    from rich.table import Table
    from rich.text import Text

    groups: tuple[list[str], ...] = ([], [], [])
    for name, state in sorted(view.accounts.items()):
        groups[0 if isinstance(state, StorageState) else 1 if isinstance(state, ChargerState) else 2].append(
            name
        )
    table = Table("device", "kind", "stored", "", "", "status", "figures", box=None, title="Devices")
    for name in shared_out(groups, space):
        cells = _device(name, view.accounts[name], view.devices.get(name))
        table.add_row(*(Text(readable(cell), no_wrap=True, overflow="ellipsis") for cell in cells))
    if len(view.accounts) > space:
        table.add_row(Text(f"and {len(view.accounts) - space} more"))
    return table


def shared_out(groups: Sequence[Sequence[str]], space: int) -> list[str]:
    """Return at most `space` members, of each group about as many, in the order of the groups.

    >>> shared_out([["a1", "a2", "a3"], [], ["b1"]], 3)
    ['a1', 'a2', 'b1']
    """
    turns = chain.from_iterable(zip_longest(*groups))
    chosen = set([name for name in turns if name is not None][:space])
    return [name for group in groups for name in group if name in chosen]


def _device(name: str, state: State, presence: Presence | None) -> tuple[str, ...]:
    """Return a device's line: id, kind, battery, ports or power, status, and its own figures."""
    share = bar = ""
    about = f"{state.power_w / 1000:.1f} kW"
    if isinstance(state, ChargerState | StorageState):
        level = min(state.stored_wh / state.capacity_wh, 1.0) if state.capacity_wh else 0.0
        filled = round(level * _BAR)
        share, bar = f"{level:>4.0%}", "█" * filled + "░" * (_BAR - filled)
    if isinstance(state, ChargerState):
        about = f"{state.ports - state.ports_reserved} of {state.ports} free"
    units = {figure.name: figure.unit for figure in presence.figures} if presence else {}
    figures = "  ".join(
        f"{each} {value:.5g} {units.get(each, '')}".rstrip() for each, value in state.figures.items()
    )
    status = state.status if presence is None or presence.online else "offline"
    return name, state.kind, share, bar, about, status, figures
