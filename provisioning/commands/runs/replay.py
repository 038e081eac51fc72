"""`gridfleet replay`: records and audits a traced run again, from its messages alone."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_output, add_png

HELP: Final = "record and audit a traced run again"
DESCRIPTION: Final = (
    "Pass the messages of a trace through recorder and auditor again, and write the tables, the report and the\n"
    "verdict that the run had, to the byte: so a stranger can check a run without running it. Nothing is\n"
    "published anywhere, and no device takes part."
)
EXAMPLES: Final = (
    "gridfleet replay out/messages.jsonl",
    "gridfleet replay messages.jsonl.gz --out out/checked",
)
LATEST: Final = "latest-replay"
"""The link to the newest replay; `latest` leads to the newest run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `replay`."""
    parser.add_argument(
        "trace", metavar="TRACE", help="a file that --trace of `run` or `simulate` has written"
    )
    parser.add_argument("--no-report", action="store_false", dest="report", help="write no report.html")
    add_output(parser, "out/replay-SCENARIO-TIME")
    add_png(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Replay the trace; write the results and print the key figures."""
    from gridfleet.dashboards.recording.recording import Recording
    from gridfleet.dashboards.recording.trace import read_head, read_trace
    from gridfleet.provisioning.cli.exit_codes import CommandError
    from gridfleet.provisioning.runs.lifecycle import finish_recording, finish_run
    from gridfleet.provisioning.runs.results import clear_results, specification_of
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

    path = Path(arguments.trace)
    if path.is_dir():
        raise CommandError(
            path, "is a folder: name the file that --trace of `gridfleet run` or `simulate` wrote"
        )
    site, head = read_head(path)
    name = f"replay-{head.facts.scenario}"
    with claim_run_folder(arguments.out, name, force=arguments.force, link=LATEST) as folder:
        clear_results(folder.path)
        with Recording(
            folder.path,
            head.facts,
            site=site,
            exact=head.exact,
            clock_skew_ms=head.clock_skew_ms,
            specification_of=specification_of,
        ) as recorded:
            for message in read_trace(path, whole=True, on_gap=recorded.note_gap):
                recorded.receive(*message)
            finish_recording(recorded, folder)
        folder.begin()
    return finish_run(folder.path, interrupted=False, report=arguments.report, png=arguments.png)
