"""Which chargers are out of service, as the setting `chargers_out` says.

Its value is a list, separated by commas or blanks, of charger ids, cell names, shares such as `25%`, and `all`. A
share is drawn by the chargers' ids alone, so that every device finds the same chargers, and a larger share includes
a smaller one.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import ID_PATTERN
from gridfleet.devices.random_streams import RandomStream

ALL_CHARGERS: Final = "all"
_SEPARATOR: Final = re.compile(r"[,\s]+")
_SHARE: Final = re.compile(r"(100|\d{1,2})%")


class OutOfService(NamedTuple):
    """A set of chargers."""

    names: frozenset[str]
    """Ids of chargers and names of cells."""
    share: float
    """Share of all chargers, 0 to 1."""

    def includes(self, charger: str, cell: str) -> bool:
        """Whether a charger of a cell is out of service."""
        if charger in self.names or cell in self.names:
            return True
        return self.share > 0 and RandomStream(0, "out of service", charger).random() < self.share


@lru_cache(maxsize=64)
def parse_chargers_out(chargers_out: str) -> OutOfService:
    """Return the chargers that a value of `chargers_out` names; raise ValueError if it is not valid.

    >>> parse_chargers_out("north, 25%")
    OutOfService(names=frozenset({'north'}), share=0.25)
    """
    names: set[str] = set()
    share = 0.0
    for item in filter(None, _SEPARATOR.split(chargers_out)):
        if item == ALL_CHARGERS:
            share = 1.0
        elif found := _SHARE.fullmatch(item):
            share = max(share, int(found[1]) / 100)
        elif re.match(ID_PATTERN, item):
            names.add(item)
        else:
            raise ValueError(
                f"{item!r}: expected the id of a charger, the name of a cell, a share such as 25%, or {ALL_CHARGERS}"
            )
    return OutOfService(frozenset(names), share)


def validated_chargers_out(chargers_out: str) -> str:
    """Return a value of `chargers_out`; raise ValueError if it is not valid."""
    parse_chargers_out(chargers_out)
    return chargers_out
