"""The error of everything that is read from outside."""

from typing import Final

from gridfleet.broker.errors import GridFleetError

MAX_DEPTH: Final = 32
"""Most tables or lists within each other; no file of ours has more than six."""
MAX_INTEGER: Final = 2**63 - 1
"""Largest whole number in a file; the store and other programs have 64 bits."""


class ReadError(GridFleetError, ValueError):
    """Something from outside that cannot be read: `problem` says what is wrong, `line` where, if known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem = problem
        self.line = line


def check_depth(value: object, what: str) -> None:
    """Raise ReadError where tables or lists are nested deeper than MAX_DEPTH, or a whole number has over 64 bits.

    `what` the value is goes into the error. No recursion: the value may be of any depth.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, int) and abs(each) > MAX_INTEGER:
                raise ReadError(f"{what} with a whole number of more than 64 bits: write a smaller one")
        if not inner:
            return
        level = inner
    raise ReadError(f"{what} with more than {MAX_DEPTH} tables or lists within each other: use fewer")
