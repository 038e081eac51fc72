"""`gridfleet grafana`: its API calls on a mock made from an OpenAPI document, its logic on a fake Grafana."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from niquests import PreparedRequest

from gridfleet.dashboards.grafana.client import Change, Grafana, GrafanaError
from gridfleet.dashboards.grafana.names import DATASOURCE_UID, FOLDER, FOLDER_UID
from gridfleet.provisioning.cli.main import main
from tests.grafana.fake import TOKEN, FakeGrafana
from tests.grafana.pages import ROOT, pages
from tests.ports import accepts, free_port
from tests.waiting import wait_until

PRISM = ROOT / "build" / "grafana" / "node_modules" / ".bin" / "prism"
API = Path(__file__).with_name("grafana-api.yaml")
needs_prism = pytest.mark.skipif(
    not PRISM.is_file(), reason="the mock server is not installed: make checkers (needs npm)"
)


@pytest.fixture(scope="module")
def mock_url() -> Iterator[str]:
    """A server that answers as the document says, and refuses requests that do not match it."""
    port = free_port()
    node = shutil.which("node") or "node"
    command = [node, str(PRISM), "mock", "--errors", "-h", "127.0.0.1", "-p", str(port), str(API)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: accepts(port) or process.poll() is not None)
            assert process.poll() is None
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def grafana(mock_url: str) -> Iterator[Grafana]:
    with Grafana(mock_url, "any") as client:
        yield client


@pytest.mark.node
@needs_prism
def test_every_call_matches_grafanas_documentation(grafana: Grafana) -> None:
    assert grafana.check() == "12.0.0"
    assert list(grafana.push_pages()) == [Change(name, "changed") for name in sorted(pages())]
    assert grafana.push_rules() == Change("gridfleet", "changed")
    assert len(list(grafana.differences())) == len(pages())
    assert grafana.annotate("new algorithm", 1_700_000_000_000, None, ("test",), "gridfleet-overview") == 42
    assert grafana.annotate("storm", 1_700_000_000_000, 1_700_000_600_000, (), None) == 42
    query = {
        "refId": "A",
        "datasource": client_datasource(),
        "query": "x",
        "intervalMs": 1,
        "maxDataPoints": 1,
    }
    assert grafana.query([query], "now-1h", "now")["A"]["frames"]
    grafana._require_folder()  # noqa: SLF001 - nothing public asks the mock for this
    with grafana._errors_of("folder"):  # noqa: SLF001 - nothing public asks the mock for this
        grafana._api.folder.create_folder(FOLDER, uid=FOLDER_UID)  # noqa: SLF001 - nothing public asks the mock for this


def client_datasource() -> dict[str, str]:
    return {"type": "influxdb", "uid": DATASOURCE_UID}


@pytest.mark.node
@needs_prism
@pytest.mark.parametrize(
    "wrong",
    [
        {"queries": [], "from": "now-1h", "to": "now"},
        {"queries": [{"refId": "A"}], "from": "now-1h", "to": "now"},
        {"queries": [], "from": "yesterday", "to": "now"},
    ],
)
def test_the_mock_refuses_requests_that_are_not_documented(grafana: Grafana, wrong: dict[str, Any]) -> None:
    with pytest.raises(GrafanaError) as caught:
        grafana.query(wrong["queries"], wrong["from"], wrong["to"])
    assert caught.value.status == 422


@pytest.mark.node
@needs_prism
def test_a_query_with_a_variable_left_in_it_is_refused(grafana: Grafana) -> None:
    query = {"refId": "A", "datasource": client_datasource(), "intervalMs": 1, "maxDataPoints": 1}
    with pytest.raises(GrafanaError):
        grafana.query([{**query, "query": 'r.run == "${run}"'}], "now-1h", "now")
    assert grafana.query([{**query, "query": "r.cell =~ /^.*$/"}], "now-1h", "now")


@pytest.mark.node
@needs_prism
@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "role Editor, and use its token"), (403, "may not do this"), (404, "no data source")],
)
def test_an_error_of_grafana_is_reported_with_a_remedy(grafana: Grafana, status: int, message: str) -> None:
    def prefer(request: PreparedRequest) -> None:
        assert request.headers is not None
        if request.path_url != "/api/health":  # which Grafana answers whatever the token is
            request.headers["Prefer"] = f"code={status}"  # the mock's answer to this request

    grafana._api.client.s.hooks["pre_request"].append(prefer)  # noqa: SLF001 - nothing public sends such a header
    with pytest.raises(GrafanaError, match=message) as caught:
        list(grafana.push_pages())
    assert caught.value.status == status


# --- the commands ---


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with FakeGrafana() as grafana:
        yield grafana


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def run(fake: FakeGrafana, token: Path, *words: str) -> int:
    return main(["grafana", *words, "--url", fake.url, "--token-file", str(token)])


def test_push_creates_changes_nothing_twice_and_restores(
    fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fake, token, "push") == 0
    output = capsys.readouterr().out
    assert output.count(": created") == 7
    assert f"{fake.url}/d/gridfleet-overview" in output
    assert sorted(fake.pages) == sorted(pages())
    assert fake.folders == {"gridfleet"}
    assert run(fake, token, "push") == 0
    assert capsys.readouterr().out.count(": unchanged") == 7
    fake.pages["gridfleet-market"]["title"] = "Bazaar"
    assert run(fake, token, "push") == 0
    assert "gridfleet-market: changed" in capsys.readouterr().out
    assert fake.pages["gridfleet-market"]["title"] == "Market"
    assert fake.pages["gridfleet-market"]["version"] == 2


def test_diff_shows_what_differs(fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fake, token, "diff") == 1
    assert "Grafana has no page gridfleet-overview" in capsys.readouterr().out
    run(fake, token, "push")
    capsys.readouterr()
    assert run(fake, token, "diff") == 0
    assert capsys.readouterr().out == "no difference\n"
    fake.pages["gridfleet-market"]["title"] = "Bazaar"
    assert run(fake, token, "diff") == 1
    output = capsys.readouterr().out
    assert '-  "title": "Bazaar"' in output
    assert '+  "title": "Market"' in output


def test_a_page_saved_in_the_meantime_is_not_overwritten(
    fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(fake, token, "push")

    def save_in_between(uid: str) -> None:
        fake.pages[uid]["version"] += 1

    fake.pages["gridfleet-market"]["title"] = "Bazaar"
    fake.before_saving = save_in_between
    assert run(fake, token, "push") == 2
    assert "it was changed in the meantime" in capsys.readouterr().err
    assert fake.pages["gridfleet-market"]["title"] == "Bazaar"


def test_reasons_why_it_cannot_push_are_reported(
    fake: FakeGrafana, token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.provisioned = True
    assert run(fake, token, "push") == 2
    assert "is provisioned from a file there" in capsys.readouterr().err
    fake.datasources.clear()
    assert run(fake, token, "push") == 2
    assert "has no data source with the uid gridfleet-influxdb" in capsys.readouterr().err
    other = tmp_path / "other"
    other.write_text("wrong")
    assert run(fake, other, "push") == 2
    output = capsys.readouterr().err
    assert "the token is not accepted (401)" in output
    assert "wrong" not in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "must hold exactly one token"),
        ("two words", "must hold exactly one token"),
        (b"\xff", "not a text"),
    ],
)
def test_an_invalid_token_file_is_reported(
    content: str | bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["grafana", "push", "--token-file", str(path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9", "no answer"),
        ("grafana", "is not the URL of a Grafana"),
        ("ftp://x", "is not the URL of a Grafana"),
        ("http://admin:secret@127.0.0.1:9", "must not contain a login"),
    ],
)
def test_an_address_without_a_grafana_is_reported(
    url: str, message: str, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grafana", "push", "--url", url, "--token-file", str(token)]) == 2
    output = capsys.readouterr().err
    assert message in output
    assert "secret" not in output


def test_an_annotation_marks_an_instant_or_a_span(
    fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(fake, token, "annotate", "storm", "--at", "2025-06-02T12:00", "--until", "2025-06-02T15:00") == 0
    )
    assert capsys.readouterr().out == "annotation 1\n"
    (note,) = fake.annotations
    assert (note["time"], note["timeEnd"]) == (1_748_865_600_000, 1_748_876_400_000)
    assert (note["text"], note["tags"]) == ("storm", ["gridfleet"])
    assert run(fake, token, "annotate", "x", "--page", "gridfleet-market") == 2
    assert "page gridfleet-market: is not on this Grafana" in capsys.readouterr().err
    run(fake, token, "push")
    assert run(fake, token, "annotate", "x", "--page", "gridfleet-market", "--tag", "a", "--tag", "b") == 0
    assert fake.annotations[-1]["dashboardUID"] == "gridfleet-market"
    assert fake.annotations[-1]["tags"] == ["gridfleet", "a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["annotate", "x", "--at", "noon"], "'noon' is not a time"),
        (["annotate", "x", "--at", "2025-06-02T12:00", "--until", "2025-06-02"], "must not be before --at"),
    ],
)
def test_wrong_usage_is_reported(
    words: list[str], message: str, fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fake, token, *words) == 2
    assert message in capsys.readouterr().err
    assert not fake.annotations


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["annotate"], "the following arguments are required: TEXT"),
        (["push", "x"], "unrecognized arguments: x"),
        (["diff", "--tag", "x"], "unrecognized arguments: --tag x"),
    ],
)
def test_arguments_of_another_command_are_refused(
    words: list[str], message: str, fake: FakeGrafana, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(fake, token, *words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
