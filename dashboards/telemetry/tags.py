"""The tags of telemetry points and their closed lists of values, so that no device can create series at will.

Kinds of device, figures and units are open, because other packages bring them: `OpenTag` bounds how many there are.
"""

from typing import Final

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.telemetry.points import UNKNOWN

MAX_KINDS: Final = 64
MAX_FIGURE_NAMES: Final = 256
MAX_UNITS: Final = 64
TAGS: Final = {
    "site": "the site, as in the topics",
    "run": "one run of the site's clock: the name given, or scenario and beginning",
    "cell": "the cell; `unknown` for a device without a birth message",
    "role": "producer, consumer, storage, charger, vehicle, grid-supply, clock or other",
    "kind": f"the kind of device, a name that its package has chosen; at most {MAX_KINDS}, then other",
    "device": "the device's id; of an event, the device it is about, or `site`",
    "algorithm": "how vehicles choose a charger at that time",
    "band": "lower bound of a price band of 0.05 EUR/kWh, as text such as 0.35; the last, 1.00, has no upper bound",
    "status": "parked, driving, heading, charging, stranded or other",
    "outcome": "charged, interrupted, cancelled, expired, unserved, open (when the run ended) or other",
    "reason": "why a message was refused: a reason of a closed list, or other",
    "message_type": "the message type, as in the topics",
    "what": "of an event: begin, end, settings, storm, storm-end, drill, online, offline, suspended, reinstated or "
    "incident; of an incident: opened, closed, applied, released, failed or recovered",
    "part": "contactor, brake, anemometer, vane, adc, current, voltage or other",
    "invariant": "name of the invariant, as in summary.json",
    "figure": f"name of a figure that a kind of device reports of its own; at most {MAX_FIGURE_NAMES}: further ones "
    "are left out",
    "unit": f"its unit, as the device's birth message states it; 1 for none; at most {MAX_UNITS}, then other; "
    "`unknown` for a figure that the birth message does not describe",
}

NO_UNIT: Final = "1"
BANDS: Final = tuple(f"{band / 20:.2f}" for band in range(21))
STATUSES: Final = ("parked", "driving", "heading", "charging", "stranded")
OUTCOMES: Final = ("charged", "interrupted", "cancelled", "expired", "unserved", "open")
REASONS: Final = frozenset({
    "avoided", "award beyond supply", "bid beyond limits", "broken promise", "call beyond battery",
    "clearing rule", "clock", "control", "denied", "duplicate", "early", "energy", "fee", "flood", "greedy", "invalid",
    "late", "malformed", "meter beyond limits", "offer beyond call", "offline", "oversized", "port", "presence",
    "price", "ranking", "receipt", "refused", "request beyond limits", "sender", "sensor", "signature", "stale",
    "supply beyond limits", "topic", "unexpected", "unknown", "version", "weather",
})  # fmt: skip
"""Why a device refuses a message, or a charger declines a call; a test finds every reason that the devices have."""
EVENTS: Final = (
    "begin", "end", "settings", "storm", "storm-end", "drill", "online", "offline", "suspended", "reinstated",
    "incident",
)  # fmt: skip
PARTS: Final = ("contactor", "brake", "anemometer", "vane", "adc", "current", "voltage")
OTHER: Final = "other"
ROLES: Final = frozenset(role.value for role in Role)


class OpenTag:
    """The values of a tag that devices choose: the first ones as they are, `other` once there are too many.

    >>> kinds = OpenTag(2)
    >>> [kinds.value(kind) for kind in ("solar", "heat-pump", "liar", "solar")]
    ['solar', 'heat-pump', 'other', 'solar']
    """

    def __init__(self, limit: int) -> None:
        """`limit` is the number of values beside `other`."""
        self._limit = limit
        self._known: set[str] = set()

    def value(self, text: str) -> str:
        """Return a text as a value of the tag."""
        if text not in self._known:
            if len(self._known) >= self._limit or not text or not text.isprintable():
                return OTHER
            self._known.add(text)
        return text


class DeviceTags:
    """The tags that say what a device is: its role, its kind, and its figures with their units."""

    def __init__(self) -> None:
        self._kinds = OpenTag(MAX_KINDS)
        self._figures = OpenTag(MAX_FIGURE_NAMES)
        self._units = OpenTag(MAX_UNITS)

    def of_device(self, role: str, kind: str) -> dict[str, str]:
        """Return role and kind as tags."""
        return {"role": str(role) if role in ROLES else OTHER, "kind": self._kinds.value(kind)}

    def of_figure(self, name: str, unit: str | None) -> dict[str, str]:
        """Return a figure and its unit as tags; the unit is None where no birth message describes the figure."""
        text = UNKNOWN if unit is None else unit or NO_UNIT
        return {"figure": self._figures.value(name), "unit": self._units.value(text)}


def band_of(price_ueur_per_kwh: int) -> str:
    """Return the price band of a price in µEUR/kWh.

    >>> band_of(370_000)
    '0.35'
    """
    return BANDS[min(price_ueur_per_kwh // 50_000, len(BANDS) - 1)]
