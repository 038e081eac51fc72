"""`gridfleet grafana`: writes dashboards and alert rules as files, or manages them on a Grafana server."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.commands.command import Command

if TYPE_CHECKING:
    from gridfleet.dashboards.grafana.client import Grafana

DEFAULT_URL: Final = "http://127.0.0.1:3000"
READ_FROM: Final = {"pages": "/etc/gridfleet/pages", "provisioning": "/etc/grafana/provisioning"}
"""Folders that Grafana reads, and where it looks for each."""


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add --url and --token-file."""
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the Grafana server (default: {DEFAULT_URL})")
    parser.add_argument(
        "--token-file", required=True, type=Path, metavar="FILE", help="file with the service account's token"
    )


def add_annotation(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `grafana annotate`."""
    parser.add_argument("text", metavar="TEXT", help="the text")
    add_server(parser)
    parser.add_argument("--at", metavar="TIME", help="the instant in ISO 8601 (default: now)")
    parser.add_argument("--until", metavar="TIME", help="the end of a span")
    parser.add_argument(
        "--page", metavar="UID", help="only this dashboard, e.g. gridfleet-overview (default: all)"
    )
    parser.add_argument("--tag", action="append", default=[], metavar="WORD", help="a tag; may be repeated")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Define the argument of `grafana write`."""
    parser.add_argument(
        "--folder", default="grafana", type=Path, metavar="DIR", help="where to write (default: grafana)"
    )


def write(arguments: argparse.Namespace) -> int:
    """Write the files; raise CommandError for a file that is there with other content, before anything is written."""
    from gridfleet.dashboards.grafana.names import FILES

    folder: Path = arguments.folder
    shipped = {
        folder / path.relative_to(FILES): path.read_bytes()
        for name in READ_FROM
        for path in sorted((FILES / name).rglob("*"))
        if path.is_file()
    }
    try:
        for path, content in shipped.items():
            if path.is_file() and path.read_bytes() != content:
                raise CommandError(
                    path, "differs from the shipped file: delete it, or choose another --folder"
                )
        for path, content in shipped.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to"
        raise CommandError(error.filename or folder, problem) from None
    for name, target in READ_FROM.items():
        print(f"{folder / name}: Grafana reads it from {target}")
    return ExitCode.SUCCESS


def push(arguments: argparse.Namespace) -> int:
    """Create or update the dashboards and the alert rules."""
    with _connection(arguments) as grafana:
        for change in grafana.push_pages():
            print(f"page {change.uid}: {change.outcome}")
        rules = grafana.push_rules()
        print(f"alert rules {rules.uid}: {rules.outcome}")
        print(f"{grafana.url}/d/gridfleet-overview")
    return ExitCode.SUCCESS


def check(arguments: argparse.Namespace) -> int:
    """Print a table of what was found; return 1 where a dashboard is missing or differs."""
    from gridfleet.dashboards.grafana.client import pages

    with _connection(arguments) as grafana:
        print(f"{'server':13}ok, Grafana {grafana.check()} at {grafana.url}")
        differing = [uid for uid, _ in grafana.differences()]
    shipped = len(pages())
    print(f"{'token':13}ok")
    print(f"{'dashboards':13}{shipped - len(differing)} of {shipped} as shipped")
    for uid in differing:
        print(f"{'':13}{uid}: missing or changed; `gridfleet grafana push` writes it")
    return ExitCode.FAILED if differing else ExitCode.SUCCESS


def diff(arguments: argparse.Namespace) -> int:
    """Print the differences; return 1 if there are any."""
    different = False
    with _connection(arguments) as grafana:
        for _, text in grafana.differences():
            sys.stdout.write(text)
            different = True
    if not different:
        print("no difference")
    return ExitCode.FAILED if different else ExitCode.SUCCESS


def annotate(arguments: argparse.Namespace) -> int:
    """Add an annotation; raise CommandError for a time that is none, or a span that ends before it begins."""
    with _connection(arguments) as grafana:
        begin = _time("--at", arguments.at) if arguments.at else int(datetime.now(UTC).timestamp() * 1000)
        end = _time("--until", arguments.until) if arguments.until else None
        if end is not None and end < begin:
            raise CommandError("--until", "must not be before --at, which is now by default")
        number = grafana.annotate(arguments.text, begin, end, tuple(arguments.tag), arguments.page)
        print(f"annotation {number}")
    return ExitCode.SUCCESS


WRITE: Final = Command(
    "write",
    "write the files with which Grafana provisions the dashboards",
    "Write the shipped dashboards, alert rules and data source as files that Grafana reads at its start. Needs no\n"
    "server. A file that you have changed is not overwritten.",
    ("gridfleet grafana write", "gridfleet grafana write --folder my-grafana"),
    add_folder,
    write,
)
PUSH: Final = Command(
    "push",
    "create or update the dashboards and the alert rules",
    "Create or update the six dashboards and the alert rules on the server.",
    ("gridfleet grafana push --url https://grafana.example --token-file grafana-token",),
    add_server,
    push,
)
CHECK: Final = Command(
    "check",
    "check that a Grafana answers, and what it has",
    "Check that a Grafana answers at the address, that the token is accepted, and which of the shipped dashboards\n"
    "it has. Exits with 1 where a dashboard is missing or differs.",
    ("gridfleet grafana check --url https://grafana.example --token-file grafana-token",),
    add_server,
    check,
)
DIFF: Final = Command(
    "diff",
    "print how the server's dashboards differ from the shipped ones",
    "Print how the server's dashboards and alert rules differ from the shipped ones; exit code 1 if they do.",
    ("gridfleet grafana diff --url https://grafana.example --token-file grafana-token",),
    add_server,
    diff,
)
ANNOTATE: Final = Command(
    "annotate",
    "mark an instant or a span on the dashboards",
    "Mark an instant, or a span with --until, on the dashboards. Times without a zone are simulated time.",
    (
        'gridfleet grafana annotate "new rules" --at 2025-06-02T12:00 --url http://g.example --token-file token',
    ),
    add_annotation,
    annotate,
)


def _connection(arguments: argparse.Namespace) -> "Grafana":
    from gridfleet.dashboards.grafana.client import Grafana

    return Grafana(arguments.url, _token(arguments.token_file))


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
