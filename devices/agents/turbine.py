"""A wind turbine: sells the energy of the wind at its hub."""

from collections.abc import Sequence
from typing import Final

from gridfleet.broker.protocol.messages import Settings
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.instruments import SIMULATED, Instruments, NoReadingError
from gridfleet.devices.agents.roles.producer import Producer
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.physics.air import density_kg_per_m3, pressure_at_height_pa
from gridfleet.devices.physics.turbine import power_w
from gridfleet.devices.weather import Weather, WeatherSpanError

_TICK_S: Final = TICK_MS // 1000
_UNSCALED: Final = Settings()


class Turbine(Producer):
    """One wind turbine."""

    kind = "turbine"
    __slots__ = ("_carry_ws", "_pressure_pa", "_rotor_diameter_m", "_wind", "_wind_factor")

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        rotor_diameter_m: float,
        wind: Weather,
        roster: Roster,
        hub_height_m: float = 0.0,
        wind_factor: float = 1.0,
        neighbours: Sequence[str] = (),
        label: str = "",
        instruments: Instruments = SIMULATED,
    ) -> None:
        """`wind_factor` is the wind speed at the hub over that of `wind`.

        `instruments` belong to a measured wind; a scenario's scales do not apply to it.
        """
        super().__init__(
            agent_id,
            cell,
            latitude,
            longitude,
            roster=roster,
            neighbours=neighbours,
            label=label,
            instruments=instruments,
        )
        self._rotor_diameter_m = rotor_diameter_m
        self._pressure_pa = pressure_at_height_pa(hub_height_m)
        self._wind_factor = wind_factor
        self._wind = wind
        self._carry_ws = 0

    def generate(self) -> int:
        """Read the wind; return the energy of this tick in Wh. Fractions of a Wh are carried to the next tick.

        It is 0 where there is no weather for the clock's time, or a sensor has failed.
        """
        try:
            reading = self._wind.at(self.tick_ms, self.latitude, self.longitude)
        except (WeatherSpanError, NoReadingError) as error:
            self.refuse("weather" if isinstance(error, WeatherSpanError) else "sensor")
            self.power_w = 0
            return 0
        settings = self.tick_message.settings if self.instruments is SIMULATED else _UNSCALED
        speed_mps = reading.speed_mps * self._wind_factor * settings.wind_scale
        density = density_kg_per_m3(reading.temperature_c, self._pressure_pa)
        power = power_w(speed_mps, self._rotor_diameter_m, density)
        self.power_w = round(power * settings.turbine_scale)
        energy_wh, self._carry_ws = divmod(self.power_w * _TICK_S + self._carry_ws, 3600)
        return energy_wh
