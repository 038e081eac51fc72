"""Rows of the store from the accounts that devices report at the end of a tick."""

from collections.abc import Mapping

from gridfleet.broker.protocol.messages import ChargerState, State, StorageState, VehicleState
from gridfleet.dashboards.store.rows import AgentRow, VehicleRow


def account_rows(tick: int, states: Mapping[str, State]) -> tuple[list[AgentRow], list[VehicleRow]]:
    """Return one row for each device, and one more for each vehicle, sorted by device."""
    agents: list[AgentRow] = []
    vehicles: list[VehicleRow] = []
    for device in sorted(states):
        state = states[device]
        state_of_charge: float | None = None
        if isinstance(state, StorageState | ChargerState | VehicleState) and state.capacity_wh:
            state_of_charge = state.stored_wh / state.capacity_wh
        if isinstance(state, VehicleState):
            vehicles.append(_vehicle_row(tick, device, state))
        agents.append(
            AgentRow(
                tick,
                device,
                state.kind,
                state.latitude,
                state.longitude,
                state_of_charge,
                state.power_w,
                state.balance_neur,
                state.measured,
            )
        )
    return agents, vehicles


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
