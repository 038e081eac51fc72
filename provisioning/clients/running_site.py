"""Which running site `set`, `watch` and `console` connect to: the one named, or the run in progress in `out/`."""

from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from gridfleet.broker.address import BrokerAddress
from gridfleet.provisioning.cli.broker_options import DEFAULT_BROKER, DEFAULT_SITE, broker_address
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.runs.live_run import LiveRun, live_run
from gridfleet.provisioning.runs.run_folder import OUT, latest_folder


class RunningSite(NamedTuple):
    """A broker and a site there."""

    address: BrokerAddress
    site: str


def running_site(arguments: Namespace) -> RunningSite:
    """Return the site that --broker, --run and --site name; without --broker and --run, the newest run in progress.

    A site that the user has not named is printed before anything connects to it. Raises CommandError for a --run folder
    without a run in progress, and where --site is not the site of that run.
    """
    if arguments.broker is not None:
        return RunningSite(_given(arguments), arguments.site or DEFAULT_SITE)
    folder = latest_folder() if arguments.run is None else Path(arguments.run).resolve()
    found = None if folder is None else live_run(folder)
    if found is not None:
        return _site_of(folder if arguments.run is None else Path(arguments.run), found, arguments)
    if arguments.run is not None:
        problem = "no run is in progress there: name its folder, or the broker with --broker"
        raise CommandError(f"--run {arguments.run}", f"{problem}{_others()}")
    site = arguments.site or DEFAULT_SITE
    print_message(
        f"No run is in progress in {OUT / 'latest'}: trying site {site} at {DEFAULT_BROKER}. "
        f"Name another with --broker URL{_others()}"
    )
    return RunningSite(BrokerAddress.parse(DEFAULT_BROKER), site)


def _given(arguments: Namespace) -> BrokerAddress:
    """Return the address of --broker; the console has no --ca and --login-file."""
    return broker_address(arguments) if hasattr(arguments, "ca") else BrokerAddress.parse(arguments.broker)


def _site_of(folder: Path | None, run: LiveRun, arguments: Namespace) -> RunningSite:
    """Return the site of a run in progress, after printing which it is."""
    if arguments.site not in {None, run.site}:
        problem = (
            f"the run in progress in {folder} is of site {run.site}: leave out --site, or name a --broker"
        )
        raise CommandError(f"--site {arguments.site}", problem)
    if run.login and arguments.secrets is None:
        problem = f"{run.broker} asks for a login: name it with --broker, with its user name and password, or --secrets"
        raise CommandError(f"the run in {folder}", problem)
    print_message(f"Run       {folder}: site {run.site} at {run.broker}, process {run.pid}")
    return RunningSite(BrokerAddress.parse(run.broker), run.site)


def _others() -> str:
    """Return the ending of a message that names the other runs in progress."""
    found = [str(path.parent) for path in sorted(OUT.glob("*/broker.json")) if live_run(path.parent)]
    running = [path for path in found if path != str(OUT / "latest")]
    return f". In progress: {', '.join(f'--run {path}' for path in running)}" if running else ""
