"""A trace contains a run to the byte, and can be replayed."""

import json
from pathlib import Path

import pytest

from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.topics import topic
from gridfleet.dashboards.recording.trace import TraceError, TraceWriter, read_trace
from tests.dashboards.runs import SMALL, Logged, audit, contents, message_log, record


def write(path: Path, log: tuple[Logged, ...]) -> Path:
    with TraceWriter(path, "germany") as trace:
        for each in log:
            trace.receive(*each)
    return path


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.gz"])
def test_replay_gives_the_same_rows_and_findings(tmp_path: Path, name: str) -> None:
    log = message_log("normal", SMALL, ("loss=0.1", "duplicate=0.1"), 20)
    again = tuple(read_trace(write(tmp_path / name, log)))
    assert again == log
    assert contents(record(again)) == contents(record(log))
    assert audit(again, exact=False) == audit(log, exact=False)


def test_a_line_is_time_topic_and_the_payload_of_the_wire(tmp_path: Path) -> None:
    log = message_log(ticks=2)
    lines = write(tmp_path / "trace.jsonl", log).read_bytes().splitlines()
    assert len(lines) == len(log)
    for line, (_, scope, sender, message) in zip(lines, log, strict=True):
        assert line.endswith(b'"payload":' + encode(message) + b"}")
        assert json.loads(line)["topic"] == topic("germany", message, scope, sender)
    assert json.loads(lines[0])["time"] == "2025-06-02T00:00:00.000"


def test_compressed_bytes_are_the_same_for_the_same_run(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, message_log(ticks=2)) for name in ("a.gz", "b.gz"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object with exactly the keys"),
        (
            '{"time":"soon","topic":"gridfleet/a/tick/clock","payload":{}}',
            "is not an ISO 8601 time without a zone",
        ),
        ('{"time":"2025-06-02T00:00:00.000","topic":"x/y","payload":{}}', "does not begin with gridfleet/"),
        (
            '{"time":"2025-06-02T00:00:00.000","topic":"gridfleet/a/x/y","payload":{}}',
            "'x' is not a message type",
        ),
        ('{"time":"2025-06-02T00:00:00.000","topic":"gridfleet/a/close/c/v","payload":{"call":-1}}', "call"),
    ],
)
def test_an_invalid_trace_is_refused_with_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    good = write(tmp_path / "trace.jsonl", message_log(ticks=2)[:3]).read_text().replace("/germany/", "/a/")
    path = tmp_path / "wrong.jsonl"
    path.write_text(good + line + "\n")
    with pytest.raises(TraceError, match=reason) as caught:
        list(read_trace(path))
    assert str(caught.value).startswith(f"{path}, line 4: ")


def test_a_truncated_trace_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "trace.jsonl.gz", message_log(ticks=2))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(TraceError, match=r"ends in the middle of the compressed data|the line is cut off"):
        list(read_trace(path))


def test_a_closed_trace_cannot_be_written(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "trace.jsonl", "germany")
    trace.close()
    trace.close()
    with pytest.raises(ValueError, match="closed"):
        trace.receive(*message_log(ticks=2)[0])
