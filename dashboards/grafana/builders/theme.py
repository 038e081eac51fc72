"""Units, colours and thresholds; a quantity has the same colour as in the plots and on the live page.

Grafana is dark by default, so the palette's dark colours are used. Ink and muted are Grafana's own colours, which
follow the theme.
"""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from gridfleet.dashboards.plots.style import COLOURS

# Units by Grafana's names
ENERGY: Final = "watth"
POWER: Final = "watt"
MONEY: Final = "currencyEUR"
PRICE: Final = "suffix: €/kWh"
SHARE: Final = "percentunit"
COUNT: Final = "short"
SECONDS: Final = "s"
DISTANCE: Final = "lengthkm"
SPEED: Final = "velocitykmh"
WIND_SPEED: Final = "velocityms"
CURRENT: Final = "amp"
VOLTAGE: Final = "volt"
BYTES: Final = "bytes"
PER_SECOND: Final = "cps"
TIME: Final = "dateTimeAsIso"
TEXT: Final = "string"
CONSUMPTION: Final = "suffix: Wh/km"

GOOD: Final = COLOURS["charger"].dark
WARN: Final = COLOURS["event"].dark
BAD: Final = COLOURS["reactor"].dark
NEUTRAL: Final = "text"
_THEME: Final = {"ink": "text", "muted": "#7b828c"}


def colour(quantity: str) -> str:
    """Return the colour of a quantity in `gridfleet.dashboards.plots.style.COLOURS`."""
    return _THEME.get(quantity) or COLOURS[quantity].dark


def thresholds(first: str, *steps: tuple[float, str]) -> ThresholdsConfig:
    """Return thresholds: the colour below the first step, then (from this value on, colour)."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, first), *(Threshold(value, colour) for value, colour in steps)])
    )


UNCOLOURED: Final = thresholds(NEUTRAL)
ZERO_IS_GOOD: Final = thresholds(GOOD, (1, BAD))
"""For a count that should be 0."""
