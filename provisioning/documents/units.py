"""The unit of a key, which its name ends in or which is listed here."""

from typing import Final

_LISTED: Final = {
    "south": "°",
    "north": "°",
    "west": "°",
    "east": "°",
    "place": "°",
    "sites": "°",
    "hour": "h",
    "volts_per_a": "V/A",
    "volts_per_v": "V/V",
    "m_per_s_per_hz": "m/s per Hz",
    "down_ticks": "ticks",
    "ticks": "ticks",
    "start": "local time",
}
_ENDINGS: Final = (
    ("eur_per_kwh", "EUR/kWh"),
    ("kwh_per_tick", "kWh per tick"),
    ("annual_kwh", "kWh per year"),
    ("m_per_s", "m/s"),
    ("mps", "m/s"),
    ("kwh", "kWh"),
    ("km", "km"),
    ("deg", "°"),
    ("hz", "Hz"),
    ("ms", "ms"),
    ("mb", "MB"),
    ("m", "m"),
    ("s", "s"),
    ("h", "h"),
    ("c", "°C"),
    ("v", "V"),
    ("a", "A"),
)


def unit(key: str) -> str:
    """Return the unit of a key; empty for what has none.

    >>> unit("capacity_kwh"), unit("release_after_s"), unit("weibull_scale_mps"), unit("ports")
    ('kWh', 's', 'm/s', '')
    """
    if key in _LISTED:
        return _LISTED[key]
    return next((text for ending, text in _ENDINGS if f"_{key}".endswith(f"_{ending}")), "")
