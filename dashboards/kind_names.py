"""Names of kinds of device as people read them. A kind is any name; nothing is decided by it."""

from typing import Final

_ES: Final = ("s", "x", "z", "ch", "sh")


def singular(kind: str) -> str:
    """Return a kind as a noun.

    >>> singular("heat-pump")
    'heat pump'
    """
    return kind.replace("-", " ").replace("_", " ")


def plural(kind: str) -> str:
    """Return a kind as a noun in the plural.

    >>> plural("turbine"), plural("battery"), plural("heat-pump"), plural("switch")
    ('turbines', 'batteries', 'heat pumps', 'switches')
    """
    noun = singular(kind)
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_ES) else f"{noun}s"


def counted(count: int, kind: str) -> str:
    """Return a number of devices of a kind.

    >>> counted(1, "heat-pump"), counted(20, "battery")
    ('1 heat pump', '20 batteries')
    """
    return f"{count} {singular(kind) if count == 1 else plural(kind)}"
