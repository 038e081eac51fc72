"""What the producers of a cell have announced; the agents of one process share it, as they share rosters."""

from typing import Final


class Announcements:
    """The last supply of each producer of a cell."""

    __slots__ = ("_supplies", "listeners")

    def __init__(self) -> None:
        self.listeners: set[str] = set()
        """The producers of this process that receive the supplies of the others in the cell."""
        self._supplies: dict[str, tuple[int, int]] = {}
        """Producer -> tick, Wh."""

    @property
    def complete(self) -> bool:
        """Whether producers of this process receive all supplies of the cell, so that no buyer needs to.

        Of two, each receives what the other announces; nobody notes its own.
        """
        return len(self.listeners) > 1

    def note(self, producer: str, tick: int, energy_wh: int) -> None:
        """Note a supply; of two for one tick the larger counts: a producer may restart in between."""
        known = self._supplies.get(producer)
        if known is None or (tick, energy_wh) > known:
            self._supplies[producer] = tick, energy_wh

    def of(self, producer: str, tick: int) -> int | None:
        """Return what a producer has announced for a tick, Wh; None where nothing was received."""
        known = self._supplies.get(producer)
        return known[1] if known is not None and known[0] == tick else None

    def clear(self) -> None:
        """Forget the ticks of an earlier run."""
        self._supplies.clear()


NOTHING_HEARD: Final = Announcements()
"""Those of an agent that believes everybody; nothing is noted there."""
