"""The consumer with a standard load profile: a household, a business or a farm."""

from typing import Final, Literal, TypeAlias

from gridfleet.broker.protocol.messages import MAX_SCALE, Limits, Role
from gridfleet.broker.protocol.units import ueur
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.config.shared_tables import AnnualEnergy, MarketTable
from gridfleet.devices.kinds.agent_type import AgentContext, AgentSettings, AgentType

Profile: TypeAlias = Literal["H25", "G25", "L25"]
LABELS: Final[dict[Profile, str]] = {"H25": "household", "G25": "commerce", "L25": "farm"}


class ConsumerSettings(AgentSettings):
    """A consumer by standard load profile."""

    profile: Profile = "H25"
    """Load profile of the BDEW, 2025: household, commerce, farm."""
    annual_kwh: AnnualEnergy = 3500.0
    """Energy per year."""


def limits(settings: ConsumerSettings, market: MarketTable) -> Limits:
    """Return the largest quarter hour of the load profile at the largest scale, and the market's price."""
    from gridfleet.devices.physics.demand import load_profile

    most_wh = load_profile(settings.profile).max_energy_wh(settings.annual_kwh)
    return Limits(
        buys_wh=round(most_wh * MAX_SCALE) + 1,
        price_ueur_per_kwh=ueur(market.consumer_price_eur_per_kwh),
    )


def build(context: AgentContext[ConsumerSettings]) -> Agent:
    """Return a consumer with a standard load profile and its energy per year."""
    from gridfleet.devices.agents.household import Household
    from gridfleet.devices.physics.demand import LegalTimeLoad, load_profile

    settings = context.settings
    return Household(
        *context.identity,
        **context.as_buyer,
        load=context.load or LegalTimeLoad(load_profile(settings.profile), context.clock),
        annual_kwh=settings.annual_kwh,
        package_wh=context.package_wh,
        price_ueur_per_kwh=ueur(context.market.consumer_price_eur_per_kwh),
        label=context.label or LABELS[settings.profile],
    )


CONSUMER: Final = AgentType(
    name="consumer", role=Role.CONSUMER, settings=ConsumerSettings, build=build, limits=limits
)
