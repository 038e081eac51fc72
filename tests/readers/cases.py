"""Files that no reader may stumble over: those of `tests/corpus`, and larger ones made here."""

import io
import os
import zipfile
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).resolve().parent.parent / "corpus"
PRODUCT: Final = "produkt_zehn_min_ff_20250602_20250602_01975.txt"
ROWS: Final = "STATIONS_ID;MESS_DATUM;  QN;FF_10;DD_10;eor\n" + "".join(
    f"       1975;20250602{hour:02d}{minute:02d};    3;   5.2; 200;eor\n"
    for hour in range(24)
    for minute in range(0, 60, 10)
)


def dwd_zip(content: bytes = ROWS.encode("latin-1")) -> bytes:
    """Return an archive of DWD with one product."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PRODUCT, content)
        archive.writestr("Metadaten_Geographie_01975.txt", "head\n1975;11.0;53.6;10.0;20240101;;Hamburg\n")
    return packed.getvalue()


def zip_bomb(path: Path, unpacked_bytes: int) -> None:
    """Write an archive whose product unpacks to that many bytes of blanks."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(PRODUCT, "w") as member:
        block = b" " * (1 << 20)
        for _ in range(unpacked_bytes >> 20):
            member.write(block)


def flipped(content: bytes, place: int, bit: int) -> bytes:
    """Return a content with one bit changed."""
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def toml_cases() -> list[Path]:
    """Return the corpus files in TOML."""
    return sorted((CORPUS / "toml").glob("*.toml"))


def environment() -> dict[str, str]:
    """Return the environment of a command that must not write colours."""
    return {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
