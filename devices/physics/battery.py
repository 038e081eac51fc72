"""Losses and charging curve of a battery, solved exactly.

Energy is whole Wh. *Drawn* and *delivered* are counted outside the battery, *stored* inside: 90 % of what is
drawn is stored, and 94 % of what is taken out is delivered. Charging power (drawn, in W) over the state of
charge x is 10 % of the maximum below x = 0.1, the maximum up to x = 0.8, and max·((1 − x)/0.2)^1.5 above:
the original system's curve (constant current, then constant voltage). So dx/dt = 0.9·P(x)/C has a closed
form in each band; in the last one (1 − x)^−½ grows linearly in time, so that x = 1 is never quite reached.
Only + − · / and square roots are used: IEEE 754 gives the same bits on every machine.
"""

from math import floor, inf, sqrt
from typing import Final

CHARGE_EFFICIENCY_PERCENT: Final = 90
DISCHARGE_EFFICIENCY_PERCENT: Final = 94
LOW_STATE_OF_CHARGE: Final = 0.1
LOW_POWER_SHARE: Final = 0.1
TAPER_STATE_OF_CHARGE: Final = 0.8
TAPER_WIDTH: Final = 0.2

_EFFICIENCY = CHARGE_EFFICIENCY_PERCENT / 100
_LINEAR_BANDS = ((LOW_STATE_OF_CHARGE, LOW_POWER_SHARE), (TAPER_STATE_OF_CHARGE, 1.0))
_SECONDS_PER_HOUR = 3600.0
_ROUNDING_WH = 1e-6


def stored_from(drawn_wh: int) -> int:
    """Return the Wh that a battery gains from Wh drawn outside it, rounded down.

    >>> stored_from(1_000), taken_for(1_000)
    (900, 1064)
    """
    return drawn_wh * CHARGE_EFFICIENCY_PERCENT // 100


def drawn_to_fill(room_wh: int) -> int:
    """Return the most whole Wh to draw, of which 90 %, unrounded, fit into the room left in the battery."""
    return room_wh * 100 // CHARGE_EFFICIENCY_PERCENT


def taken_for(delivered_wh: int) -> int:
    """Return the Wh that leave the battery to deliver Wh outside it, rounded up."""
    return -(-delivered_wh * 100 // DISCHARGE_EFFICIENCY_PERCENT)


def deliverable(stored_wh: int) -> int:
    """Return the most whole Wh that can be delivered from stored Wh."""
    return stored_wh * DISCHARGE_EFFICIENCY_PERCENT // 100


def charge_power_w(state_of_charge: float, max_power_w: int) -> int:
    """Return the power drawn, in whole W, at a state of charge from 0 to 1."""
    return round(max_power_w * _power_share(state_of_charge))


def energy_drawn(stored_wh: int, capacity_wh: int, max_power_w: int, seconds: float) -> int:
    """Return the whole Wh drawn in this time, rounded down; the battery gains `stored_from` of it.

    `seconds` is the time since the stored energy last changed: each call drops the fraction of a Wh.
    """
    gained_wh = _stored_after(stored_wh, capacity_wh, max_power_w, seconds) - stored_wh
    drawn_wh = floor(gained_wh / _EFFICIENCY + _ROUNDING_WH)
    return min(drawn_wh, drawn_to_fill(capacity_wh - stored_wh))


def time_to_draw(stored_wh: int, capacity_wh: int, max_power_w: int, energy_wh: int) -> float:
    """Return the seconds until this energy is drawn; math.inf where 90 % of it would fill the battery."""
    if energy_wh <= 0:
        return 0.0
    target_wh = stored_wh + energy_wh * _EFFICIENCY
    if target_wh >= capacity_wh or max_power_w <= 0:
        return inf
    position_wh = float(stored_wh)
    hours = 0.0
    for border, share in _LINEAR_BANDS:
        border_wh = border * capacity_wh
        if position_wh < border_wh:
            end_wh = min(border_wh, target_wh)
            hours += (end_wh - position_wh) / (_EFFICIENCY * share * max_power_w)
            position_wh = end_wh
    if position_wh < target_wh:
        rise = 1 / sqrt(1 - target_wh / capacity_wh) - 1 / sqrt(1 - position_wh / capacity_wh)
        hours += rise / _taper_rate_per_hour(capacity_wh, max_power_w)
    return hours * _SECONDS_PER_HOUR


def _power_share(state_of_charge: float) -> float:
    if state_of_charge < LOW_STATE_OF_CHARGE:
        return LOW_POWER_SHARE
    if state_of_charge <= TAPER_STATE_OF_CHARGE:
        return 1.0
    width = max(0.0, 1 - state_of_charge) / TAPER_WIDTH
    return width * sqrt(width)


def _stored_after(stored_wh: int, capacity_wh: int, max_power_w: int, seconds: float) -> float:
    if max_power_w <= 0 or seconds <= 0 or stored_wh >= capacity_wh:
        return stored_wh
    position_wh = float(stored_wh)
    hours = seconds / _SECONDS_PER_HOUR
    for border, share in _LINEAR_BANDS:
        border_wh = border * capacity_wh
        if position_wh < border_wh:
            rate_w = _EFFICIENCY * share * max_power_w
            needed_hours = (border_wh - position_wh) / rate_w
            if needed_hours >= hours:
                return position_wh + rate_w * hours
            hours -= needed_hours
            position_wh = border_wh
    root = 1 / sqrt(1 - position_wh / capacity_wh) + _taper_rate_per_hour(capacity_wh, max_power_w) * hours
    return capacity_wh * (1 - 1 / (root * root))


def _taper_rate_per_hour(capacity_wh: int, max_power_w: int) -> float:
    """How fast (1 − x)^−½ grows in the last band: half of 0.9·P_max/(C·0.2^1.5)."""
    return _EFFICIENCY * max_power_w / (2 * capacity_wh * TAPER_WIDTH * sqrt(TAPER_WIDTH))
