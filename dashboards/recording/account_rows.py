"""Rows of the store from the accounts that devices report at the end of a tick."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gridfleet.broker.protocol.messages import ChargerState, State, StorageState, VehicleState
from gridfleet.dashboards.store.rows import AgentRow, FigureRow, StorageRow, VehicleRow


class AccountRows(NamedTuple):
    """The rows that follow from the accounts of a tick, each list sorted by device."""

    agents: list[AgentRow]
    vehicles: list[VehicleRow]
    storages: list[StorageRow]
    figures: list[FigureRow]


def account_rows(tick: int, states: Mapping[str, State]) -> AccountRows:
    """Return one row for each device, more for vehicles and storages, and one for each figure of its own."""
    rows = AccountRows([], [], [], [])
    for device in sorted(states):
        state = states[device]
        state_of_charge: float | None = None
        if isinstance(state, StorageState | ChargerState | VehicleState) and state.capacity_wh:
            state_of_charge = state.stored_wh / state.capacity_wh
        if isinstance(state, VehicleState):
            rows.vehicles.append(_vehicle_row(tick, device, state))
        elif isinstance(state, StorageState):
            rows.storages.append(_storage_row(tick, device, state))
        rows.agents.append(
            AgentRow(
                tick,
                device,
                state.kind,
                state.role,  # type: ignore[attr-defined]  # every account has one, as a literal of its class
                state.latitude,
                state.longitude,
                state_of_charge,
                state.power_w,
                state.balance_neur,
                state.measured,
            )
        )
        rows.figures.extend(
            FigureRow(tick, device, name, value)
            for name, value in sorted(state.figures.items())
            if math.isfinite(value)
        )
    return rows


def _storage_row(tick: int, storage: str, state: StorageState) -> StorageRow:
    return StorageRow(
        tick,
        storage,
        state.capacity_wh,
        state.stored_wh,
        state.bought_wh,
        state.sold_wh + state.unsettled_wh,
        state.charge_loss_wh + state.discharge_loss_wh,
    )


def _vehicle_row(tick: int, vehicle: str, state: VehicleState) -> VehicleRow:
    next_latitude, next_longitude = state.next_stop or (None, None)
    destination_latitude, destination_longitude = state.destination or (None, None)
    return VehicleRow(
        tick,
        vehicle,
        state.model,
        str(state.status),
        state.consumption_wh_per_km,
        state.capacity_wh,
        state.stored_wh,
        state.speed_km_h,
        state.deadline_ms,
        next_latitude,
        next_longitude,
        destination_latitude,
        destination_longitude,
        state.charger,
    )
