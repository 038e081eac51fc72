"""Tables shipped with the product; every file names its source and licence."""

from importlib.resources import files

from gridfleet.broker.readers.csv_rows import rows_of


def read_text(name: str) -> str:
    """Return the text of a shipped table; FileNotFoundError if there is none of that name."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def read_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a shipped CSV table by column name; lines that begin with # are comments."""
    lines = [line for line in read_text(name).splitlines() if not line.startswith("#")]
    (_, header), *rows = rows_of(lines)
    return [dict(zip(header, row, strict=True)) for _, row in rows]
