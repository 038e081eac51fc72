"""A run divided where its settings changed: a gale, turbines off, another algorithm; and how each part went."""

from typing import Final, NamedTuple

from gridfleet.broker.protocol.units import MS_PER_HOUR, UEUR_PER_EUR, WH_PER_KWH
from gridfleet.dashboards.store.database import Store

MOST: Final = 12
"""So many chapters are told, the first ones."""
_TURNS: Final = ("storm", "storm-end", "settings")
_PART: Final = (
    "SELECT min(simulated_ms), max(simulated_ms), count(DISTINCT tick), sum(generated_wh), sum(demand_wh), "
    "sum(sold_wh), sum(reactor_wh), sum(curtailed_wh), sum(mean_price_ueur * 1.0 * sold_wh) "
    "FROM ticks WHERE tick >= ? AND tick < ?"
)
_STORED: Final = (
    "SELECT sum(charger_stored_wh) FROM ticks WHERE tick = (SELECT max(tick) FROM ticks WHERE tick < ?)"
)
_LAST: Final = "SELECT max(tick) FROM ticks"


class Chapter(NamedTuple):
    """A part of a run, from one change of settings to the next."""

    title: str
    """The change with which it begins."""
    begin_ms: int
    end_ms: int
    generated_kw: float
    """Own generation, mean power."""
    demand_kw: float
    """What was bid for, mean power."""
    price_eur_per_kwh: float | None
    """Mean by energy; None where nothing was sold."""
    reactor_share: float | None
    """Of the energy bought, 0 to 1; None where nothing was sold."""
    curtailed_share: float | None
    """Of the own generation, 0 to 1; None where there was none."""
    stored_kwh: float
    """In the chargers' buffers when it ends."""


def chapters(store: Store) -> list[Chapter]:
    """Return the chapters in order; none where the settings never changed."""
    turns: dict[int, str] = {}
    for event in store.events():
        if event.kind in _TURNS:
            turns[event.tick] = event.text
    ((last,),) = store.select(_LAST)
    begins = [(tick, text) for tick, text in sorted(turns.items()) if last is not None and 0 < tick <= last]
    if not begins:
        return []
    starts = [(0, "As the scenario begins"), *begins][:MOST]
    ends = [tick for tick, _ in starts[1:]] + [last + 1]
    tick_ms = store.facts().tick_ms
    found = []
    for (start, title), end in zip(starts, ends, strict=True):
        ((begin_ms, end_ms, ticks, generated, demand, sold, reactor, curtailed, paid),) = store.select(
            _PART, (start, end)
        )
        ((stored,),) = store.select(_STORED, (end,))
        if not ticks:
            continue
        hours = ticks * tick_ms / MS_PER_HOUR
        found.append(
            Chapter(
                title,
                begin_ms,
                end_ms + tick_ms,
                generated / WH_PER_KWH / hours,
                demand / WH_PER_KWH / hours,
                paid / sold / UEUR_PER_EUR if sold else None,
                reactor / sold if sold else None,
                curtailed / generated if generated else None,
                (stored or 0) / WH_PER_KWH,
            )
        )
    return found
