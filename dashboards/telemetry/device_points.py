"""Points of devices' accounts: one for each account and each figure in it, and sums over each cell of a tick."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gridfleet.broker.protocol.messages import (
    BuyerState,
    ChargerState,
    ConsumerState,
    Presence,
    ProducerState,
    State,
    StorageState,
    VehicleState,
)
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.dashboards.telemetry.points import UNKNOWN, Point, Value, id_or_unknown
from gridfleet.dashboards.telemetry.table import CHARGING, DEVICE, FIGURE, REJECTS, VEHICLES
from gridfleet.dashboards.telemetry.tags import OTHER, REASONS, STATUSES, DeviceTags

Tags = Mapping[str, str]
_WAITING: Final = "heading"
_FAILED: Final = "stranded"


class _Cell:
    """The accounts of a cell's devices in one tick."""

    __slots__ = ("chargers", "rejects", "statuses")

    def __init__(self) -> None:
        self.chargers: list[ChargerState] = []
        self.statuses: Counter[str] = Counter()
        """Status -> vehicles."""
        self.rejects: Counter[tuple[str, str, str]] = Counter()
        """(role, kind, reason) -> messages."""

    def add(self, state: State, device_tags: DeviceTags) -> None:
        if isinstance(state, ChargerState):
            self.chargers.append(state)
        elif isinstance(state, VehicleState):
            self.statuses[state.status if state.status in STATUSES else OTHER] += 1
        for reason, count in state.refused.items():
            tags = device_tags.of_device(role_of(state), state.kind)
            self.rejects[tags["role"], tags["kind"], reason if reason in REASONS else OTHER] += count


def role_of(state: State) -> str:
    """Return the role that an account states."""
    return str(getattr(state, "role", OTHER))


def account_points(
    run: Tags,
    cell: str,
    device: str,
    state: State,
    birth: Presence | None,
    device_tags: DeviceTags,
    time_ms: int,
) -> Iterator[Point]:
    """Return the point of a device's account, and one for each figure of its own; `birth` gives their units."""
    what = device_tags.of_device(role_of(state), state.kind)
    tags = {**run, "cell": cell, **what, "device": device}
    yield Point(DEVICE.name, tags, {**_common(state), **_own(state)}, time_ms)
    if not state.figures:
        return
    units = {} if birth is None else {each.name: each.unit for each in birth.figures}
    place = {**run, "cell": cell, "kind": what["kind"], "device": device}
    for name, value in sorted(state.figures.items()):
        figure = device_tags.of_figure(name, units.get(name))
        if figure["figure"] != OTHER and math.isfinite(value):
            yield Point(FIGURE.name, {**place, **figure}, {"value": float(value)}, time_ms)


def cell_tag(births: Mapping[str, Presence], device: str) -> str:
    """Return the cell of a device as a tag: `unknown` without a birth message."""
    place = births.get(device)
    return UNKNOWN if place is None else id_or_unknown(place.cell)


def cell_points(
    run: Tags,
    algorithm: str,
    births: Mapping[str, Presence],
    states: Mapping[str, State],
    device_tags: DeviceTags,
    time_ms: int,
) -> Iterable[Point]:
    """Return the sums of a tick's accounts in each cell: charging, vehicles, rejects."""
    cells: dict[str, _Cell] = {}
    for device, state in states.items():
        name = cell_tag(births, device)
        cell = cells.get(name)
        if cell is None:
            cell = cells[name] = _Cell()
        cell.add(state, device_tags)
    for name, cell in sorted(cells.items()):
        tags = {**run, "cell": name}
        if cell.chargers:
            fields = _charging(cell.chargers, cell.statuses)
            yield Point(CHARGING.name, {**tags, "algorithm": algorithm}, fields, time_ms)
        if cell.statuses:
            for status in (*STATUSES, *([OTHER] if cell.statuses[OTHER] else [])):
                counts: dict[str, Value | None] = {"vehicles": cell.statuses[status]}
                yield Point(VEHICLES.name, {**tags, "status": status}, counts, time_ms)
        for (role, kind, reason), count in sorted(cell.rejects.items()):
            by = {"role": role, "kind": kind, "reason": reason}
            yield Point(REJECTS.name, {**tags, **by}, {"rejects": count}, time_ms)


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
    """Return the fields that only devices of its role have."""
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
    if isinstance(state, StorageState):
        return {
            **_bought(state),
            **_battery(state),
            "announced_wh": state.announced_wh,
            "sold_wh": state.sold_wh,
            "unsettled_wh": state.unsettled_wh,
            "earned_eur": state.earned_neur / NEUR_PER_EUR,
            "discharge_loss_wh": state.discharge_loss_wh,
            "faults": ", ".join(state.faults),
        }
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
        stop, destination = state.next_stop or (None, None), state.destination or (None, None)
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
            "destination_latitude": _float(destination[0]),
            "destination_longitude": _float(destination[1]),
        }
    return {}


def _bought(state: BuyerState) -> dict[str, Value | None]:
    return {
        "demand_wh": state.demand_wh,
        "bought_wh": state.bought_wh,
        "paid_eur": state.paid_neur / NEUR_PER_EUR,
    }


def _battery(state: StorageState | ChargerState | VehicleState) -> dict[str, Value | None]:
    return {
        "stored_wh": state.stored_wh,
        "capacity_wh": state.capacity_wh,
        "state_of_charge": state.stored_wh / state.capacity_wh if state.capacity_wh else None,
        "charge_loss_wh": state.charge_loss_wh,
    }


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)
