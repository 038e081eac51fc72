"""`gridfleet dashboards`: manages the dashboards and alert rules on a Grafana server through its API."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridfleet.dashboards.grafana.client import Grafana

HELP: Final = "push, compare or annotate dashboards on a Grafana server"
DESCRIPTION: Final = (
    "Push the dashboards and alert rules to a Grafana server through its API, compare them with the server's, or\n"
    "annotate them. Needs a file with the token of a service account that has the role Editor. Not needed where\n"
    "Grafana provisions the dashboards from files, as with docker compose.\n\n"
    "  push       create or update the six dashboards and the alert rules\n"
    "  diff       print how the server's dashboards differ from the shipped ones; exit code 1 if they do\n"
    "  annotate   mark an instant, or a span with --until; times without a zone are simulated time"
)
EXAMPLES: Final = (
    "gridfleet dashboards push --url https://grafana.example --token-file grafana-token",
    "gridfleet dashboards diff --url https://grafana.example --token-file grafana-token",
    'gridfleet dashboards annotate "new rules" --at 2025-06-02T12:00 --url http://g.example --token-file token',
)
DEFAULT_URL: Final = "http://127.0.0.1:3000"
ACTIONS: Final = ("push", "diff", "annotate")
_OPTION: Final = {"text": "TEXT", "at": "--at", "until": "--until", "page": "--page", "tag": "--tag"}
"""Arguments of `annotate` by their names in the parsed arguments."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `dashboards`."""
    parser.add_argument("action", choices=ACTIONS, help="the action, as above")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="annotate: the text")
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the Grafana server (default: {DEFAULT_URL})")
    parser.add_argument(
        "--token-file", required=True, type=Path, metavar="FILE", help="file with the service account's token"
    )
    parser.add_argument("--at", metavar="TIME", help="annotate: the instant in ISO 8601 (default: now)")
    parser.add_argument("--until", metavar="TIME", help="annotate: the end of a span")
    parser.add_argument(
        "--page", metavar="UID", help="annotate: only this dashboard, e.g. gridfleet-overview (default: all)"
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="WORD", help="annotate: a tag; may be repeated"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    from gridfleet.dashboards.grafana.client import Grafana

    if arguments.action != "annotate":
        given = [name for name in _OPTION if getattr(arguments, name)]
        if given:
            raise CommandError(arguments.action, f"takes no {_OPTION[given[0]]}: use it with `annotate`")
    elif not arguments.text:
        raise CommandError("annotate", 'needs a text: gridfleet dashboards annotate "new algorithm" …')
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
        raise CommandError("--until", "must not be before --at, which is now by default")
    number = grafana.annotate(arguments.text, begin, end, tuple(arguments.tag), arguments.page)
    print(f"annotation {number}")
    return ExitCode.SUCCESS


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error_reason(error) if isinstance(error, OSError) else "not a text file"
        problem = f"cannot be read ({reason}): write the token of a Grafana service account to it"
        raise CommandError(path, problem) from None
    if not token or any(letter.isspace() for letter in token) or not token.isascii():
        raise CommandError(path, "must hold exactly one token, as Grafana shows it when it creates one")
    return token


def _time(name: str, text: str) -> int:
    """Return milliseconds since 1970; a time without a zone is simulated time, which is stored as UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            name, f"{text!r} is not a time: write it as 2025-06-02T12:00 or 2025-06-02T12:00+02:00"
        ) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
