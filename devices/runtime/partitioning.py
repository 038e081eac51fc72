"""Divides a fleet among processes: by cell where there are enough cells, else device by device."""

from collections.abc import Iterator

from gridfleet.devices.runtime.fleet import Fleet


def part_of(fleet: Fleet, number: int, parts: int) -> list[str]:
    """Return the ids of part `number` (from 1) of `parts`; every device is in exactly one part.

    With at least as many cells as parts, a part is whole cells, so that a cell's messages stay in one process.
    Raises ValueError for a number that is not from 1 to `parts`.
    """
    if not 1 <= number <= parts:
        raise ValueError(f"part {number} of {parts}: the number must be from 1 to {parts}")
    return [device for device, part in _parts(fleet, parts) if part == number - 1]


def _parts(fleet: Fleet, parts: int) -> Iterator[tuple[str, int]]:
    """Yield every device with its part, from 0."""
    cells = len(fleet.cells)
    for index, device in enumerate(fleet.ids):
        yield device, (fleet.cell_number(device) * parts // cells if cells >= parts else index % parts)
