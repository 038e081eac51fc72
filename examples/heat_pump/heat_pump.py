"""A heat pump: buys more, and at a higher price, the colder its house is; on pins it switches a relay.

On pins it also reads a flow switch: without flow of water the compressor must not run.

The house is one body of heat. It loses heat to the air outside, and the heat pump gives it as much heat as its
coefficient of performance (COP) makes of the energy that it has bought.
"""

from typing import Annotated, cast

from pydantic import Field

from gridfleet import (
    AgentContext,
    AgentSettings,
    AgentType,
    Board,
    Consumer,
    DeviceControl,
    DeviceFile,
    Figure,
    GridFleetError,
    Limits,
    Package,
    Pi,
    Pin,
    Role,
    SensorFault,
    split_into_packages,
)

TICK_H = 0.25
KELVIN = 273.15
FLOW_C = 35.0
"""Temperature of the water in an underfloor heating."""
QUALITY = 0.45
"""Share of the ideal (Carnot) coefficient of performance that a real heat pump reaches."""

FLOW_WITHIN_S = 5.0
"""Seconds within which water must flow after the relay has closed."""
FLOW_FOLLOWS_S = 1.0
"""Seconds after which water flows at mocked pins."""


class HeatPumpSettings(AgentSettings):
    """The house, the heat pump, and what it pays."""

    PINS = ("relay", "flow")
    NEEDED_ON_PINS = ("relay",)

    loss_w_per_k: Annotated[float, Field(gt=0, le=10_000)] = 150.0
    """Heat that the house loses for each degree between inside and outside, W/K."""
    capacity_kwh_per_k: Annotated[float, Field(gt=0, le=1000)] = 8.0
    """Heat that warms the house by one degree, kWh/K."""
    power_kw: Annotated[float, Field(gt=0, le=1000)] = 4.0
    """Electrical power of the heat pump, kW."""
    warm_c: Annotated[float, Field(ge=5, le=30)] = 21.0
    """Temperature at which it buys nothing, °C."""
    cold_c: Annotated[float, Field(ge=0, le=30)] = 19.0
    """Temperature at which it pays the most, °C."""
    price_limit_eur_per_kwh: Annotated[float, Field(ge=0, le=100)] = 0.95
    """The most that it pays, EUR/kWh."""
    relay: Pin | None = None
    """The relay that releases the compressor, such as the contact of an SG Ready heat pump."""
    flow: Pin | None = None
    """A flow switch, which connects its pin to ground while water flows; None where there is none."""
    mock_flow: bool = True
    """Whether water flows at mocked pins while the relay is closed."""


class HeatPump(Consumer):
    """One heat pump and its house."""

    kind = "heat_pump"
    figures = (
        Figure("indoor_c", "°C", "Temperature of the house at the end of the tick."),
        Figure("outdoor_c", "°C", "Temperature of the air outside."),
        Figure("cop", "", "Heat that the heat pump makes of one unit of electrical energy."),
    )

    def __init__(self, context: AgentContext[HeatPumpSettings]) -> None:
        """Build it from its settings and surroundings; the house is warm at the start."""
        super().__init__(*context.identity, **context.as_buyer, label=context.label or "heat pump")
        self._context = context
        self._settings = context.settings
        self._indoor_c = context.settings.warm_c
        self._outdoor_c = 10.0

    @property
    def cop(self) -> float:
        """Heat per electrical energy, by the temperature outside."""
        flow_k = FLOW_C + KELVIN
        return QUALITY * flow_k / max(FLOW_C - self._outdoor_c, 5.0)

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Let the house lose a quarter of an hour's heat; bid for what makes it warm again."""
        settings = self._settings
        try:
            weather = self._context.weather.at(self.tick_ms, self.latitude, self.longitude)
            self._outdoor_c = weather.temperature_c
        except GridFleetError:
            self.refuse("weather")  # it goes on with the last temperature
        lost_kwh = settings.loss_w_per_k * (self._indoor_c - self._outdoor_c) * TICK_H / 1000
        self._indoor_c -= lost_kwh / settings.capacity_kwh_per_k
        wanted_kwh = max(settings.warm_c - self._indoor_c, 0.0) * settings.capacity_kwh_per_k / self.cop
        energy_wh = round(1000 * min(wanted_kwh, settings.power_kw * TICK_H))
        span_k = max(settings.warm_c - settings.cold_c, 0.1)
        urgency = min(max((settings.warm_c - self._indoor_c) / span_k, 0.0), 1.0)
        price_ueur_per_kwh = round(1_000_000 * settings.price_limit_eur_per_kwh * urgency)
        if self._context.hardware is not None:
            self._context.hardware.released = False  # until it has bought energy for this tick
        return split_into_packages(energy_wh, self._context.package_wh, price_ueur_per_kwh)

    def take_delivery(self, energy_wh: int) -> None:
        """Turn bought energy into heat."""
        self._indoor_c += energy_wh / 1000 * self.cop / self._settings.capacity_kwh_per_k
        if self._context.hardware is not None:
            self._context.hardware.released = True

    def read_figures(self) -> dict[str, float]:
        """Return the temperatures and the coefficient of performance."""
        return {
            "indoor_c": round(self._indoor_c, 3),
            "outdoor_c": round(self._outdoor_c, 3),
            "cop": round(self.cop, 3),
        }


