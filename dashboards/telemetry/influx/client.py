"""Writes to InfluxDB 2 through its client library: one synchronous request per batch, with typed failures."""

from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.install_command import install_command
from gridfleet.dashboards.errors import no_answer_reason
from gridfleet.dashboards.telemetry.influx.sender import BatchTooLarge, PointsRejected, WriteFailed
from gridfleet.dashboards.telemetry.points import PRECISION

TIMEOUT_S: Final = 10.0
_REFUSALS: Final = frozenset({400, 422})
"""Malformed, of another type than before, or older than the bucket keeps: a retry cannot succeed."""
_TOO_LARGE: Final = 413


class InfluxError(GridFleetError, ValueError):
    """An InfluxDB server that cannot be used as given; the text has a remedy."""


class Target(NamedTuple):
    """Server, organisation, bucket and token for points; its text never shows the token."""

    url: str
    org: str
    bucket: str
    token: str

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"{self.bucket} of {self.org} at {self.url}"


class InfluxWriter:
    """Call it with lines of points; a context manager."""

    def __init__(self, target: Target, *, timeout_s: float = TIMEOUT_S) -> None:
        """Connect nothing yet; raise InfluxError where the client library is missing or the address is not valid."""
        try:
            from influxdb_client.client.influxdb_client import InfluxDBClient
            from influxdb_client.client.write_api import SYNCHRONOUS
        except ImportError as error:
            problem = f"influxdb-client is not installed: {install_command('influxdb-client')}"
            raise InfluxError(problem) from error
        self._target = target
        client: Any = InfluxDBClient
        self._client = client(
            url=target.url, token=target.token, org=target.org, timeout=int(timeout_s * 1000), retries=False
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def __call__(self, lines: str) -> None:
        """Write lines; raise PointsRejected, BatchTooLarge or WriteFailed where the server does not accept all."""
        from influxdb_client.rest import ApiException
        from urllib3.exceptions import HTTPError

        target = self._target
        try:
            self._writer.write(target.bucket, target.org, lines.encode(), write_precision=PRECISION)
        except ApiException as error:
            reason = f"{error.status}: {_message(error)}"
            if error.status in _REFUSALS:
                raise PointsRejected(reason) from None
            if error.status == _TOO_LARGE:
                raise BatchTooLarge(reason) from None
            raise WriteFailed(reason, _retry_after(error)) from None
        except (HTTPError, OSError) as error:
            raise WriteFailed(f"no answer from {target.url} ({no_answer_reason(error)})") from None

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self._client.close()

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _message(error: Any) -> str:  # noqa: ANN401 - the client's, without types
    return str(error.message or error.reason or "no reason given")[:500]


def _retry_after(error: Any) -> float | None:  # noqa: ANN401 - the client's, without types
    header = (error.headers or {}).get("Retry-After")
    try:
        return None if header is None else float(header)
    except ValueError:
        return None
