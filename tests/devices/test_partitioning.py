"""A fleet divided among processes: every device in one part, cells kept whole where that is possible."""

import pytest

from gridfleet.devices.config.scenario import parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.partitioning import part_of

ONE_CELL = Fleet(parse("", "one.toml", ""))
FOUR_CELLS = Fleet(parse("", "four.toml", "", ["area.rows=2", "area.columns=2"]))


@pytest.mark.parametrize("fleet", [ONE_CELL, FOUR_CELLS], ids=["one cell", "four cells"])
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_every_device_is_in_exactly_one_part(fleet: Fleet, parts: int) -> None:
    divided = [part_of(fleet, number, parts) for number in range(1, parts + 1)]
    assert sorted(name for part in divided for name in part) == sorted(fleet.ids)
    assert all(divided)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_with_enough_cells_no_cell_is_divided(parts: int) -> None:
    homes = [
        {FOUR_CELLS.build_agent(name).cell for name in part_of(FOUR_CELLS, n + 1, parts)}
        for n in range(parts)
    ]
    cells = [cell for part in homes for cell in part - {"site"}]
    assert sorted(cells) == sorted(cell.name for cell in FOUR_CELLS.cells)


def test_without_enough_cells_parts_are_of_equal_size() -> None:
    sizes = {len(part_of(ONE_CELL, number, 5)) for number in range(1, 6)}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("number", [0, 3])
def test_a_part_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="the number must be from 1 to 2"):
        part_of(ONE_CELL, number, 2)
