"""Logs: for people and as JSON, with priorities where the journal listens."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.provisioning.cli.logs import HumanFormatter, JsonFormatter, priority_of, set_up_logs

LOG = logging.getLogger("devices.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(form: str) -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(form, always={"site": "town"}, stream=stream)
    return stream


def test_the_human_format_has_time_level_and_text() -> None:
    stream = logged("human")
    LOG.debug("not shown")
    LOG.info("contactor opened", extra={"reason": "unplugged"})
    LOG.warning("broker lost for %d s", 60)
    lines = stream.getvalue().splitlines()
    assert [line[9:] for line in lines] == [
        "contactor opened reason=unplugged",
        "warning: broker lost for 60 s",
    ]
    assert all(datetime.strptime(line[:8], "%H:%M:%S") for line in lines)  # noqa: DTZ007 - a time of day


def test_the_json_format_is_one_object_per_line() -> None:
    stream = logged("json")
    LOG.info('said "%s"\n', "ß", extra={"device": "charger-01", "level": 3, "path": object})
    try:
        int("wrong")
    except ValueError:
        LOG.exception("failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["message"], first["level"], first["logger"]) == ('said "ß"\n', "info", "devices.test")
    assert first["site"] == "town"
    assert (first["device"], first["level_"], first["path"]) == ("charger-01", 3, "<class 'object'>")
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    assert (second["level"], "ValueError: invalid literal" in second["error"]) == ("error", True)


def test_a_second_set_up_replaces_the_first() -> None:
    first, second = logged("human"), logged("json")
    LOG.info("once")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (25, 6),
        (logging.INFO, 6),
        (1, 7),
        (0, 7),
    ],
)
def test_priorities_are_those_of_syslog(level: int, priority: int) -> None:
    assert priority_of(level) == priority


def test_in_the_journal_every_line_has_its_priority() -> None:
    record = LOG.makeRecord(LOG.name, logging.ERROR, "", 0, "two\nlines", (), None)
    assert HumanFormatter(in_journal=True).format(record) == "<3>error: two\n<3>  lines"
    assert (
        json.loads(JsonFormatter(in_journal=True).format(record).removeprefix("<3>"))["message"]
        == "two\nlines"
    )


def test_the_journal_is_recognised_by_its_stream() -> None:
    """systemd passes the device and inode of standard error in JOURNAL_STREAM."""
    run = (
        "import logging; from gridfleet.provisioning.cli.logs import *; set_up_logs(); logging.info('hello')"
    )
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader:
        status = os.fstat(writing)
        for stream, expected in ((f"{status.st_dev}:{status.st_ino}", "<6>hello\n"), ("1:1", None)):
            subprocess.run(
                [sys.executable, "-c", run],
                stderr=writing,
                env={**os.environ, "JOURNAL_STREAM": stream},
                check=True,
            )
            line = reader.readline()
            assert line == expected if expected else line.endswith("hello\n") and line[0] != "<"
        os.close(writing)


@pytest.mark.parametrize("command", ["clock", "fleet", "record"])
def test_each_process_of_a_site_logs_only_json(command: str, tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        options = ["--broker", broker.url, "--log", "json", *(["--wait", "0"] * (command == "clock"))]
        with subprocess.Popen(
            [sys.executable, "-m", "gridfleet", "site", command, "normal", *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        ) as process:
            assert process.stderr is not None
            first = json.loads(process.stderr.readline())
            process.send_signal(signal.SIGTERM)
            rest = [json.loads(line) for line in process.stderr]
        assert process.returncode == 0
    assert (first["level"], first["logger"]) == ("info", f"gridfleet.{command}")
    assert rest[-1]["message"] in {"all devices are offline", "stopped; start it again to continue"}
