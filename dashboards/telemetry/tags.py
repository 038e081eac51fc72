"""The tags of telemetry points and their closed lists of values, so that no device can create series at will."""

from typing import Final

TAGS: Final = {
    "site": "the site, as in the topics",
    "run": "one run of the site's clock: the name given, or scenario and beginning",
    "cell": "the cell; `unknown` for a device without a birth message",
    "kind": "turbine, consumer, charger, vehicle, reactor or clock",
    "device": "the device's id; of an event, the device it is about, or `site`",
    "algorithm": "how vehicles choose a charger at that time",
    "band": "lower bound of a price band of 0.05 EUR/kWh, as text such as 0.35; the last, 1.00, has no upper bound",
    "status": "parked, driving, heading, charging, stranded or other",
    "outcome": "charged, interrupted, cancelled, expired, unserved, open (when the run ended) or other",
    "reason": "why a message was refused: a reason of a closed list, or other",
    "message_type": "the message type, as in the topics",
    "what": "of an event: begin, end, settings, storm, storm-end, drill, online, offline or incident; "
    "of an incident: opened, closed, applied, released, failed or recovered",
    "part": "contactor, brake, anemometer, vane, adc, current, voltage or other",
    "invariant": "name of the invariant, as in summary.json",
}

BANDS: Final = tuple(f"{band / 20:.2f}" for band in range(21))
STATUSES: Final = ("parked", "driving", "heading", "charging", "stranded")
OUTCOMES: Final = ("charged", "interrupted", "cancelled", "expired", "unserved", "open")
REASONS: Final = frozenset({
    "clock", "control", "denied", "duplicate", "early", "energy", "flood", "greedy", "invalid", "late", "malformed",
    "offline", "oversized", "port", "presence", "price", "receipt", "refused", "stale", "topic", "unexpected",
    "unknown", "version", "weather",
})  # fmt: skip
EVENTS: Final = ("begin", "end", "settings", "storm", "storm-end", "drill", "online", "offline", "incident")
PARTS: Final = ("contactor", "brake", "anemometer", "vane", "adc", "current", "voltage")
OTHER: Final = "other"


def band_of(price_ueur_per_kwh: int) -> str:
    """Return the price band of a price in µEUR/kWh.

    >>> band_of(370_000)
    '0.35'
    """
    return BANDS[min(price_ueur_per_kwh // 50_000, len(BANDS) - 1)]
