"""A whole site in containers: the image is built, and docker-compose.yml's own services run for ten ticks."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.reports.summary import verdict
from gridfleet.dashboards.store.database import Store
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.containers.podman import CACHE, Podman, Site

pytestmark = [pytest.mark.podman, pytest.mark.slow, pytest.mark.timeout(1200)]

TICKS = 10
MADE_BY = "tools/container-base build/containers makes them, and .ci/run calls it"


@pytest.fixture(scope="module")
def podman() -> Podman:
    """Podman with the image built; says why where this machine does not let containers run."""
    if not (CACHE / "base.tar").is_file() or not (CACHE / "wheels").is_dir():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"the base image and the wheels are not there: {MADE_BY}")
    podman = Podman()
    podman.build()
    return podman


@pytest.fixture(scope="module")
def site(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    assert (
        main(["compose", "--folder", str(folder / "containers"), "--set", f"ticks={TICKS}"])
        == ExitCode.SUCCESS
    )
    site = Site(podman, folder, {"FLEETS": "2"})
    try:
        site.open()
        yield site
    finally:
        site.close()


def wait_until(holds: Callable[[], bool], what: Callable[[], str], timeout_s: float = 150.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def test_ten_ticks_of_a_site_in_containers_and_its_ledger(podman: Podman, site: Site) -> None:
    broker = site.up("mosquitto")
    wait_until(
        lambda: podman.ends("exec", broker, *site.check_of("mosquitto")) == 0, lambda: site.logs(broker)
    )
    recorder = site.up("recorder", without=("--influx", "--token-file"))
    fleets = [site.up("fleet", number) for number in (1, 2)]
    for name in (recorder, *fleets):
        wait_until(lambda: podman.ends("exec", name, *site.check_of("fleet")) == 0, lambda: site.logs(name))  # noqa: B023
    parts = {site.logs(name).split("part ")[1][:1] for name in fleets}
    assert parts == {"1", "2"}
    clock = site.up("clock")

    # Nobody is root, or can become it, or write where it should not.
    for name in (broker, recorder, clock, *fleets):
        assert podman("exec", name, "id", "-u") != "0"
        assert podman.ends("exec", name, "touch", "/opt/x", "/usr/x") != 0
        assert "CapEff:\t0000000000000000" in podman("exec", name, "cat", "/proc/1/status")
    environment = podman("exec", fleets[0], "env") + podman("exec", clock, "env")
    for password in site.folder.joinpath("containers/secrets/clients").glob("*.password"):
        assert password.read_text().strip() not in environment

    wait_until(lambda: site.state(clock)["State"]["Status"] == "exited", lambda: site.logs(clock))
    assert "the last tick is finished" in site.logs(clock)
    for name in (*fleets, recorder):
        podman("stop", "--time=20", name)
    for name in (clock, *fleets, recorder):
        assert site.state(name)["State"]["ExitCode"] == 0, site.logs(name)
    assert all("all devices are offline" in site.logs(name) for name in fleets)
    judge(site.folder / "containers" / "data" / "recorder")


def judge(folder: Path) -> None:
    """Hold the recorder's ledger to account: by the auditor, and by the sums of each tick."""
    (run,) = (folder / "runs").iterdir()
    with Store.open(run / STORE) as store:
        assert verdict(store) == "holds"
        assert all(each.breaches == 0 for each in store.invariants())
        ticks = list(store.ticks())
    assert [row.tick for row in ticks] == list(range(TICKS))
    for row in ticks:
        came = row.generated_wh + row.reactor_wh + row.imported_wh
        assert came == row.sold_wh + row.exported_wh + row.curtailed_wh
    assert sum(row.sold_wh for row in ticks) > 0
