import doctest

import pytest

from gridfleet.broker import errors, simulated_time
from gridfleet.broker.errors import error_reason
from gridfleet.broker.simulated_time import minute_text, parse_time, short_time_text, time_text

START_MS = 1_748_822_400_000
"""2025-06-02T00:00:00."""


@pytest.mark.parametrize("module", [errors, simulated_time])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted
    assert not results.failed


def test_simulated_time_is_written_for_files_pages_and_terminals() -> None:
    time_ms = START_MS + 75 * 60_000 + 1_234
    assert time_text(time_ms) == "2025-06-02T01:15:01"
    assert time_text(time_ms, milliseconds=True) == "2025-06-02T01:15:01.234"
    assert minute_text(time_ms) == "2025-06-02 01:15"
    assert short_time_text(time_ms) == "02 Jun 01:15"


def test_a_time_beyond_the_year_9999_is_written_as_its_last_second() -> None:
    assert time_text(None) == ""
    assert time_text(2**53 - 1) == "9999-12-31T23:59:59"
    assert minute_text(2**53 - 1) == "9999-12-31 23:59"


def test_parse_time_reads_what_time_text_writes() -> None:
    assert parse_time(time_text(START_MS + 1, milliseconds=True)) == START_MS + 1


@pytest.mark.parametrize("text", ["yesterday", "", "2025-06-02T00:00:00+01:00", "2025-06-02T00:00:00Z"])
def test_parse_time_refuses_other_text_and_time_zones(text: str) -> None:
    with pytest.raises(ValueError, match=r"time zone|isoformat"):
        parse_time(text)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "x"), "permission denied"),
        (OSError("Disk Lost"), "disk lost"),
        (ValueError("Not a Number"), "not a number"),
    ],
)
def test_error_reason_is_the_systems_text_without_the_file(error: Exception, reason: str) -> None:
    assert error_reason(error) == reason
