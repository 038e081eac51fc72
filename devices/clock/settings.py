"""The settings of a run: their allowed values, and their changes by plan, by operators and by a storm."""

from dataclasses import dataclass, replace
from typing import Any, Final

from gridfleet.broker.protocol.messages import MAX_OUTAGE_S, MAX_SCALE, Settings
from gridfleet.devices.charging.out_of_service import validated_chargers_out
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.market.rule_registry import CLEARING_RULES

SETTINGS: Final = (
    "consumer_scale",
    "vehicle_scale",
    "turbine_scale",
    "wind_scale",
    "algorithm",
    "clearing_rule",
    "chargers_out",
    "outage_s",
)
_MAX_VALUES: Final = {"wind_scale": 5.0, "outage_s": float(MAX_OUTAGE_S)}
"""The highest values of numeric settings, where they differ from MAX_SCALE."""
STORM_WIND_SCALE: Final = 2.0
STORM_TICKS: Final = 4
"""A storm that an operator orders: STORM_WIND_SCALE for STORM_TICKS ticks, then every turbine stands still."""

Value = bool | float | str
"""The types of a control's value."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of settings that is planned for the beginning of a tick."""

    tick: int
    changes: tuple[tuple[str, float | str], ...]
    title: str = ""


class SettingsPlan:
    """The settings in force, and the changes planned for later ticks."""

    __slots__ = ("_events", "_initial", "_storm", "current")

    def __init__(self, initial: Settings, events: tuple[Event, ...] = ()) -> None:
        self.current = initial
        self._initial = initial
        self._events = events
        self._storm: tuple[Event, ...] = ()

    def set(self, name: str, value: Value) -> None:
        """Change one setting; raise ValueError or TypeError when the value is not allowed."""
        self.current = replace(changed(self.current, name, value), note="")

    def begin_tick(self, tick: int) -> None:
        """Apply the changes that are planned for a tick."""
        for event in (*self._events, *self._storm):
            if event.tick == tick:
                for name, value in event.changes:
                    self.current = changed(self.current, name, value)
                self.current = replace(self.current, note=event.title)

    def end_outage(self) -> None:
        """Reset the outage, which lasts one phase only."""
        if self.current.outage_s:
            self.current = replace(self.current, outage_s=0.0)

    def order_storm(self, first_tick: int) -> None:
        """Plan a gale from a tick on, and the damage that it does to the turbines."""
        usual_wind = ("wind_scale", self._initial.wind_scale)
        self._storm = (
            Event(first_tick, (("wind_scale", STORM_WIND_SCALE),), "Gale"),
            Event(
                first_tick + STORM_TICKS, (usual_wind, ("turbine_scale", 0.0)), "Storm damage: turbines off"
            ),
        )

    def cancel_storm(self) -> None:
        """Plan no storm; set wind and turbines as they were at the start of the run."""
        self._storm = ()
        wind_scale, turbine_scale = self._initial.wind_scale, self._initial.turbine_scale
        self.current = replace(self.current, wind_scale=wind_scale, turbine_scale=turbine_scale, note="")


def changed(settings: Settings, name: str, value: Value) -> Settings:
    """Return settings with one changed; raise ValueError or TypeError when the value is not allowed."""
    if name == "algorithm":
        return replace(settings, algorithm=OFFER_RANKINGS.checked(str(value)))
    if name == "clearing_rule":
        return replace(settings, clearing_rule=CLEARING_RULES.checked(str(value)))
    if name == "chargers_out":
        if not isinstance(value, str):
            raise TypeError(f"{name} = {value!r}: expected text")
        return replace(settings, chargers_out=validated_chargers_out(value))
    highest = _MAX_VALUES.get(name, MAX_SCALE)
    if isinstance(value, bool | str) or not 0 <= value <= highest:
        raise ValueError(f"{name} = {value!r}: expected a number from 0 to {highest:g}")
    scale: dict[str, Any] = {name: float(value)}
    return replace(settings, **scale)
