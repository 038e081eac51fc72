"""Raises the limit of file descriptors, so that a process can open a connection for each of its devices."""

import resource
from typing import Final

from gridfleet.broker.errors import BrokerError

SPARE: Final = 64
"""File descriptors for everything but connections."""


def raise_descriptor_limit(connections: int) -> None:
    """Raise the limit of this process for that many connections; raise BrokerError with a remedy where it cannot."""
    wanted = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft in {resource.RLIM_INFINITY, hard} or soft >= wanted:
        allowed = soft
    else:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        raise BrokerError(
            f"{connections} connections need {wanted} file descriptors, and this process may have {allowed}: "
            f"raise the limit (`ulimit -Hn {wanted}` as root, LimitNOFILE={wanted} in a systemd unit, "
            f"`--ulimit nofile={wanted}` for a container), or divide the fleet among more processes"
        )
