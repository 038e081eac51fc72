"""The error of comparing runs, and why a server gives no answer."""

from gridfleet.broker.errors import GridFleetError


class ComparisonError(GridFleetError, ValueError):
    """Runs that cannot be compared."""


def no_answer_reason(error: BaseException) -> str:
    """Return why a server gave no answer: the system's text behind the error of an HTTP library, in lower case.

    >>> try:
    ...     raise ValueError("library text") from ConnectionRefusedError(111, "Connection refused")
    ... except ValueError as error:
    ...     no_answer_reason(error)
    'connection refused'
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return "no answer in time" if "Timeout" in type(error).__name__ else "the connection failed"
