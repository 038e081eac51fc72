"""What the terminal can take: colours and moving pictures only where somebody looks at them."""

import os
import sys
from typing import Final

_COLOURS: Final = {"bold": "1", "red": "31;1", "green": "32", "yellow": "33", "dim": "2"}


def is_live() -> bool:
    """Tell whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and _able()


def paint(text: str, colour: str) -> str:
    """Return text for standard output, coloured where that is a terminal and NO_COLOR is not set."""
    if sys.stdout.isatty() and _able() and not os.environ.get("NO_COLOR"):
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
    return text


def tell(text: str) -> None:
    """Say something to whoever sits there, on standard error."""
    print(text, file=sys.stderr, flush=True)


def _able() -> bool:
    return os.environ.get("TERM", "") not in {"", "dumb"}
