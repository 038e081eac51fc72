"""`gridfleet dashboards`: our pages and alert rules on a Grafana, through its API."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridfleet.dashboards.grafana.client import Grafana

HELP: Final = "put the pages on a Grafana, compare, annotate"
DESCRIPTION: Final = (
    "Put the dashboards and alert rules on a Grafana through its API, or compare them with what is there, or mark\n"
    "an instant on them. Needs the token of a service account with the role Editor, in a file. Where Grafana reads\n"
    "the files itself, as with docker compose, this is not needed.\n\n"
    "  push       create or change the six pages and the alert rules\n"
    "  diff       show how the pages there differ from ours; exit code 1 if they do\n"
    "  annotate   mark an instant, or a span with --until; times without a zone are simulated time"
)
EXAMPLES: Final = (
    "gridfleet dashboards push --url https://grafana.example --token-file grafana-token",
    "gridfleet dashboards diff --url https://grafana.example --token-file grafana-token",
    'gridfleet dashboards annotate "new rules" --at 2025-06-02T12:00 --url http://g.example --token-file token',
)
DEFAULT_URL: Final = "http://127.0.0.1:3000"
ACTIONS: Final = ("push", "diff", "annotate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `dashboards`."""
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="annotate: what to say")
    parser.add_argument("--url", default=DEFAULT_URL, help=f"of Grafana (default: {DEFAULT_URL})")
    parser.add_argument(
        "--token-file", required=True, type=Path, metavar="FILE", help="holds the service account's token"
    )
    parser.add_argument("--at", metavar="TIME", help="annotate: when, in ISO 8601 (default: now)")
    parser.add_argument("--until", metavar="TIME", help="annotate: the end of a span")
    parser.add_argument("--page", metavar="UID", help="annotate: on this page only, e.g. gridfleet-overview")
    parser.add_argument(
        "--tag", action="append", default=[], metavar="WORD", help="annotate: a tag; may be repeated"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    from gridfleet.dashboards.grafana.client import Grafana

    if arguments.action != "annotate":
        given = [name for name in ("text", "at", "until", "page", "tag") if getattr(arguments, name)]
        if given:
            raise CommandError(arguments.action, f"takes no {given[0]}; that belongs to `annotate`")
    elif not arguments.text:
        raise CommandError("annotate", 'say what to write: gridfleet dashboards annotate "new algorithm" …')
    with Grafana(arguments.url, _token(arguments.token_file)) as grafana:
        match arguments.action:
            case "push":
                return _push(grafana)
            case "diff":
                return _diff(grafana)
            case _:
                return _annotate(grafana, arguments)


def _push(grafana: "Grafana") -> int:
    for change in grafana.push_pages():
        print(f"page {change.uid}: {change.outcome}")
    rules = grafana.push_rules()
    print(f"alert rules {rules.uid}: {rules.outcome}")
    print(f"{grafana.url}/d/gridfleet-overview")
    return ExitCode.SUCCESS


def _diff(grafana: "Grafana") -> int:
    different = False
    for _, text in grafana.differences():
        sys.stdout.write(text)
        different = True
    if not different:
        print("no difference")
    return ExitCode.FAILED if different else ExitCode.SUCCESS


def _annotate(grafana: "Grafana", arguments: argparse.Namespace) -> int:
    begin = _time("--at", arguments.at) if arguments.at else int(datetime.now(UTC).timestamp() * 1000)
    end = _time("--until", arguments.until) if arguments.until else None
    if end is not None and end < begin:
        raise CommandError("--until", "is before the beginning (--at, or now)")
    number = grafana.annotate(arguments.text, begin, end, tuple(arguments.tag), arguments.page)
    print(f"annotation {number}")
    return ExitCode.SUCCESS


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        problem = f"cannot be read ({reason}); put the token of a Grafana service account in it"
        raise CommandError(path, problem) from None
    if not token or any(letter.isspace() for letter in token) or not token.isascii():
        raise CommandError(
            path, "holds no token; it should be one word, as Grafana shows it when it makes one"
        )
    return token


def _time(name: str, text: str) -> int:
    """Return milliseconds since 1970; a time without a zone is simulated time, which is kept as if it were UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            name, f"{text!r} is no time; write 2025-06-02T12:00 or 2025-06-02T12:00+02:00"
        ) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
