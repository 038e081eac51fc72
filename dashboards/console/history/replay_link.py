"""Links from a report to the page on which its run is shown again."""

from typing import Final
from urllib.parse import quote

from gridfleet.broker.address import PAGE_PORT

REPLAY_ADDRESS: Final = f"http://127.0.0.1:{PAGE_PORT}/"
"""Where `gridfleet replay` shows a run; a page that serves a report itself puts its own address there."""


def replay_link(tick: int, device: str | None = None) -> str:
    """Return the address at which a tick and a device of a run are shown while it is replayed; ticks count from 0.

    >>> replay_link(40, "charger-03")
    'http://127.0.0.1:8470/#t=41&device=charger-03'
    """
    return f"{REPLAY_ADDRESS}#t={tick + 1}" + (f"&device={quote(device)}" if device else "")
