"""Latin hypercube samples: N settings in which each key takes N values spread evenly over its range.

M. D. McKay, R. J. Beckman, W. J. Conover, "A comparison of three methods for selecting values of input variables in the
analysis of output from a computer code", Technometrics 21 (1979) 239. Each range is cut into N equal parts, each part
is drawn once, and the parts of the keys are put together at random. The draws come from the seed of the sample.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from gridfleet.devices.config.scenario import Change, change_of
from gridfleet.devices.random_streams import RandomStream
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.runs.experiments.variations import OPTION, Variation

_DIGITS: Final = 6
_RANGE: Final = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d{1,2})?):([+-]?[\d.]+(?:[eE][+-]?\d{1,2})?)")


def is_range(text: str) -> bool:
    """Return whether a text is a range to sample from, such as `0.5:2`.

    >>> is_range("0.5:2"), is_range("0.5,2"), is_range("0:2:0.5")
    (True, False, False)
    """
    return _RANGE.fullmatch(text.strip()) is not None


def latin_hypercube(variations: Sequence[Variation], size: int, seed: int) -> Iterator[tuple[Change, ...]]:
    """Yield `size` combinations of values as changes of the scenario.

    A variation is one range, `LOW:HIGH`, of which whole limits give whole numbers, or values, each of which is taken
    equally often.
    """
    columns = [_column(variation, size, seed) for variation in variations]
    for row in zip(*columns, strict=True):
        yield tuple(
            change_of(f"{variation.key}={value}", OPTION)
            for variation, value in zip(variations, row, strict=True)
        )


def _column(variation: Variation, size: int, seed: int) -> list[str]:
    """Return the values of a key, in the order of the sample."""
    random = RandomStream(seed, "latin hypercube", variation.key)
    if len(variation.values) == 1 and is_range(variation.values[0]):
        values = _spread(variation, size, random)
    else:
        values = [variation.values[index % len(variation.values)] for index in range(size)]
    for last in range(len(values) - 1, 0, -1):
        other = random.below(last + 1)
        values[last], values[other] = values[other], values[last]
    return values


def _spread(variation: Variation, size: int, random: RandomStream) -> list[str]:
    """Return a value from each of `size` equal parts of a range."""
    (text,) = variation.values
    match = _RANGE.fullmatch(text.strip())
    low, high = (Decimal(part) for part in match.groups()) if match else (Decimal(0), Decimal(0))
    if low >= high:
        raise CommandError(f"{OPTION} {variation.key}={text}", "the first limit must be below the second")
    whole = "." not in text and "e" not in text.lower()
    found = []
    for part in range(size):
        share = (part + Decimal(repr(random.random()))) / size
        if whole:  # each whole number as often as any other
            number = low + int(share * (high - low + 1))
            found.append(str(min(number, high)))
        else:
            exact = (low + share * (high - low)).quantize(Decimal(1).scaleb(-_DIGITS), ROUND_HALF_UP)
            found.append(f"{exact.normalize():f}")
    return found
