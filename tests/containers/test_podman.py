"""A site in containers: the image is built, and the services of docker-compose.yml run for ten ticks."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.reports.summary import verdict
from gridfleet.dashboards.store.database import Store
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.containers.files import ROOT
from tests.containers.podman import CACHE, IMAGE, LIMITS, Podman, Site
from tests.waiting import wait_until

pytestmark = [pytest.mark.podman, pytest.mark.slow, pytest.mark.timeout(1200)]

TICKS = 10
REMEDY = "make them with tools/container-base build/containers, as .ci/run does"


@pytest.fixture(scope="module")
def podman(own_wheel: Path) -> Podman:
    """Podman with the built image; skips, or fails in CI, where base image and wheels are missing."""
    if not (CACHE / "base.tar").is_file() or not (CACHE / "wheels").is_dir():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"base image and wheels are missing: {REMEDY}")
    podman = Podman()
    podman.build(own_wheel)
    return podman


@pytest.fixture(scope="module")
def site(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    assert (
        main(["deploy", "compose", "--folder", str(folder / "containers"), "--set", f"ticks={TICKS}"])
        == ExitCode.SUCCESS
    )
    site = Site(podman, folder, {"FLEETS": "2", "TICKS": str(TICKS), "RESTART": "on-failure"})
    try:
        site.open()
        yield site
    finally:
        site.close()


INSTALLED = """
import json, sysconfig
from importlib.metadata import distributions
from pathlib import Path
site = Path(sysconfig.get_path("purelib"))
files = {each.name: {path.parts[0] for path in each.files} - {".."} for each in distributions(path=[str(site)])}
print(json.dumps({"own": sorted(files["gridfleet"]), "all": sorted(path.name for path in site.iterdir()),
                  "known": sorted(set().union(*files.values()))}))
"""


def test_the_image_has_one_import_name_of_ours(podman: Podman) -> None:
    found = json.loads(podman("run", "--rm", *LIMITS, "--entrypoint=python3", IMAGE, "-c", INSTALLED))
    own = [name for name in found["own"] if not name.endswith(".dist-info")]
    assert own == ["gridfleet"]
    assert set(found["all"]) - set(found["known"]) <= {"__pycache__", "distutils-precedence.pth"}


def test_an_image_of_ones_own_has_a_kind_of_ones_own(podman: Podman, tmp_path: Path) -> None:
    """As examples/heat_pump/Dockerfile says, without a network."""
    project = ROOT / "examples" / "heat_pump"
    source, context = tmp_path / "source", tmp_path / "context"
    shutil.copytree(project, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    context.mkdir()
    for name in ("Dockerfile", "winter.toml"):
        shutil.copy(project / name, context)
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*wheel, "--wheel-dir", str(context / "dist"), str(source)], check=True)
    image = f"{IMAGE}-heat-pump"
    podman(
        "build", *LIMITS, "--network=none", f"--build-arg=GRIDFLEET={IMAGE}", f"--tag={image}", str(context)
    )
    mounted = f"--volume={context / 'winter.toml'}:/scenario.toml:ro"
    checked = podman("run", "--rm", *LIMITS, mounted, image, "scenario", "check", "/scenario.toml")
    assert "12 heat pumps" in checked
    assert podman("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001"


DIGESTS = """
import hashlib, json
from importlib.metadata import distribution
files = {str(each): each.locate() for each in distribution("gridfleet").files}
print(json.dumps({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}))
"""


def test_the_image_has_the_files_of_the_wheel(podman: Podman, own_wheel: Path) -> None:
    found = json.loads(podman("run", "--rm", *LIMITS, "--entrypoint=python3", IMAGE, "-c", DIGESTS))
    with zipfile.ZipFile(own_wheel) as archive:
        packed = {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    assert len(packed) > 400
    added_by_pip = {name for name in found.keys() - packed.keys() if "__pycache__" not in name}
    assert {Path(name).name for name in added_by_pip} == {
        "INSTALLER",
        "REQUESTED",
        "direct_url.json",
        "gridfleet",
    }
    differ = {name for name, digest in packed.items() if found.get(name) != digest}
    assert {Path(name).name for name in differ} == {"RECORD"}  # pip adds what it has added


def test_a_scenario_can_be_checked_in_the_image(podman: Podman) -> None:
    assert "[settings]" in podman("run", "--rm", *LIMITS, IMAGE, "scenario", "show", "normal")


def wait_healthy(podman: Podman, site: Site, service: str, container: str) -> None:
    command = site.health_check(service)
    wait_until(lambda: podman.exit_code("exec", container, *command) == 0, lambda: site.logs(container))


def test_ten_ticks_of_a_site_in_containers_and_its_ledger(podman: Podman, site: Site) -> None:
    broker = site.up("mosquitto")
    wait_healthy(podman, site, "mosquitto", broker)
    recorder = site.up("recorder", without=("--influx", "--token-file"))
    fleets = [site.up("fleet", number) for number in (1, 2)]
    for name in (recorder, *fleets):
        wait_healthy(podman, site, "fleet", name)
    parts = {site.logs(name).split("part ")[1][:1] for name in fleets}
    assert parts == {"1", "2"}
    clock = site.up("clock")

    # No process is root, can become root, or can write outside of its own folders. The clock, which ends, comes first.
    environment = podman("exec", clock, "env")
    for name in (clock, broker, recorder, *fleets):
        assert podman("exec", name, "id", "-u") != "0"
        assert podman.exit_code("exec", name, "touch", "/opt/x", "/usr/x") != 0
        assert "CapEff:\t0000000000000000" in podman("exec", name, "cat", "/proc/1/status")
    environment += podman("exec", fleets[0], "env")
    for password in site.folder.joinpath("containers/secrets/clients").glob("*.password"):
        assert password.read_text().strip() not in environment

    wait_until(lambda: site.state(clock)["State"]["Status"] == "exited", lambda: site.logs(clock))
    assert "the last tick is finished" in site.logs(clock)
    for name in (*fleets, recorder):
        podman("stop", "--time=20", name)
    for name in (clock, *fleets, recorder):
        assert site.state(name)["State"]["ExitCode"] == 0, site.logs(name)
    assert all("all devices are offline" in site.logs(name) for name in fleets)
    check_ledger(site.folder / "containers" / "data" / "recorder")


def check_ledger(folder: Path) -> None:
    """Check the recorder's ledger by the auditor's findings and by the sums of each tick."""
    (run,) = (folder / "runs").iterdir()
    with Store.open(run / STORE) as store:
        assert verdict(store) == "holds"
        assert all(each.breaches == 0 for each in store.invariants())
        ticks = list(store.ticks())
    assert [row.tick for row in ticks] == list(range(TICKS))
    for row in ticks:
        supply_wh = row.generated_wh + row.reactor_wh + row.imported_wh
        assert supply_wh == row.sold_wh + row.exported_wh + row.curtailed_wh
    assert sum(row.sold_wh for row in ticks) > 0
