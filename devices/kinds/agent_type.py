"""The definition of a kind of device: `AgentType`, and `AgentContext`, from which its agent is built."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import ValidationError

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import KIND_PATTERN, Limits, Role
from gridfleet.broker.protocol.units import ueur, wh
from gridfleet.devices.agents.base import Agent, AgentError
from gridfleet.devices.agents.instruments import SIMULATED, Instruments
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.config.sensor_tables import PinTable
from gridfleet.devices.config.shared_tables import MarketTable, Spread, TrustTable
from gridfleet.devices.edge.hardware.faults import ControlError, HardwareError
from gridfleet.devices.kinds.checked_agent import checked
from gridfleet.devices.physics.time_series import LoadSeries, PriceSeries
from gridfleet.devices.plugins import place_of
from gridfleet.devices.random_streams import RandomStream
from gridfleet.devices.trust.announcements import NOTHING_HEARD, Announcements
from gridfleet.devices.trust.register import Register
from gridfleet.devices.trust.trust import Trust
from gridfleet.devices.weather import Weather
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK, SiteClock

S_co = TypeVar("S_co", bound="AgentSettings", covariant=True)
Area = tuple[float, float, float, float]
"""South, north, west, east in degrees."""
_KEYS: Final = (
    # of scenarios
    "name title about site seed start ticks settings area weather market turbines households commerce farms chargers "
    "vehicles reactors events trust folder emissions time_zone "
    # of device files
    "id kind cell neighbours place label backend broker control telemetry adc anemometer vane brake lamp alive plug "
    "contactor stop current voltage safety mock"
)
RESERVED: Final = frozenset(_KEYS.split())
"""Names that no kind may have, because its table would have the name of another key."""
ROLES_OF_KINDS: Final = tuple(role for role in Role if role is not Role.CLOCK)


class AgentSettings(PinTable):
    """Base of the settings of a kind: pydantic fields with limits and defaults; every one needs a default.

    `PINS` and `CHANNELS` name those that are pins and channels of the converter: a device file that uses one twice is
    refused.
    """

    NEEDED_ON_PINS: ClassVar[tuple[str, ...]] = ()
    """Its keys that a device file with `backend = "gpio"` or `"mock"` must have; their default is None."""

    def needed(self, key: str) -> int:
        """Return a pin or channel that is needed on pins; raise HardwareError where the device file has none."""
        number: int | None = getattr(self, key)
        if number is None:
            raise HardwareError(f"{type(self).__name__}: {key} is not set; add it to NEEDED_ON_PINS")
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentContext(Generic[S_co]):
    """What an agent is built from: who and where it is, its settings, and what surrounds it.

    The simulation, fleets and single devices all fill it.
    """

    id: str
    cell: str
    latitude: float
    longitude: float
    """Degrees."""
    label: str
    """For people; empty unless the user gave one."""
    settings: S_co
    """The table of the scenario or of the device file."""
    market: MarketTable
    """Prices of the market, and the size of a package."""
    reactor: str | None
    """The grid supply that serves its cell; None where there is none."""
    neighbours: tuple[str, ...]
    """The cells beside its own."""
    area: Area
    """Its cell."""
    weather: Weather
    measured_at_m: float | None
    """Height of the weather's wind above ground; None where it is that at the hub."""
    roster: Roster
    """The members of its cell's market, for producers and storages."""
    charger_rosters: tuple[Roster, ...]
    """The chargers of its cell and of each neighbour, for vehicles."""
    random: RandomStream
    """Its own stream of random numbers, by seed and id."""
    start_ms: int
    """Simulated time at which the run begins; 0 for a single device, which does not know it."""
    load: LoadSeries | None = None
    """The measured load of a consumer; None where its load profile counts."""
    reactor_prices: PriceSeries | None = None
    """The reactor's price over time; None where it is the market's, always."""
    clock: SiteClock = STANDARD_CLOCK
    """The site's clock: its standard time, and the legal time of its zone."""
    register: Register | None = None
    """The site's register; None where everybody is believed."""
    announcements: Announcements = NOTHING_HEARD
    """The supplies that the producers of its cell announce."""
    hardware: Any = None
    """Its control loop on real or mocked pins; None where it is simulated."""
    agent_class: Callable[..., Agent] | None = None
    """A class of the user's own that is built instead of the kind's."""

    @property
    def identity(self) -> tuple[str, str, float, float]:
        """Id, cell, latitude and longitude: the first arguments of every agent."""
        return self.id, self.cell, self.latitude, self.longitude

    @property
    def instruments(self) -> Instruments:
        """Its hardware as the agent's instruments."""
        return self.hardware if self.hardware is not None else SIMULATED

    @property
    def as_buyer(self) -> dict[str, Any]:
        """What the constructors of buyers need of the market."""
        return {
            "reactor": self.reactor,
            "reactor_price_ueur_per_kwh": ueur(self.market.reactor_price_eur_per_kwh),
        }

    @property
    def as_seller(self) -> dict[str, Any]:
        """What the constructors of producers need of their cell."""
        return {"roster": self.roster, "neighbours": self.neighbours, "instruments": self.instruments}

    @property
    def as_storage(self) -> dict[str, Any]:
        """What the constructors of storages need."""
        return {**self.as_buyer, **self.as_seller}

    @property
    def package_wh(self) -> int:
        """The size of a package, Wh."""
        return wh(self.market.package_kwh)

    def draw(self, value: Spread) -> float:
        """Return a setting's value: as it is, or drawn between two limits from the agent's random numbers."""
        return self.random.uniform(*value) if isinstance(value, tuple) else value


