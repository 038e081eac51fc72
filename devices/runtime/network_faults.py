"""Faults on demand: what a simulated network and its devices may suffer, drawn from the seed."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.validation_errors import what_is_allowed
from gridfleet.devices.config.toml_errors import unknown_key
from gridfleet.devices.random_streams import RandomStream

MS: Final = 1000
Probability = Annotated[float, Field(ge=0, le=1)]


class FaultError(GridFleetError, ValueError):
    """A fault that does not exist or a value that is not allowed."""


class Faults(BaseModel):
    """What goes wrong, and from which tick to which; everything is off by default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    loss: Probability = 0.0
    """Share of deliveries that never arrive."""
    duplicate: Probability = 0.0
    """Share of deliveries that arrive twice."""
    delay_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Each delivery takes up to so many simulated seconds, evenly distributed."""
    reorder: Probability = 0.0
    """Share of deliveries that are overtaken: they take up to 10 s longer."""
    partition: Probability = 0.0
    """Share of the cells (of the devices, where there is one cell) that cannot hear the others.

    The clock and the reactor are on both sides.
    """
    crash: Probability = 0.0
    """Probability that a device crashes within a tick."""
    down_ticks: Annotated[int, Field(ge=1, le=1000)] = 2
    """Ticks a crashed device stays away."""
    keep_state: bool = True
    """Whether it comes back with its memory, or as it was at its first birth."""
    skew_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Each device's clock is off by up to so many seconds, either way."""
    from_tick: Annotated[int, Field(ge=0)] = 0
    to_tick: Annotated[int, Field(ge=0)] = 2**31
    """The faults hold in ticks from_tick to to_tick - 1."""

    @property
    def any(self) -> bool:
        """Whether anything can go wrong at all."""
        chances = (
            self.loss,
            self.duplicate,
            self.delay_s,
            self.reorder,
            self.partition,
            self.crash,
            self.skew_s,
        )
        return any(chances)


def parse_faults(words: Iterable[str]) -> Faults:
    """Return the faults of `key=value` words; raise FaultError naming key, value and what is allowed."""
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise FaultError(f"--faults {word}: expected key=value, e.g. loss=0.05")
        values[key] = value
    try:
        return Faults.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            problem = unknown_key(key, list(Faults.model_fields))
            raise FaultError(f"--faults {key}={values[key]}: {problem}") from None
        raise FaultError(f"--faults {key}={values[key]}: {what_is_allowed(first)}") from None


class FaultyNetwork:
    """The faulty network: decides for each delivery whether, how often and how late it arrives."""

    __slots__ = ("_chance", "_faults")

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._chance = RandomStream(seed, "faults")

    def delays_ms(self) -> tuple[int, ...]:
        """Return the delays of the copies of one delivery that arrive; none when it is lost."""
        faults, chance = self._faults, self._chance
        if faults.loss and chance.random() < faults.loss:
            return ()
        delay_ms = chance.below(round(faults.delay_s * MS) + 1) if faults.delay_s else 0
        if faults.reorder and chance.random() < faults.reorder:
            delay_ms += 1 + chance.below(10 * MS)
        if faults.duplicate and chance.random() < faults.duplicate:
            return (delay_ms, delay_ms + chance.below(10 * MS))
        return (delay_ms,)
