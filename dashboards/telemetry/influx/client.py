"""Writes to InfluxDB 2 through its client library: one synchronous request per batch, with typed failures."""

from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gridfleet.broker.errors import GridFleetError, shown
from gridfleet.broker.install_command import install_command
from gridfleet.broker.readers.http_answers import MAX_BYTES, beginning, json_answer, retry_after_s
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.dashboards.errors import no_answer_reason
from gridfleet.dashboards.telemetry.influx.sender import BatchTooLarge, PointsRejected, WriteFailed
from gridfleet.dashboards.telemetry.points import PRECISION

TIMEOUT_S: Final = 10.0
_REFUSALS: Final = frozenset({400, 422})
"""Malformed, of another type than before, or older than the bucket keeps: a retry cannot succeed."""
_TOO_LARGE: Final = 413
_ACCEPTED: Final = 204


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
        self.target = target
        self._client = new_client(target.url, target.token, target.org, timeout_s)

    def __call__(self, lines: str) -> None:
        """Write lines; raise PointsRejected, BatchTooLarge or WriteFailed where the server does not accept all.

        Only 204 is acceptance, as InfluxDB 2 answers it: a sign-in page answers everything with 200.
        """
        from influxdb_client.rest import ApiException
        from influxdb_client.service.write_service import WriteService

        target = self.target
        try:
            _, status, _ = WriteService(self._client.api_client).post_write_with_http_info(
                target.org, target.bucket, lines.encode(), precision=PRECISION
            )
        except ApiException as error:
            reason = f"{error.status}: {message_of(error)}"
            if error.status in _REFUSALS:
                raise PointsRejected(reason) from None
            if error.status == _TOO_LARGE:
                raise BatchTooLarge(reason) from None
            headers: Any = error.headers or {}
            raise WriteFailed(reason, retry_after_s(headers.get("Retry-After"))) from None
        except no_answer_errors() as error:
            raise WriteFailed(f"no answer from {target.url} ({no_answer_reason(error)})") from None
        if status != _ACCEPTED:
            raise WriteFailed(
                f"{target.url} answers {status} instead of {_ACCEPTED}: no InfluxDB answers there"
            )

    def health(self) -> str:
        """Return the server's version, or `unknown`.

        Raises InfluxError where something else answers, and WriteFailed where nothing does.
        """
        from influxdb_client.rest import ApiException

        url = self.target.url
        try:
            answer = self._client.api_client.call_api(
                "/health", "GET", _preload_content=False, _return_http_data_only=True
            )
            content, ours = answer.read(MAX_BYTES), "X-Influxdb-Version" in answer.headers
        except ApiException as error:
            content, ours = str(error.body or "").encode(), "X-Influxdb-Version" in (error.headers or {})
        except no_answer_errors() as error:
            raise WriteFailed(f"no answer from {url} ({no_answer_reason(error)})") from None
        try:
            found = json_answer(content, "InfluxDB")
        except ReadError as error:
            if ours:
                return "unknown"
            raise InfluxError(f"{url} {error.problem}") from None
        if not ours and found.get("name") != "influxdb":
            raise InfluxError(f"{url} answers {beginning(content)!r}: no InfluxDB answers there")
        if found.get("status", "pass") != "pass":
            raise WriteFailed(f"InfluxDB is not ready: {shown(str(found.get('message', 'no reason given')))}")
        return shown(str(found.get("version", "unknown")))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def new_client(url: str, token: str, org: str, timeout_s: float) -> Any:  # noqa: ANN401 - the library has no types
    """Return a client of the library, which connects nothing yet; raise InfluxError where it cannot be made."""
    try:
        from influxdb_client.client.influxdb_client import InfluxDBClient
    except ImportError as error:
        problem = f"influxdb-client is not installed: {install_command('influxdb-client')}"
        raise InfluxError(problem) from error
    client: Any = InfluxDBClient
    try:
        return client(url=url, token=token, org=org, timeout=int(timeout_s * 1000), retries=False)
    except ValueError as error:
        raise InfluxError(f"{shown(url)}: is no address of a server ({shown(str(error))})") from None


def no_answer_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a request that got no answer, or one that is no HTTP."""
    from urllib3.exceptions import HTTPError

    return HTTPError, OSError, ValueError  # ValueError: a port or a host that is none


def message_of(error: Any) -> str:  # noqa: ANN401 - the client's, without types
    """Return what the server says about a request that it refuses, for people."""
    return shown(str(error.message or error.reason or "no reason given"))
