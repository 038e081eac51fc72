"""Options for the InfluxDB server and its token."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason, shown
from gridfleet.broker.readers.http_answers import http_address
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.dashboards.telemetry.influx.client import Target

ORG: Final = "gridfleet"
BUCKET: Final = "gridfleet"
TOKEN_VARIABLE: Final = "INFLUX_TOKEN"  # noqa: S105 - the name of a variable


def add_influx(parser: argparse.ArgumentParser) -> None:
    """Add --influx, --org, --bucket and --token-file."""
    group = parser.add_argument_group("InfluxDB")
    group.add_argument(
        "--influx",
        metavar="URL",
        help="also write telemetry to this InfluxDB 2 server, e.g. http://127.0.0.1:8086",
    )
    group.add_argument("--org", metavar="NAME", default=ORG, help=f"InfluxDB organisation (default: {ORG})")
    group.add_argument(
        "--bucket", metavar="NAME", default=BUCKET, help=f"InfluxDB bucket (default: {BUCKET})"
    )
    add_token(group, "the token, as `gridfleet influx setup` writes it")


def add_token(parser: "argparse._ActionsContainer", content: str) -> None:
    """Add --token-file; `content` says which token the file contains."""
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"file with {content} (default: the variable {TOKEN_VARIABLE})"
    )


def influx_target(arguments: argparse.Namespace) -> "Target | None":
    """Return the server to write to, or None without --influx; raise CommandError for missing options."""
    from gridfleet.dashboards.telemetry.influx.client import Target

    if arguments.influx is None:
        if arguments.token_file is not None:
            raise CommandError("--token-file", "needs --influx URL")
        return None
    url = checked_url(arguments.influx)
    return Target(url, arguments.org, arguments.bucket, read_token(arguments.token_file))


def checked_url(url: str) -> str:
    """Return the server's URL; raise CommandError unless it begins with http:// or https://."""
    try:
        http_address(url)
    except ReadError as error:
        raise CommandError(f"--influx {shown(url)}", error.problem) from None
    return url.rstrip("/")


def read_token(file: str | None) -> str:
    """Return the token from a file, or from the environment; raise CommandError where there is none."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise CommandError("--influx", f"needs --token-file FILE, or the variable {TOKEN_VARIABLE}")
        return token
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        problem = f"cannot be read ({error_reason(error)}): name the file that contains the token"
        raise CommandError(f"--token-file {file}", problem) from None
    if not token or not token.isprintable() or " " in token:
        raise CommandError(
            f"--token-file {file}", "must hold exactly one token; `gridfleet influx setup` writes such files"
        )
    return token
