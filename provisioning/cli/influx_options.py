"""Where a command finds InfluxDB, and with which token."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError

if TYPE_CHECKING:
    from gridfleet.dashboards.telemetry.influx.client import Target

ORG: Final = "gridfleet"
BUCKET: Final = "gridfleet"
TOKEN_VARIABLE: Final = "INFLUX_TOKEN"  # noqa: S105 - the name of a variable


def add_influx(parser: argparse.ArgumentParser) -> None:
    """Add the server, the organisation, the bucket and the token's file."""
    group = parser.add_argument_group("InfluxDB")
    group.add_argument(
        "--influx",
        metavar="URL",
        help="also send telemetry to this InfluxDB 2 server, e.g. http://127.0.0.1:8086",
    )
    group.add_argument("--org", metavar="NAME", default=ORG, help=f"organisation there (default: {ORG})")
    group.add_argument("--bucket", metavar="NAME", default=BUCKET, help=f"bucket there (default: {BUCKET})")
    add_token(group)


def add_token(parser: "argparse._ActionsContainer") -> None:
    """Add the file with the token."""
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"file with the token, as `gridfleet influx setup` makes it (default: the variable {TOKEN_VARIABLE})",
    )


def target_of(arguments: argparse.Namespace) -> "Target | None":
    """Return where points go, or None for nowhere; raise CommandError for what is missing."""
    from gridfleet.dashboards.telemetry.influx.client import Target

    if arguments.influx is None:
        if arguments.token_file is not None:
            raise CommandError("--token-file", "goes with --influx URL")
        return None
    url = checked_url(arguments.influx)
    return Target(url, arguments.org, arguments.bucket, token_of(arguments.token_file))


def checked_url(url: str) -> str:
    """Return a server's address; raise CommandError for what is none."""
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"--influx {url}", "is no http:// or https:// address, e.g. http://127.0.0.1:8086")
    return url.rstrip("/")


def token_of(file: str | None) -> str:
    """Return the token from a file, or from the environment; raise CommandError where there is none."""
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise CommandError("--influx", f"needs --token-file FILE, or the variable {TOKEN_VARIABLE}")
        return token
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise CommandError(f"--token-file {file}", f"cannot be read ({error_reason(error)})") from None
    if not token or not token.isprintable() or " " in token:
        raise CommandError(f"--token-file {file}", "does not hold one token and nothing else")
    return token
