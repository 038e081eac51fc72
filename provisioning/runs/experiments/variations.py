"""The values that a sweep varies: `key=0.5,1,2` or `key=0:1:0.25`, and the grid of their combinations."""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import product
from math import prod
from typing import Final, NamedTuple

from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.readers.toml_text import toml_value
from gridfleet.devices.config.scenario import Change, change_of
from gridfleet.provisioning.cli.exit_codes import CommandError

OPTION: Final = "--vary"
MAX_VALUES: Final = 10_000
"""Most values of one key."""
_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?"
_OPEN_RANGE: Final = re.compile(rf"{_NUMBER}:{_NUMBER}")
_RANGE: Final = re.compile(rf"({_NUMBER}):({_NUMBER}):({_NUMBER})")
_EXAMPLE: Final = "settings.turbine_scale=0,0.5,1 or settings.turbine_scale=0:1:0.25"


class Variation(NamedTuple):
    """A key and the values that it takes, as they were written."""

    key: str
    values: tuple[str, ...]

    def changes(self) -> Iterator[Change]:
        """Yield the change of the scenario for each value."""
        return (change_of(f"{self.key}={value}", OPTION) for value in self.values)


def parse_variation(text: str, *, ranges: bool = False) -> Variation:
    """Return the key and the values of an option's text; raise CommandError for one that is not allowed.

    With `ranges` a range without a step, `FROM:TO`, is one value: a sample draws from it.

    >>> parse_variation("vehicles.count=10:30:10")
    Variation(key='vehicles.count', values=('10', '20', '30'))
    >>> parse_variation("vehicles.stored_share=[0.4, 1.0],0.5").values
    ('[0.4, 1.0]', '0.5')
    """
    key, equals, written = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise CommandError(f"{OPTION} {text}", f"expected KEY=VALUES, such as {_EXAMPLE}")
    limits = _RANGE.fullmatch(written.strip())
    values = _steps(text, *limits.groups()) if limits else _split(written)
    if not ranges and any(map(_OPEN_RANGE.fullmatch, values)):
        problem = "a range needs a step, FROM:TO:STEP, or --sample N, which draws from it"
        raise CommandError(f"{OPTION} {text}", problem)
    if not all(values):
        raise CommandError(f"{OPTION} {text}", f"a value is missing: write them as {_EXAMPLE}")
    twice = _first_duplicate(Variation(key, values))
    if twice is not None:
        raise CommandError(f"{OPTION} {text}", f"{twice} is given twice: give each value once")
    return Variation(key, values)


def grid_size(variations: Iterable[Variation]) -> int:
    """Return the number of combinations."""
    return prod(len(each.values) for each in variations)


def grid(variations: Sequence[Variation]) -> Iterator[tuple[Change, ...]]:
    """Yield every combination of values as changes of the scenario; the last key varies fastest."""
    return product(*(tuple(each.changes()) for each in variations))


def short_names(keys: Sequence[str]) -> list[str]:
    """Return the keys without their tables, where that is unambiguous.

    >>> short_names(["vehicles.count", "settings.turbine_scale"]), short_names(["vehicles.count", "chargers.count"])
    (['count', 'turbine_scale'], ['vehicles.count', 'chargers.count'])
    """
    last = [key.rpartition(".")[2] for key in keys]
    return last if len(set(last)) == len(last) else list(keys)


def _steps(text: str, first: str, last: str, step: str) -> tuple[str, ...]:
    """Return the numbers of a range, its end included; they are exact."""
    begin, end, by = Decimal(first), Decimal(last), Decimal(step)
    if by == 0 or (end - begin) * by < 0:
        way = "above 0" if end >= begin else "below 0"
        raise CommandError(
            f"{OPTION} {text}", f"the step {step} does not lead from {first} to {last}: give one {way}"
        )
    count = int((end - begin) / by) + 1
    if count > MAX_VALUES:
        raise CommandError(
            f"{OPTION} {text}", f"has {count} values, at most {MAX_VALUES} are allowed: take a larger step"
        )
    numbers = (begin + by * index for index in range(count))
    return tuple(f"{number.normalize():f}" for number in numbers)


def _split(text: str) -> tuple[str, ...]:
    """Split a text at the commas that are outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts)


def _first_duplicate(variation: Variation) -> str | None:
    seen: list[object] = []
    for text in variation.values:
        try:
            value: object = toml_value(text)
        except ReadError:
            value = text
        if value in seen:
            return text
        seen.append(value)
    return None