class HeatPumpControl(DeviceControl):
    """The relay that releases the compressor, and the flow switch."""

    def __init__(self, device: DeviceFile, board: Board) -> None:
        """Open the relay's pin, low, then the flow switch's."""
        super().__init__(device, board)
        settings = cast("HeatPumpSettings", device.settings)
        self.released = False
        """Whether energy was bought for this tick; the agent sets it."""
        self.closed = False
        """Whether the relay is closed."""
        self._closed_at_s = 0.0
        self._dry = False
        """Whether no water has flowed since energy was bought."""
        self._relay = board.output(settings.needed("relay"), high=False)
        self._flow = board.input(settings.flow, pull_up=True) if settings.flow is not None else None
        self.open_signals()

    def step(self) -> None:
        """Close the relay while energy was bought, water flows and the agent is alive."""
        self.begin_step()
        if not self.released:
            self._dry = False  # it tries again when it has bought again
        elif self.closed and self._flow is not None:
            self._check_flow(flows=not self._flow.high)
        closed = self.released and not self._dry and not self.agent_silent
        if closed is not self.closed:
            why = "no flow" if self._dry else "energy was bought" if closed else "no energy was bought"
            self._switch(why, closed=closed)

    def make_safe(self, reason: str) -> None:
        """Open the relay."""
        if self.closed:
            self._switch(reason, closed=False)

    def readings(self) -> dict[str, float]:
        """Return whether the relay is closed and whether water flows, 0 or 1."""
        found = {"relay_closed": float(self.closed)}
        return found if self._flow is None else {**found, "water_flows": float(not self._flow.high)}

    def _check_flow(self, *, flows: bool) -> None:
        if flows:
            self.set_fault("flow", None)
        elif self.now_s() - self._closed_at_s > FLOW_WITHIN_S:
            self._dry = True
            self.set_fault("flow", SensorFault.MISSING)

    def _switch(self, reason: str, *, closed: bool) -> None:
        self.closed = closed
        self._relay.set(high=closed)
        if closed:
            self._closed_at_s = self.now_s()
        self.report("relay", "closed" if closed else "opened", reason)


class HeatingCircuit:
    """What surrounds mocked pins: the circuit's pump runs with the relay, and moves the flow switch."""

    def __init__(self, pi: Pi, device: DeviceFile) -> None:
        """Begin without flow."""
        settings = cast("HeatPumpSettings", device.settings)
        self.blocked = not settings.mock_flow
        """Whether no water flows; tests set it."""
        self.due_s = pi.now_s
        """When it acts next."""
        self._pi = pi
        self._relay, self._flow = settings.needed("relay"), settings.flow

    def act(self) -> None:
        """Move the flow switch; it is called again a tenth of a second later."""
        now_s = self._pi.now_s
        running, since_s = self._pi.level(self._relay)
        flows = running and not self.blocked and now_s - since_s >= FLOW_FOLLOWS_S
        if self._flow is not None:
            self._pi.drive(self._flow, high=not flows)
        self.due_s = now_s + 0.1


def limits(settings: HeatPumpSettings, _market: object) -> Limits:
    """Return what others may believe of a heat pump: its power, and its highest price."""
    return Limits(
        buys_wh=round(1000 * settings.power_kw * TICK_H) + 1,
        price_ueur_per_kwh=round(1_000_000 * settings.price_limit_eur_per_kwh) + 1,
    )


HEAT_PUMP = AgentType(
    name="heat_pump",
    role=Role.CONSUMER,
    settings=HeatPumpSettings,
    build=HeatPump,
    control=HeatPumpControl,
    plant=HeatingCircuit,
    limits=limits,
)
