"""Tables as the benchmarks print them: Markdown, to be copied into docs/benchmarks.md."""

from collections.abc import Sequence

Cell = str | int | float | None


def show(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], notes: Sequence[str] = ()
) -> None:
    """Print a table with a title above it and notes below."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(columns), *texts]) for n in range(len(columns))]
    print(f"\n### {title}\n")
    _line(columns, widths)
    _line(["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])], widths)
    for row in texts:
        _line(row, widths)
    if notes:
        print()
    for note in notes:
        print(note)
    print(flush=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> None:
    first, *rest = [
        cell.rjust(width) if n else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    print("|", " | ".join([first, *rest]), "|")


def _text(cell: Cell) -> str:
    """Return a cell as text; numbers with three digits, the precision of a shared machine."""
    if cell is None:
        return "–"
    if not isinstance(cell, float):
        return str(cell)
    for minimum, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(cell) >= minimum:
            return f"{cell:.{digits}f}"
    return f"{cell:.3f}"
