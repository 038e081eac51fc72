"""Points of charging reservations: one when a reservation is confirmed, one when it has ended."""

from collections.abc import Mapping

from gridfleet.broker.protocol.units import MS_PER_S, NEUR_PER_EUR, UEUR_PER_EUR
from gridfleet.dashboards.store.rows import ReservationRow
from gridfleet.dashboards.telemetry.points import Point, Value
from gridfleet.dashboards.telemetry.table import OFFER, RESERVATION
from gridfleet.dashboards.telemetry.tags import OTHER, OUTCOMES


def offer_point(tags: Mapping[str, str], row: ReservationRow, shift_ms: int) -> Point:
    """Return the point of a confirmed reservation; `shift_ms` is added to its simulated time."""
    fields = _reservation(row) | {"wait_s": _seconds(row.requested_ms, row.accepted_ms)}
    return Point(OFFER.name, tags, fields, (row.accepted_ms or row.requested_ms) + shift_ms)


def reservation_point(tags: Mapping[str, str], row: ReservationRow, shift_ms: int) -> Point:
    """Return the point of a reservation that ended; `shift_ms` is added to its simulated time."""
    outcome = row.outcome if row.outcome in OUTCOMES else OTHER
    fields = _reservation(row) | {
        "way_s": _seconds(row.accepted_ms, row.arrived_ms),
        "plugged_s": _seconds(row.arrived_ms, row.released_ms),
    }
    ended_ms = row.released_ms or row.accepted_ms or row.requested_ms
    return Point(RESERVATION.name, {**tags, "outcome": outcome}, fields, ended_ms + shift_ms)


def _reservation(row: ReservationRow) -> dict[str, Value | None]:
    price = row.price_ueur
    return {
        "energy_wh": row.energy_wh,
        "price_eur_per_kwh": None if price is None else price / UEUR_PER_EUR,
        "cost_eur": None if price is None else row.energy_wh * price / NEUR_PER_EUR,
        "distance_km": row.distance_km,
        "charger": row.charger,
    }


def _seconds(begin_ms: int | None, end_ms: int | None) -> float | None:
    return None if begin_ms is None or end_ms is None else (end_ms - begin_ms) / MS_PER_S
