"""The electric vehicle: its model, what it pays, and where it drives."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gridfleet.broker.protocol.messages import Limits, Role
from gridfleet.broker.protocol.units import MS_PER_DAY, NEUR_PER_EUR, ueur
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.charging.offer_ranking import Weights
from gridfleet.devices.config.shared_tables import (
    Fee,
    Latitude,
    Longitude,
    MarketTable,
    Price,
    ShareOrLimits,
    Table,
)
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType, Area

if TYPE_CHECKING:
    from gridfleet.devices.charging.itinerary import Commute


def _known_model(model: str) -> str:
    """Return the name of a model; raise ValueError where the table of models does not have it."""
    from gridfleet.devices.physics.vehicle_models import vehicle_models

    models = sorted(known.model for known in vehicle_models())
    if model and model not in models:
        close = get_close_matches(model, models, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(models)}"
        raise ValueError(f"unknown model; {hint}")
    return model


class WeightsTable(Table):
    """Weights of the offer ranking `weighted`; only their ratios matter."""

    distance: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of the distance to the charger."""
    price: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of the price."""
    energy: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of the energy that the charger offers."""


class VehicleSettings(AgentSettings):
    """An electric vehicle of a known model, and the area in which it drives."""

    model: Annotated[str, AfterValidator(_known_model)] = ""
    """A model of the shipped table; drawn from the seed without it."""
    stored_share: ShareOrLimits = 0.5
    """State of charge at the start; of two limits each device draws its own."""
    price_limit_eur_per_kwh: Price = 1.01
    """The highest price that it pays; offers above it are not accepted."""
    no_show_fee_limit_eur: Fee = 10.0
    """The highest fee for not coming; offers with a higher one are not accepted."""
    use: Literal["wander", "commute"] = "wander"
    """Sets out at random, to anywhere, as in the original system: hundreds of km a day; or drives between home, work
    and errands by the legal clock, 30 to 50 km a day."""
    work_km: Annotated[float, Field(gt=0, le=200)] = 14.0
    """Mean distance from home to work of a vehicle that commutes."""
    errand_km: Annotated[float, Field(gt=0, le=200)] = 8.0
    """Mean distance from home to its errands."""
    weights: WeightsTable = WeightsTable()
    """For the ranking `weighted`."""
    south: Latitude | None = None
    """Southern edge of the rectangle of its destinations; without the rectangle its cell."""
    north: Latitude | None = None
    """Northern edge of that rectangle."""
    west: Longitude | None = None
    """Western edge of that rectangle."""
    east: Longitude | None = None
    """Eastern edge of that rectangle; give all four, or none."""

    @model_validator(mode="after")
    def _whole_rectangle(self) -> "VehicleSettings":
        south, north, west, east = self.south, self.north, self.west, self.east
        if south is None and north is None and west is None and east is None:
            return self
        if south is None or north is None or west is None or east is None:
            raise ValueError("give all of south, north, west and east, or none of them")
        if south >= north or west >= east:
            raise ValueError("south must be less than north, and west less than east")
        return self


def limits(settings: VehicleSettings, _market: MarketTable) -> Limits:
    """Return battery and charging power of its model; the largest of the table where the model is drawn."""
    from gridfleet.devices.physics.vehicle_models import vehicle_models

    models = [known for known in vehicle_models() if settings.model in {"", known.model}]
    return Limits(
        capacity_wh=max(model.capacity_wh for model in models),
        power_w=max(model.charge_power_w for model in models),
    )


def build(context: AgentContext[VehicleSettings]) -> Agent:
    """Return an electric vehicle."""
    from gridfleet.devices.agents.vehicle import Vehicle
    from gridfleet.devices.physics.vehicle_models import vehicle_models

    settings, models = context.settings, vehicle_models()
    if settings.model:
        model = next(known for known in models if known.model == settings.model)
    else:
        model = models[context.random.below(len(models))]
    area = context.area
    if (
        settings.south is not None
        and settings.north is not None
        and settings.west is not None
        and settings.east is not None
    ):
        area = (settings.south, settings.north, settings.west, settings.east)
    weights = settings.weights
    return Vehicle(
        *context.identity,
        model=model,
        stored_wh=round(model.capacity_wh * context.draw(settings.stored_share)),
        area=area,
        cells=(context.cell, *context.neighbours),
        rosters=context.charger_rosters,
        rng=context.random,
        weights=Weights(weights.distance, weights.price, weights.energy),
        limit_ueur_per_kwh=ueur(settings.price_limit_eur_per_kwh),
        fee_limit_neur=round(settings.no_show_fee_limit_eur * NEUR_PER_EUR),
        charge_by_ms=context.start_ms + MS_PER_DAY,
        itinerary=_itinerary(context, area),
        label=context.label or model.model,
    )


def _itinerary(context: AgentContext[VehicleSettings], area: Area) -> "Commute | None":
    """Return the days of a vehicle that commutes; None for one that wanders."""
    from gridfleet.devices.charging.itinerary import Commute
    from gridfleet.devices.physics.demand import is_workday

    settings = context.settings
    if settings.use == "wander":
        return None
    return Commute(
        (context.latitude, context.longitude),
        area,
        context.random.derived("itinerary"),
        work_km=settings.work_km,
        errand_km=settings.errand_km,
        legal_ms=context.clock.legal_ms,
        is_workday=is_workday,
    )


VEHICLE: Final = AgentType(
    name="vehicle", role=Role.VEHICLE, settings=VehicleSettings, build=build, limits=limits
)
