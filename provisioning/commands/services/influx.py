"""`gridfleet influx`: creates buckets, tasks and tokens in InfluxDB 2, and checks that it accepts points."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.arguments import whole_number
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.influx_options import (
    BUCKET,
    ORG,
    add_influx,
    add_token,
    checked_url,
    influx_target,
    read_token,
)
from gridfleet.provisioning.commands.command import Command
from gridfleet.provisioning.site.secret_files import write_secret

HELP: Final = "create buckets, downsampling tasks and tokens in InfluxDB"
DESCRIPTION: Final = (
    "Create what recorder and Grafana need in an InfluxDB 2 server: a bucket for all points, two buckets for\n"
    "values per 15 minutes and per day, the tasks that fill these, and two tokens with minimal permissions: the\n"
    "recorder's may write points, Grafana's may read them. Called again, it corrects differences and replaces a\n"
    "token whose file is missing. The tokens are written to files that only you can read, and are never printed.\n\n"
    "InfluxDB rejects points older than the retention of their bucket, and simulated time may be years ago: use\n"
    "--keep-days 0 (no limit) if a scenario begins earlier than that."
)
EXAMPLES: Final = (
    "gridfleet influx setup --influx http://127.0.0.1:8086 --token-file admin.token",
    "gridfleet influx setup --influx http://127.0.0.1:8086 --token-file admin.token --keep-days 90 --out tokens",
)
KEEP_DAYS: Final = 1_100
OUT: Final = "influx"
TIMEOUT_S: Final = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `influx setup`."""
    parser.add_argument(
        "--influx", metavar="URL", required=True, help="the server, e.g. http://127.0.0.1:8086"
    )
    parser.add_argument("--org", metavar="NAME", default=ORG, help=f"existing organisation (default: {ORG})")
    parser.add_argument(
        "--bucket", metavar="NAME", default=BUCKET, help=f"bucket for all points (default: {BUCKET})"
    )
    parser.add_argument(
        "--keep-days",
        type=whole_number(0, 36_600),
        default=KEEP_DAYS,
        metavar="N",
        help=f"retention of that bucket in days, 0 for no limit (default: {KEEP_DAYS})",
    )
    add_token(parser, "a token that may create buckets, tasks and tokens")
    parser.add_argument(
        "--out", metavar="DIR", default=OUT, help=f"folder for the new tokens (default: {OUT})"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Set up; print what was done, and never a token."""
    from gridfleet.dashboards.telemetry.influx.buckets import InfluxSetup, set_up
    from gridfleet.dashboards.telemetry.influx.client import new_client

    folder = Path(arguments.out)
    token = read_token(arguments.token_file)
    setup = InfluxSetup(arguments.org, arguments.bucket, arguments.keep_days)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new_client(checked_url(arguments.influx), token, setup.org, TIMEOUT_S) as connected:
            done = set_up(
                connected,
                setup,
                lambda name: _read(token_path(folder, name)),
                lambda name, made: write_secret(token_path(folder, name), f"{made}\n".encode()),
            )
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to"
        raise CommandError(error.filename or folder, problem) from None
    print("\n".join(done) if done else "nothing to do")
    for spec in setup.tokens:
        print(f"{spec.name:9} {token_path(folder, spec.name)}")
    return ExitCode.SUCCESS


def add_check(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `influx check`."""
    add_influx(parser)


def check(arguments: argparse.Namespace) -> int:
    """Print what was found as a table; return 1 unless the server accepts points."""
    from gridfleet.dashboards.telemetry.influx.client import InfluxWriter
    from gridfleet.dashboards.telemetry.influx.server_check import check_server

    target = influx_target(arguments)
    if target is None:
        raise CommandError("--influx", "is needed: the address of the server, e.g. http://127.0.0.1:8086")
    with InfluxWriter(target) as writer:
        found = check_server(writer)
    print(found.table())
    return ExitCode.SUCCESS if found.holds else ExitCode.FAILED


CHECK: Final = Command(
    "check",
    "check that an InfluxDB accepts points",
    "Check an InfluxDB 2 server as `run` and `site record` use it: whether an InfluxDB answers at the address,\n"
    "whether organisation and bucket exist, and whether the token may write there. Writes one point of the\n"
    "measurement gridfleet_check. Exits with 1 unless the server accepts it.",
    ("gridfleet influx check --influx http://127.0.0.1:8086 --token-file influx/recorder.token",),
    add_check,
    check,
)


def token_path(folder: Path, name: str) -> Path:
    """Return the path of a token's file."""
    return folder / f"{name}.token"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="ascii").strip() if path.is_file() else None
