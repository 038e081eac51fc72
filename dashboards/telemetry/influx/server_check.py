"""Checks at the start that an InfluxDB accepts points with this address, organisation, bucket and token."""

import time
from typing import Final, NamedTuple

from gridfleet.dashboards.telemetry.influx.client import InfluxError, InfluxWriter
from gridfleet.dashboards.telemetry.influx.sender import BatchTooLarge, PointsRejected, WriteFailed

TEST_POINT: Final = "gridfleet_check,program=gridfleet ok=1i"
"""The point of the test write; no dashboard reads its measurement."""
OK: Final = "ok"
NOT_TRIED: Final = "not tried"


class ServerCheck(NamedTuple):
    """What was found, each as text that begins with `ok` where it is as it should be."""

    server: str
    organisation: str
    bucket: str
    write: str
    answers: bool = True
    """False where nothing answers at all: the points can wait for the server."""

    @property
    def holds(self) -> bool:
        """Whether the server accepts points."""
        return self.write == OK

    def table(self) -> str:
        """Return a line for each part."""
        return "\n".join(f"{name:13}{text}" for name, text in self._asdict().items() if name != "answers")


def check_server(writer: InfluxWriter) -> ServerCheck:
    """Ask the server for its health, and write one point, by which organisation, bucket and token show themselves."""
    target = writer.target
    try:
        version = writer.health()
    except InfluxError as error:
        return ServerCheck(f"{error}: name its address with --influx", NOT_TRIED, NOT_TRIED, NOT_TRIED)
    except WriteFailed as failure:
        return ServerCheck(
            f"{failure.reason}: is it running there?", NOT_TRIED, NOT_TRIED, NOT_TRIED, answers=False
        )
    server = f"{OK}, InfluxDB {version} at {target.url}"
    try:
        writer(f"{TEST_POINT} {time.time_ns() // 1_000_000}")
    except (PointsRejected, BatchTooLarge) as rejection:
        return ServerCheck(server, OK, OK, f"refused ({rejection})")
    except WriteFailed as failure:
        return _failed(server, failure.reason, target.org, target.bucket)
    return ServerCheck(server, f"{OK}, {target.org}", f"{OK}, {target.bucket}", OK)


def _failed(server: str, reason: str, org: str, bucket: str) -> ServerCheck:
    """Return the check of a write that failed: InfluxDB says in words what it does not know."""
    words = reason.lower()
    if words.startswith("404") and "organization" in words:
        missing = f"there is no {org} ({reason}): name another with --org"
        return ServerCheck(server, missing, NOT_TRIED, NOT_TRIED)
    if words.startswith("404"):
        remedy = "make it with `gridfleet influx setup`, or name another with --bucket"
        missing = f"there is no {bucket} ({reason}): {remedy}"
        return ServerCheck(server, f"{OK}, {org}", missing, NOT_TRIED)
    if words.startswith(("401", "403")):
        remedy = "give a token that may write into the bucket, as `gridfleet influx setup` makes it"
        return ServerCheck(server, NOT_TRIED, NOT_TRIED, f"the token is refused ({reason}): {remedy}")
    return ServerCheck(server, NOT_TRIED, NOT_TRIED, f"failed ({reason})")
