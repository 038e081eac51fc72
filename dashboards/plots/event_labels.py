"""Where the names of events stand above a plot over time: on one line, each at its event, none over another.

Names that have no room of their own stand together with those before them; a name that is too long is shortened.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from gridfleet.dashboards.plots import style

FONT_SIZE: Final = 7.5
"""Size of the names in points."""
GAP: Final = 10.0
"""Least distance between two names, in points."""
MAX_LENGTH: Final = 44
"""The most letters of one event's name."""
_LEAST: Final = 40.0
"""A name gets a place of its own if it has so much room, in points."""
_BETWEEN: Final = " · "


class EventLabel(NamedTuple):
    """A name above the plot."""

    place: float
    """Where its event is, in points from the left edge of the axis."""
    side: Literal["left", "right"]
    """Which end of the text is there."""
    text: str


def text_width(text: str) -> float:
    """Return the width of a name in points."""
    return float(text_to_path.get_text_width_height_descent(text, _font(), ismath=False)[0])


def place_labels(
    events: Sequence[tuple[float, str]], width: float, measure: Callable[[str], float] = text_width
) -> list[EventLabel]:
    """Return the names of events on an axis of a width in points; the events are in the order of their places.

    >>> [label.text for label in place_labels([(0, "begin"), (5, "gale"), (300, "end")], 400, len)]
    ['begin · gale', 'end']
    """
    groups: list[tuple[float, list[str]]] = []
    for place, text in events:
        if groups and place - groups[-1][0] < _LEAST + GAP:
            groups[-1][1].append(text)
        else:
            groups.append((place, [text]))
    labels: list[EventLabel] = []
    for index, (place, texts) in enumerate(groups):
        following = groups[index + 1][0] if index + 1 < len(groups) else width + GAP
        right = following - GAP - place
        left = place - (_end(labels[-1], measure) + GAP if labels else 0.0)
        whole = measure(_joined(texts))
        if right < whole and left > right and index + 1 == len(groups):
            labels.append(EventLabel(place, "right", _fitted(texts, left, measure)))
        else:
            labels.append(EventLabel(place, "left", _fitted(texts, right, measure)))
    return [label for label in labels if label.text]


def _end(label: EventLabel, measure: Callable[[str], float]) -> float:
    return label.place if label.side == "right" else label.place + measure(label.text)


def _joined(texts: Sequence[str], most: int = 2) -> str:
    shown = [style.label(text, MAX_LENGTH) for text in texts[:most]]
    more = len(texts) - len(shown)
    return _BETWEEN.join([*shown, *([f"{more} more"] if more else [])])


def _fitted(texts: Sequence[str], room: float, measure: Callable[[str], float]) -> str:
    """Return the names of some events together, as long as there is room; empty where there is none."""
    for text in (_joined(texts), _joined(texts, 1)):
        if measure(text) <= room:
            return text
    more = f"{_BETWEEN}{len(texts) - 1} more" if len(texts) > 1 else ""
    name = style.label(texts[0], MAX_LENGTH)
    while name:
        text = f"{name.rstrip()}…{more}"
        if measure(text) <= room:
            return text
        name = name[:-1]
    count = f"{len(texts)} events" if len(texts) > 1 else "…"
    return count if measure(count) <= room else "…" if measure("…") <= room else ""


@cache
def _font() -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=FONT_SIZE)
