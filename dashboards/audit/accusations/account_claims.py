"""What an account says, compared with itself and with the limits of its sender."""

from gridfleet.broker.protocol.messages import (
    BuyerState,
    ChargerState,
    Limits,
    ProducerState,
    State,
    StorageState,
    VehicleState,
)


def account_error(state: State, limits: Limits) -> str:
    """Return what contradicts itself or the limits in an account; empty for nothing."""
    if isinstance(state, ProducerState):
        return _generation_error(state, limits)
    if isinstance(state, BuyerState) and (error := _purchase_error(state, limits)):
        return error
    if isinstance(state, StorageState) and state.announced_wh > limits.sells_wh:
        return f"{state.announced_wh} Wh announced; its limit is {limits.sells_wh} Wh"
    if isinstance(state, StorageState | ChargerState | VehicleState):
        return _battery_error(state.stored_wh, state.capacity_wh, limits)
    return ""


def _generation_error(state: ProducerState, limits: Limits) -> str:
    parts_wh = state.sold_wh + state.curtailed_wh + state.unsettled_wh
    if state.generated_wh != parts_wh:
        return f"{state.generated_wh} Wh generated, {parts_wh} Wh sold, curtailed and unsettled"
    if state.generated_wh > limits.sells_wh:
        return f"{state.generated_wh} Wh generated; its limit is {limits.sells_wh} Wh"
    return ""


def _purchase_error(state: BuyerState, limits: Limits) -> str:
    if state.bought_wh > state.demand_wh:
        return f"{state.bought_wh} Wh bought of {state.demand_wh} Wh demanded"
    if state.demand_wh > limits.buys_wh:
        return f"{state.demand_wh} Wh demanded; its limit is {limits.buys_wh} Wh"
    return ""


def _battery_error(stored_wh: int, capacity_wh: int, limits: Limits) -> str:
    if stored_wh > capacity_wh:
        return f"{stored_wh} Wh stored in a battery of {capacity_wh} Wh"
    if capacity_wh > limits.capacity_wh:
        return f"a battery of {capacity_wh} Wh; its limit is {limits.capacity_wh} Wh"
    return ""
