"""Points of devices' accounts: one of each account, and what is added up over a cell at the end of a tick."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import (
    ChargerState,
    ConsumerState,
    Presence,
    ProducerState,
    State,
    VehicleState,
)
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.dashboards.telemetry.points import UNKNOWN, Point, Value, bounded
from gridfleet.dashboards.telemetry.table import CHARGING, DEVICE, OTHER, REASONS, REJECTS, STATUSES, VEHICLES

Tags = Mapping[str, str]
_WAITING: Final = "heading"
_FAILED: Final = "stranded"


def device_point(run: Tags, cell: str, device: str, state: State, time_ms: int) -> Point:
    """Return the point of an account."""
    tags = {**run, "cell": cell, "kind": state.kind, "device": device}  # type: ignore[attr-defined]
    return Point(DEVICE.name, tags, {**_common(state), **_own(state)}, time_ms)


def cell_of(places: Mapping[str, Presence], device: str) -> str:
    """Return the cell of a device by its birth, as a tag."""
    place = places.get(device)
    return UNKNOWN if place is None else bounded(place.cell)


def cell_points(
    run: Tags, algorithm: str, places: Mapping[str, Presence], states: Mapping[str, State], time_ms: int
) -> Iterable[Point]:
    """Return what the accounts of a tick add up to in each cell: charging, vehicles, rejects."""
    statuses = _statuses(places, states)
    for cell, accounts in sorted(_chargers(places, states).items()):
        tags = {**run, "cell": cell, "algorithm": algorithm}
        yield Point(CHARGING.name, tags, _charging(accounts, statuses.get(cell, Counter())), time_ms)
    for cell, words in sorted(statuses.items()):
        for word in (*STATUSES, OTHER):
            if word != OTHER or words[word]:
                tags = {**run, "cell": cell, "status": word}
                yield Point(VEHICLES.name, tags, {"vehicles": words[word]}, time_ms)
    for (cell, kind, reason), count in sorted(_rejects(places, states).items()):
        tags = {**run, "cell": cell, "kind": kind, "reason": reason}
        yield Point(REJECTS.name, tags, {"rejects": count}, time_ms)


def _chargers(places: Mapping[str, Presence], states: Mapping[str, State]) -> dict[str, list[ChargerState]]:
    found: dict[str, list[ChargerState]] = {}
    for device, state in states.items():
        if isinstance(state, ChargerState):
            found.setdefault(cell_of(places, device), []).append(state)
    return found


def _statuses(places: Mapping[str, Presence], states: Mapping[str, State]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for device, state in states.items():
        if isinstance(state, VehicleState):
            word = state.status if state.status in STATUSES else OTHER
            found.setdefault(cell_of(places, device), Counter())[word] += 1
    return found


def _rejects(places: Mapping[str, Presence], states: Mapping[str, State]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for device, state in states.items():
        for reason, count in state.refused.items():
            word = reason if reason in REASONS else OTHER
            found[cell_of(places, device), state.kind, word] += count  # type: ignore[attr-defined]
    return found


def _charging(accounts: list[ChargerState], statuses: Counter[str]) -> dict[str, Value | None]:
    return {
        "chargers": len(accounts),
        "stored_wh": sum(each.stored_wh for each in accounts),
        "capacity_wh": sum(each.capacity_wh for each in accounts),
        "ports": sum(each.ports for each in accounts),
        "ports_reserved": sum(each.ports_reserved for each in accounts),
        "bought_wh": sum(each.bought_wh for each in accounts),
        "delivered_wh": sum(each.delivered_wh for each in accounts),
        "earned_eur": sum(each.earned_neur for each in accounts) / NEUR_PER_EUR,
        "paid_eur": sum(each.paid_neur for each in accounts) / NEUR_PER_EUR,
        "waiting": statuses[_WAITING],
        "failed": statuses[_FAILED],
    }


def _common(state: State) -> dict[str, Value | None]:
    return {
        "tick": state.tick,
        "measured": state.measured,
        "status": str(state.status),
        "power_w": state.power_w,
        "balance_eur": state.balance_neur / NEUR_PER_EUR,
        "refused": sum(state.refused.values()),
        "latitude": float(state.latitude),
        "longitude": float(state.longitude),
    }


def _own(state: State) -> dict[str, Value | None]:
    """Return the fields that only this kind of device has."""
    if isinstance(state, ProducerState):
        return {
            "generated_wh": state.generated_wh,
            "sold_wh": state.sold_wh,
            "curtailed_wh": state.curtailed_wh,
            "unsettled_wh": state.unsettled_wh,
            "earned_eur": state.earned_neur / NEUR_PER_EUR,
            "faults": ", ".join(state.faults),
        }
    if isinstance(state, ConsumerState):
        return _bought(state)
    if isinstance(state, ChargerState):
        return {
            **_bought(state),
            **_battery(state),
            "earned_eur": state.earned_neur / NEUR_PER_EUR,
            "delivered_wh": state.delivered_wh,
            "discharge_loss_wh": state.discharge_loss_wh,
            "ports": state.ports,
            "ports_reserved": state.ports_reserved,
            "faults": ", ".join(state.faults),
            "contactor": state.contactor,
            "opened_because": state.opened_because,
        }
    if isinstance(state, VehicleState):
        stop, goal = state.next_stop or (None, None), state.destination or (None, None)
        return {
            **_battery(state),
            "paid_eur": state.paid_neur / NEUR_PER_EUR,
            "model": state.model,
            "consumption_wh_per_km": float(state.consumption_wh_per_km),
            "drawn_wh": state.drawn_wh,
            "driven_wh": state.driven_wh,
            "speed_km_h": float(state.speed_km_h),
            "deadline_ms": state.deadline_ms,
            "charger": state.charger or "",
            "next_latitude": _float(stop[0]),
            "next_longitude": _float(stop[1]),
            "destination_latitude": _float(goal[0]),
            "destination_longitude": _float(goal[1]),
        }
    return {}


def _bought(state: ConsumerState | ChargerState) -> dict[str, Value | None]:
    return {
        "demand_wh": state.demand_wh,
        "bought_wh": state.bought_wh,
        "paid_eur": state.paid_neur / NEUR_PER_EUR,
    }


def _battery(state: ChargerState | VehicleState) -> dict[str, Value | None]:
    return {
        "stored_wh": state.stored_wh,
        "capacity_wh": state.capacity_wh,
        "state_of_charge": state.stored_wh / state.capacity_wh if state.capacity_wh else None,
        "charge_loss_wh": state.charge_loss_wh,
    }


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)
