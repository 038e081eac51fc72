"""Mutations of an input: what disks, editors, networks and other programs do to it, drawn from a seed."""

import random
from typing import Final

TOKENS: Final = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b";", b",", b'"', b"'", b"\\u0000", b"\\", b"=", b"[", b"]",
    b"{", b"}", b"-1", b"0", b"1e999", b"nan", b"inf", b"-0.0", b"5e-324", b"5_2", b"9" * 40, b"9" * 5000,
    b"9223372036854775808", b"0x" + b"f" * 90, b"true", b"null", b"0001-01-01T00:00:00", b"9999-12-31T23:59:59",
    b"2025-02-30", b"+14:00", b"\x1b[31m", "٣ü€😀\u202e".encode(), b"[" * 3000, b"{" * 3000, b'{"a":' * 1500,
    b"a." * 3000, b"x" * 20_000, b"PK\x03\x04", b"\x1f\x8b", b"SQLite format 3\0",
)  # fmt: skip
MOST_STEPS: Final = 4
MOST_BYTES: Final = 1 << 20


def mutated(content: bytes, others: tuple[bytes, ...], rng: random.Random) -> bytes:
    """Return a content with one to MOST_STEPS changes; `others` are inputs of the same kind, to splice with."""
    for _ in range(rng.randint(1, MOST_STEPS)):
        content = _changed(content, others, rng)
    return content[:MOST_BYTES]


def _changed(content: bytes, others: tuple[bytes, ...], rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    end = min(len(content), place + rng.choice((1, 1, 2, 8, 64, 1000)))
    before, part, after = content[:place], content[place:end], content[end:]
    match rng.randrange(8):
        case 0 if part:
            part = bytes([part[0] ^ 1 << rng.randrange(8)]) + part[1:]
        case 1:
            part = b""
        case 2:
            part *= rng.choice((2, 3, 50))
        case 3:
            part = after = b""
        case 4:
            other = rng.choice(others)
            part, after = b"", other[rng.randrange(len(other) + 1) :]
        case 5:
            part = bytes(rng.randrange(256) for _ in range(rng.randint(1, 16)))
        case 6:
            lines = content.splitlines(keepends=True)
            rng.shuffle(lines)
            before, part, after = b"", b"".join(lines), b""
        case _:
            part = rng.choice(TOKENS) + (part if rng.random() < 0.5 else b"")
    return before + part + after
