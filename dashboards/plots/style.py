"""How figures look: each quantity has one colour everywhere, distinct for colour-blind readers too.

The colours extend the palette of Okabe and Ito (2008). Each has a twin for dark pages; `plots.image_files` turns
the light ones into CSS variables, so that an inline figure follows the page.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfleet.broker.protocol.messages import Role


class Colour(NamedTuple):
    """A colour on light and on dark paper."""

    light: str
    dark: str


COLOURS: Final = {
    "wind": Colour("#0072b2", "#4aa8e0"),
    "reactor": Colour("#d55e00", "#f0803c"),
    "consumer": Colour("#b8578f", "#dd8fbc"),
    "charger": Colour("#009e73", "#2cc498"),
    "vehicle": Colour("#b98600", "#e6b422"),
    "storage": Colour("#9b30e8", "#b45cff"),
    "imported": Colour("#56b4e9", "#8fd0f5"),
    "curtailed": Colour("#9aa0a8", "#7b828c"),
    "price": Colour("#5a4a9c", "#a99be8"),
    "event": Colour("#e8c400", "#f5dc50"),
    "run-a": Colour("#3d4f66", "#b4c2d6"),
    "run-b": Colour("#a3195b", "#f277ad"),
    "run-c": Colour("#00798c", "#4cc9db"),
    "run-d": Colour("#757500", "#d0d04a"),
    "run-e": Colour("#8c4a2f", "#dba285"),
    "run-f": Colour("#3f51b5", "#95a3f5"),
    "ink": Colour("#1b1f24", "#e9ecef"),
    "muted": Colour("#5c6670", "#a4adb6"),
    "grid": Colour("#dde1e6", "#343b43"),
}
WIND: Final = COLOURS["wind"].light
REACTOR: Final = COLOURS["reactor"].light
CONSUMER: Final = COLOURS["consumer"].light
CHARGER: Final = COLOURS["charger"].light
VEHICLE: Final = COLOURS["vehicle"].light
STORAGE: Final = COLOURS["storage"].light
IMPORTED: Final = COLOURS["imported"].light
CURTAILED: Final = COLOURS["curtailed"].light
PRICE: Final = COLOURS["price"].light
EVENT: Final = COLOURS["event"].light
INK: Final = COLOURS["ink"].light
MUTED: Final = COLOURS["muted"].light
GRID: Final = COLOURS["grid"].light

ROLE_COLOURS: Final[Mapping[str, str]] = {
    Role.PRODUCER: WIND,
    Role.GRID_SUPPLY: REACTOR,
    Role.CONSUMER: CONSUMER,
    Role.STORAGE: STORAGE,
    Role.CHARGER: CHARGER,
    Role.VEHICLE: VEHICLE,
}
"""The colour of the devices of a role, whatever their kinds."""
RUN_COLOURS: Final = tuple(colour.light for name, colour in COLOURS.items() if name.startswith("run-"))
"""Colours of the sets of runs in a comparison."""
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 3)), (0, (9, 3)))
"""Line styles that distinguish devices of one role, which have the same colour."""
WIDTH_INCHES: Final = 9.0
TITLE_POINTS: Final = 18
"""Height of a figure's title, from its upper edge."""
PNG_DPI: Final = 110
MAX_LABEL_LENGTH: Final = 28

_RC: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.color": CURTAILED,
    "hatch.linewidth": 0.6,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.4,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.5,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "gridfleet",
    "svg.image_inline": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelsize": 8,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Context manager: use GridFleet's settings instead of the user's matplotlibrc, and restore those afterwards."""
    with matplotlib.style.context(["default", _RC]):
        yield


def new_figure(title: str, height_inches: float = 3.3, width_inches: float = WIDTH_INCHES) -> Figure:
    """Return an empty figure that keeps its labels inside its edges."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    figure.suptitle(title, x=0.012, ha="left", fontsize=11.5, fontweight="bold", color=INK)
    return figure


def note_empty(axes: Axes, text: str) -> None:
    """Write in an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=10)
    axes.set_yticks([])
    axes.grid(visible=False)


def label(text: str, max_length: int = MAX_LABEL_LENGTH) -> str:
    """Return a device's text as a label: printable, in letters that the font has, not too long."""
    shown = "".join(letter if letter.isprintable() and ord(letter) < 0x250 else "?" for letter in text)
    return shown if len(shown) <= max_length else shown[: max_length - 1] + "…"
