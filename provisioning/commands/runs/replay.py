"""`gridfleet replay`: shows a stored run again on its live page, or records and audits a traced run again."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_output, add_png
from gridfleet.provisioning.runs.live.page_options import add_page_options

HELP: Final = "show a stored run again, or audit a traced one again"
DESCRIPTION: Final = (
    "Of a folder of results: serve the live page of that run, with a slider, play, step, and links to its events;\n"
    "the page of a `run` with a page as it was, of others what their tables have. It stays until Ctrl-C.\n\n"
    "Of a trace: pass its messages through recorder and auditor again, and write the tables, the report and the\n"
    "verdict that the run had, to the byte: so a stranger can check a run without running it. Nothing is\n"
    "published anywhere, and no device takes part."
)
EXAMPLES: Final = (
    "gridfleet replay out/latest",
    "gridfleet replay out/messages.jsonl",
    "gridfleet replay messages.jsonl.gz --out out/checked",
)
LATEST: Final = "latest-replay"
"""The link to the newest replay; `latest` leads to the newest run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `replay`."""
    parser.add_argument(
        "trace",
        metavar="DIR|TRACE",
        help="the folder of a run, or a file that --trace of `run` or `simulate` has written",
    )
    parser.add_argument(
        "--no-report", action="store_false", dest="report", help="of a trace: write no report.html"
    )
    add_output(parser, "out/replay-SCENARIO-TIME")
    add_png(parser)
    parser.add_argument(
        "--from-store", action="store_true", help="of a folder: show what the tables have, not the messages"
    )
    add_page_options(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Show a folder's run until Ctrl-C, or audit a trace; return the exit code."""
    path = Path(arguments.trace)
    return _show(path, arguments) if path.is_dir() else _audit(path, arguments)


def _show(folder: Path, arguments: argparse.Namespace) -> int:
    """Serve the page of a stored run until Ctrl-C."""
    from gridfleet.dashboards.console.history.from_store import history_of_store
    from gridfleet.dashboards.console.history.page_history import read_history
    from gridfleet.dashboards.console.history.segments import HISTORY_FILE
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.cli.exit_codes import ExitCode
    from gridfleet.provisioning.cli.terminal import print_message
    from gridfleet.provisioning.runs.live.live_page import LivePage, status_of
    from gridfleet.provisioning.runs.results import stored_run

    kept = folder / HISTORY_FILE
    with Store.open(stored_run(folder)) as store:
        if kept.is_file() and not arguments.from_store:
            history = read_history(kept)
        else:
            history = history_of_store(store)
            print_message(
                "This run has no page.history: the page shows what its tables have. "
                "Bids that nobody served and ports that nobody reserved are not in them."
            )
        status = status_of(store, folder, "replay")
    with LivePage(history.site, port=arguments.port, mode="replay", browser=arguments.browser) as page:
        page.replay(history, status, folder)
        page.open_browser()
        page.stay(arguments.stay)
    return ExitCode.SUCCESS


def _audit(path: Path, arguments: argparse.Namespace) -> int:
    """Replay the trace; write the results and print the key figures."""
    from gridfleet.dashboards.recording.recording import Recording
    from gridfleet.dashboards.recording.trace import read_head, read_trace
    from gridfleet.provisioning.runs.lifecycle import finish_recording, finish_run
    from gridfleet.provisioning.runs.results import clear_results, specification_of
    from gridfleet.provisioning.runs.run_folder import claim_run_folder

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
