"""A fleet divided among processes: by cell where there are enough of them, else device by device."""

from collections.abc import Iterator

from gridfleet.devices.runtime.fleet import Fleet


def part_of(fleet: Fleet, number: int, parts: int) -> list[str]:
    """Return the ids of part `number` (from 1) of `parts`; every device is in exactly one.

    With as many cells as parts or more, a part is whole cells: what is said inside a cell then stays in one process.
    Raises ValueError for a number that is not one of the parts.
    """
    if not 1 <= number <= parts:
        raise ValueError(f"part {number} of {parts}: the number goes from 1 to {parts}")
    return [device for device, home in _homes(fleet, parts) if home == number - 1]


def _homes(fleet: Fleet, parts: int) -> Iterator[tuple[str, int]]:
    cells = len(fleet.cells)
    for place, device in enumerate(fleet.ids):
        yield device, (fleet.cell_number(device) * parts // cells if cells >= parts else place % parts)
