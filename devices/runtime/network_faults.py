"""Faults of the simulated network and of its devices, drawn at random from the seed."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.units import MS_PER_S
from gridfleet.broker.protocol.validation_errors import what_is_allowed
from gridfleet.devices.config.toml_errors import unknown_key
from gridfleet.devices.random_streams import RandomStream

REORDER_MS: Final = 10_000
"""The most simulated milliseconds by which a message or a copy of it is late."""
Probability = Annotated[float, Field(ge=0, le=1)]


class FaultError(GridFleetError, ValueError):
    """An unknown fault, or a value that is not allowed."""


class Faults(BaseModel):
    """Which faults occur, and in which ticks; all are off by default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    loss: Probability = 0.0
    """Share of deliveries that never arrive."""
    duplicate: Probability = 0.0
    """Share of deliveries that arrive twice."""
    delay_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """The longest delivery in simulated seconds; delays are evenly distributed."""
    reorder: Probability = 0.0
    """Share of deliveries that are overtaken: they take up to 10 s longer."""
    partition: Probability = 0.0
    """Share of the cells (of the devices, where there is one cell) that is cut off from the others.

    The clock and the reactor are on both sides.
    """
    crash: Probability = 0.0
    """Probability that a device crashes within a tick."""
    down_ticks: Annotated[int, Field(ge=1, le=1000)] = 2
    """Ticks for which a crashed device is offline."""
    keep_state: bool = True
    """Whether it keeps its state, or restarts in its initial state."""
    skew_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """The largest error of a device's clock in seconds, in both directions."""
    from_tick: Annotated[int, Field(ge=0)] = 0
    """The first tick with faults."""
    to_tick: Annotated[int, Field(ge=0)] = 2**31
    """The first tick without faults again."""

    @property
    def any(self) -> bool:
        """Whether any fault is on."""
        values = (
            self.loss,
            self.duplicate,
            self.delay_s,
            self.reorder,
            self.partition,
            self.crash,
            self.skew_s,
        )
        return any(values)


def parse_faults(arguments: Iterable[str]) -> Faults:
    """Return the faults in `key=value` arguments; raise FaultError with key, value and what is allowed."""
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise FaultError(f"--faults {argument}: expected key=value, e.g. loss=0.05")
        values[key] = value
    return faults_of(values, "--faults")


def faults_of(values: object, origin: str) -> Faults:
    """Return the faults in a mapping from keys to values; raise FaultError as `parse_faults` does.

    `origin` names in the error where the values are from.
    """
    if not isinstance(values, Mapping):
        raise FaultError(f"{origin}: {values!r}: expected a dict, such as {{'loss': 0.05}}")
    try:
        return Faults.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        problem = (
            unknown_key(key, list(Faults.model_fields))
            if first["type"] == "extra_forbidden"
            else what_is_allowed(first)
        )
        raise FaultError(f"{origin} {key}={values[key]}: {problem}") from None


class FaultyNetwork:
    """Draws for each delivery whether, how often and how late it arrives."""

    __slots__ = ("_faults", "_random")

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._random = RandomStream(seed, "faults")

    def delays_ms(self) -> tuple[int, ...]:
        """Return the delays of the copies of one delivery that arrive; none when it is lost."""
        faults, random = self._faults, self._random
        if faults.loss and random.random() < faults.loss:
            return ()
        delay_ms = random.below(round(faults.delay_s * MS_PER_S) + 1) if faults.delay_s else 0
        if faults.reorder and random.random() < faults.reorder:
            delay_ms += 1 + random.below(REORDER_MS)
        if faults.duplicate and random.random() < faults.duplicate:
            return (delay_ms, delay_ms + random.below(REORDER_MS))
        return (delay_ms,)
