"""The units of messages, all whole numbers, and their exact decimal text for people.

Energy is counted in watt-hours (Wh), price in micro-euro per kilowatt-hour (µEUR/kWh), money in nano-euro
(nEUR), time in milliseconds. The units are coherent: 1 Wh at 1 µEUR/kWh costs exactly 1 nEUR, so sums of
energy and money agree to the last digit and no tolerance is needed anywhere.
"""

from typing import Final

WH_PER_KWH: Final = 1_000
UEUR_PER_EUR: Final = 1_000_000
NEUR_PER_EUR: Final = 1_000_000_000
MS_PER_S: Final = 1_000
MS_PER_MINUTE: Final = 60_000
MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 86_400_000
QUARTER_HOUR_MS: Final = 900_000
TICK_MS: Final = QUARTER_HOUR_MS
"""A tick, in simulated time."""


def cost_neur(energy_wh: int, price_ueur_per_kwh: int) -> int:
    """Return the cost in nEUR of an energy in Wh at a price in µEUR/kWh, exactly.

    >>> cost_neur(1_500, 900_000)  # 1.5 kWh at 0.90 EUR/kWh
    1350000000
    """
    return energy_wh * price_ueur_per_kwh


def ueur(eur: float) -> int:
    """Return EUR (or EUR/kWh) as the nearest whole µEUR (or µEUR/kWh)."""
    return round(eur * UEUR_PER_EUR)


def wh(kwh: float) -> int:
    """Return kWh as the nearest whole Wh."""
    return round(kwh * WH_PER_KWH)


def kwh_text(energy_wh: int) -> str:
    """Return Wh as text in kWh with three decimals, exactly.

    >>> kwh_text(1_500)
    '1.500'
    """
    return decimal_text(energy_wh, 3)


def eur_per_kwh_text(price_ueur_per_kwh: int) -> str:
    """Return µEUR/kWh as text in EUR/kWh with six decimals, exactly."""
    return decimal_text(price_ueur_per_kwh, 6)


def eur_text(money_neur: int) -> str:
    """Return nEUR as text in EUR with nine decimals, exactly."""
    return decimal_text(money_neur, 9)


def decimal_text(value: int, places: int) -> str:
    """Return value / 10**places as text with that many decimals, without a float."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**places)
    return f"{sign}{whole}.{part:0{places}d}"