@dataclass(frozen=True, kw_only=True)
class AgentType(Generic[S_co]):
    """A kind of device, for the entry-point group `gridfleet.agents`.

    Everything around a device – access rights, audit, report, telemetry, pages – depends on its role.
    """

    name: str
    """The kind: `kind` in device files, the name of its table there and in scenarios, and its agent's `kind`."""
    role: Role
    settings: type[S_co]
    """The model of its table, in scenarios and device files alike."""
    build: Callable[[AgentContext[S_co]], Agent]
    """Builds an agent; often its class."""
    limits: Callable[[S_co, MarketTable], Limits] | None = None
    """What a device with these settings may be believed in; None for no limits but the site's price cap."""
    parts: tuple[str, ...] = ()
    """The tables of pins and sensors that its device file may have, such as `anemometer`."""
    needed_parts: tuple[str, ...] = ()
    """Those of them that it cannot do without."""
    control: Callable[[Any, Any], Any] | None = None
    """Builds its control loop from device file and board; None for a kind that has no pins."""
    plant: Callable[[Any, Any], Any] | None = None
    """Builds what surrounds its mocked pins, from the mocked board and the device file; None for nothing."""

    def __post_init__(self) -> None:
        if self.name in RESERVED or not re.fullmatch(KIND_PATTERN, self.name):
            why = (
                "is a key of scenarios or device files"
                if self.name in RESERVED
                else "a kind has up to 32 lower-case letters, digits, _ and -"
            )
            raise ValueError(f"name = {self.name!r}: {why}; choose another name")
        if self.role not in ROLES_OF_KINDS:
            allowed = ", ".join(role.value for role in ROLES_OF_KINDS)
            raise ValueError(f"{self.name}: role = {str(self.role)!r}; allowed are {allowed}")
        object.__setattr__(self, "role", Role(self.role))
        if isinstance(self.build, type) and issubclass(self.build, Agent):
            self._check(self.build)
        names = (*self.settings.PINS, *self.settings.CHANNELS, *self.settings.NEEDED_ON_PINS)
        unknown = [name for name in names if name not in self.settings.model_fields]
        if unknown:
            raise ValueError(
                f"{self.settings.__name__}: PINS, CHANNELS or NEEDED_ON_PINS name {', '.join(unknown)}, "
                "which it does not define"
            )
        try:
            self.settings()
        except ValidationError as error:
            keys = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
            raise ValueError(
                f"{self.settings.__name__}: every setting needs a valid default: {keys}"
            ) from None

    def make(self, context: AgentContext[Any]) -> Agent:
        """Build an agent; raise AgentError where it is not what the type says, or cannot be built."""
        try:
            agent = self.build(context)
            self._check(agent)
            if context.reactor_prices is not None:
                agent.follow_prices(context.reactor_prices)
            if context.register is not None:
                agent.trust = Trust(context.register, context.announcements)
            return checked(agent)
        except GridFleetError:
            raise
        except Exception as error:
            text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise AgentError(
                f"{context.id}, a {self.name}: cannot be built: {text}{place_of(error)}", located=True
            ) from error

    def limits_of(self, settings: Any, market: MarketTable, trust: TrustTable) -> Limits:  # noqa: ANN401 - its own settings
        """Return what a device with these settings may be believed in; raise AgentError where that fails."""
        cap = max(
            trust.price_cap_eur_per_kwh, market.consumer_price_eur_per_kwh, market.reactor_price_eur_per_kwh
        )
        if self.limits is None:
            return Limits(price_ueur_per_kwh=ueur(cap))
        try:
            return self.limits(settings, market)
        except Exception as error:
            raise AgentError(
                f"{self.name}: its limits cannot be computed: {type(error).__name__}: {error}{place_of(error)}; "
                "correct the kind's `limits`",
                located=True,
            ) from error

    def make_control(self, device: Any, board: Any) -> Any:  # noqa: ANN401 - a DeviceFile, a Board and a ControlLoop
        """Build the control loop of a device on pins; raise ControlError where that fails."""
        if self.control is None:
            raise TypeError(f"{device.id}: a {self.name} has no pins")
        return self._built(self.control, "control loop", device.id, device, board)

    def make_plant(self, pi: Any, device: Any) -> Any:  # noqa: ANN401 - a MockPi, a DeviceFile and a Plant
        """Build what surrounds the mocked pins of a device; None where its kind names nothing.

        Raises ControlError where that fails.
        """
        return None if self.plant is None else self._built(self.plant, "plant", device.id, pi, device)

    def _built(self, build: Callable[[Any, Any], Any], what: str, device: str, *arguments: Any) -> Any:  # noqa: ANN401
        try:
            return build(*arguments)
        except GridFleetError:
            raise
        except Exception as error:
            raise ControlError(
                f"{device}, a {self.name}: its {what} cannot be built: "
                f"{type(error).__name__}: {error}{place_of(error)}"
            ) from error

    def _check(self, agent: Any) -> None:  # noqa: ANN401 - whatever `build` returns, or the class that it is
        """Raise ValueError for an agent, or a class of agents, of another role or kind."""
        name = agent.__name__ if isinstance(agent, type) else type(agent).__name__
        for what, expected in (("role", self.role), ("kind", self.name)):
            found = getattr(agent, what, None)
            if found != expected:
                raise ValueError(
                    f"{name}: {what} = {str(found)!r}, but its AgentType says {str(expected)!r}; give both the same"
                )
