"""Success is what was promised: only 204 is a write, and a server that is something else is named as such."""

import json
import random
from pathlib import Path

import pytest

from gridfleet.broker.errors import GridFleetError
from gridfleet.dashboards.telemetry.influx.client import InfluxWriter, Target
from gridfleet.dashboards.telemetry.influx.sender import FIRST_WAIT_S, MAX_WAIT_S, Sender, WriteFailed
from gridfleet.dashboards.telemetry.influx.server_check import check_server
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.grafana.fake import TOKEN, FakeGrafana
from tests.ports import free_port
from tests.readers.servers import SIGN_IN, Answer, impostor

HEALTHY: Answer = (200, {}, json.dumps({"name": "influxdb", "status": "pass", "version": "v2.7.1"}).encode())


def influxdb(write: Answer) -> object:
    """Return the answers of an InfluxDB that answers a write like that."""
    return lambda _method, path: HEALTHY if path == "/health" else write


def refusal(status: int, message: str, **headers: str) -> Answer:
    return status, headers, json.dumps({"code": "x", "message": message}).encode()


def target(url: str) -> Target:
    return Target(url, "gridfleet", "points", "token")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_write_that_is_not_answered_with_204_keeps_its_points(status: int, tmp_path: Path) -> None:
    with (
        impostor(lambda *_: (status, *SIGN_IN[1:])) as server,
        InfluxWriter(target(server.url)) as write,
        Spool(tmp_path) as spool,
    ):
        spool.add([f"m v={n}i {n}" for n in range(266)])
        spool.sync()
        sender = Sender(spool, write)
        assert sender.step() >= FIRST_WAIT_S / 2
        assert (spool.backlog, spool.status().sent) == (266, 0)
    assert f"answers {status} instead of 204: no InfluxDB answers there" in sender.last_error


@pytest.mark.parametrize(
    "header", ["0", "nan", "-5", "inf", "1e300", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", ""]
)
def test_the_wait_is_ours_whatever_a_header_says(header: str, tmp_path: Path) -> None:
    answer = refusal(429, "too many requests", **{"Retry-After": header})
    with (
        impostor(lambda *_: answer) as server,
        InfluxWriter(target(server.url)) as write,
        Spool(tmp_path) as spool,
    ):
        spool.add(["m v=1i 1"])
        spool.sync()
        sender = Sender(spool, write, rng=random.Random(1))
        waits = [sender.step() for _ in range(8)]
    for number, wait_s in enumerate(waits):
        assert min(MAX_WAIT_S, FIRST_WAIT_S * 2**number) / 2 <= wait_s <= MAX_WAIT_S
    assert sum(waits) > 40


def test_a_longer_wait_of_the_server_is_kept(tmp_path: Path) -> None:
    def write(_: str) -> None:
        raise WriteFailed("429", 7.0)

    with Spool(tmp_path) as spool:
        spool.add(["m v=1i 1"])
        spool.sync()
        assert Sender(spool, write).step() == 7.0


@pytest.mark.parametrize(
    ("answers", "part", "words"),
    [
        (
            lambda *_: SIGN_IN,
            "server",
            "Sign in to the network</title>': no InfluxDB answers there: name its address",
        ),
        (lambda *_: (404, {}, b"404 page not found"), "server", "no InfluxDB answers there"),
        (lambda *_: (200, {}, b'{"name": "grafana"}'), "server", "no InfluxDB answers there"),
        (
            influxdb(refusal(401, "unauthorized access")),
            "write",
            "the token is refused (401: unauthorized access)",
        ),
        (influxdb(refusal(404, 'organization name "x" not found')), "organisation", "there is no gridfleet"),
        (
            influxdb(refusal(404, 'bucket "points" not found')),
            "bucket",
            "make it with `gridfleet influx setup`",
        ),
        (influxdb(refusal(503, "\x1b[31mbusy")), "write", "failed (503: ?[31mbusy)"),
        (influxdb((200, {}, b"")), "write", "answers 200 instead of 204"),
    ],
)
def test_the_check_says_which_part_fails(answers: object, part: str, words: str) -> None:
    with impostor(answers) as server, InfluxWriter(target(server.url)) as writer:  # type: ignore[arg-type]
        found = check_server(writer)
    assert not found.holds
    assert words in getattr(found, part)
    assert found.table().count("\n") == 3


def test_a_check_that_holds_is_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("token")
    with impostor(influxdb((204, {}, b""))) as server:  # type: ignore[arg-type]
        words = ["influx", "check", "--influx", server.url, "--token-file", str(tmp_path / "token")]
        assert main(words) == ExitCode.SUCCESS
    assert capsys.readouterr().out.splitlines() == [
        f"server       ok, InfluxDB v2.7.1 at {server.url}",
        "organisation ok, gridfleet",
        "bucket       ok, gridfleet",
        "write        ok",
    ]
    assert server.requests == ["GET /health", "POST /api/v2/write"]


def test_a_run_with_another_server_ends_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("token")
    run = (
        "run",
        "normal",
        "--ticks",
        "2",
        "--no-report",
        "--no-console",
        "--token-file",
        "token",
        "--influx",
    )
    with impostor(lambda *_: SIGN_IN) as server:
        assert main([*run, server.url]) == ExitCode.USAGE
    assert "accepts no points:\ngridfleet: server" in capsys.readouterr().err
    assert not list(Path("out").glob("normal-*/run.sqlite"))
    assert main([*run, f"http://127.0.0.1:{free_port()}", "--out", "later"]) == ExitCode.SUCCESS
    assert "The points wait in later/spool" in capsys.readouterr().err


GRAFANA_COMMANDS = (["push"], ["diff"], ["check"], ["annotate", "text"])


@pytest.mark.parametrize("words", GRAFANA_COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    "answer",
    [SIGN_IN, (200, {}, b"[]"), (200, {}, b"{}"), (200, {}, b'"x"'), (200, {}, b""), (404, {}, b"<html>")],
    ids=["page", "list", "object", "text", "nothing", "missing"],
)
def test_another_server_is_no_grafana(
    words: list[str], answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    with impostor(lambda *_: answer) as server:
        code = main(["grafana", *words, "--url", server.url, "--token-file", str(token)])
    said = capsys.readouterr().err
    assert code == ExitCode.USAGE or (words, answer[0]) == (["diff"], 404)  # 404 is that of a missing page
    assert "unexpected failure" not in said


def test_a_check_of_grafana_counts_the_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with FakeGrafana() as grafana:
        words = ["--url", grafana.url, "--token-file", str(token)]
        assert main(["grafana", "check", *words]) == ExitCode.FAILED
        assert "dashboards   0 of 6 as shipped" in capsys.readouterr().out
        assert main(["grafana", "push", *words]) == ExitCode.SUCCESS
        assert main(["grafana", "check", *words]) == ExitCode.SUCCESS
    assert "dashboards   6 of 6 as shipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "http://127.0.0.1:99999999", "https://x:y", "http://a\x1bb"]
)
def test_an_address_that_is_none_is_one_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    for words in (
        ["influx", "check", "--influx", url],
        ["influx", "setup", "--influx", url],
        ["grafana", "push", "--url", url],
    ):
        try:
            code = main([*words, "--token-file", str(token)])
        except GridFleetError:
            pytest.fail("an error that main does not turn into a message")
        assert code != ExitCode.SUCCESS
    assert "unexpected failure" not in "".join(capsys.readouterr())
