"""Which chargers are out of service: the words of the setting `chargers_out`, and whom they mean.

The words are ids of chargers, names of cells, `all`, or a share such as `25%`; several are set apart by commas or
blanks. A share is drawn by the chargers' ids alone, so that every device agrees, and a larger share holds a smaller.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import ID_PATTERN
from gridfleet.devices.random_streams import RandomStream

EVERYBODY: Final = "all"
STATUS: Final = "out of service"
"""What a charger that is out of service says of itself."""
_APART: Final = re.compile(r"[,\s]+")
_SHARE: Final = re.compile(r"(100|\d{1,2})%")


class Outage(NamedTuple):
    """Whom the words mean."""

    names: frozenset[str]
    """Chargers and cells."""
    share: float
    """Of all chargers, 0 to 1."""

    def includes(self, charger: str, cell: str) -> bool:
        """Tell whether a charger of a cell is out of service."""
        if charger in self.names or cell in self.names:
            return True
        return self.share > 0 and RandomStream(0, "out of service", charger).random() < self.share


@lru_cache(maxsize=64)
def read(words: str) -> Outage:
    """Return whom the words mean; raise ValueError for a word that can be none of them."""
    names: set[str] = set()
    share = 0.0
    for word in filter(None, _APART.split(words)):
        if word == EVERYBODY:
            share = 1.0
        elif found := _SHARE.fullmatch(word):
            share = max(share, int(found[1]) / 100)
        elif re.match(ID_PATTERN, word):
            names.add(word)
        else:
            raise ValueError(f"{word!r} is no charger, no cell, no share such as 25% and not {EVERYBODY!r}")
    return Outage(frozenset(names), share)


def checked(words: str) -> str:
    """Return the words; raise ValueError where they cannot be read."""
    read(words)
    return words
