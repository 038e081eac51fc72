"""docker-compose.yml is hardened, and `gridfleet deploy compose` makes all that it mounts, readable by nobody else."""

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gridfleet.broker.credentials import FileCredentials
from gridfleet.devices.config.device_file import load as load_device
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.deploy.compose_folder import NODES, SINGLE_DEVICES
from tests.containers.files import CHECKER, COMPOSE, compose

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("gridfleet:")}
ONE_SHOT = {"influx-setup"}
"""Services that run once and exit."""
PROFILES = ("fleet", "single", "observe", "cluster")
every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    expected = (
        r"gridfleet:\$\{GRIDFLEET_VERSION:-0\.1\.0\}"
        if name in OURS
        else r"docker\.io/[\w./-]+:\d+\.\d+\.\d+"
    )
    assert re.fullmatch(expected, image)


@every_service
def test_everything_returns_after_a_restart_of_the_machine(name: str) -> None:
    """A container with `on-failure` that the engine has stopped stays stopped."""
    expected = {"unless-stopped", "${RESTART:-unless-stopped}"} if name not in ONE_SHOT else {"on-failure"}
    assert SERVICES[name]["restart"] in expected


@every_service
def test_services_are_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "${GRIDFLEET_UID:-10001}:${GRIDFLEET_GID:-10001}"
    assert service["read_only"] is (name not in NODES)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & service.keys()
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["profiles"]


@every_service
def test_services_have_health_checks_and_wait_for_those_they_need(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
    for needed, how in service.get("depends_on", {}).items():
        assert how["condition"] == (
            "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        )
        shared = set(SERVICES[needed]["profiles"]) >= set(service["profiles"])
        assert shared or how["required"] is False


def secrets_in_the_environment(name: str) -> dict[str, str]:
    environment = SERVICES[name].get("environment", {})
    return {
        key: each for key, each in environment.items() if re.search("PASSWORD|TOKEN|SECRET|COOKIE|KEY", key)
    }


def test_some_services_get_secrets_from_files() -> None:
    assert {name for name in SERVICES if secrets_in_the_environment(name)} >= {"grafana", "influxdb"}


@every_service
def test_no_secret_is_in_the_environment_or_on_the_command_line(name: str) -> None:
    service = SERVICES[name]
    for key, value in secrets_in_the_environment(name).items():
        assert key.endswith("_FILE"), key
        assert value.startswith("/run/secrets/"), key
    assert "env_file" not in service
    for word in service.get("command", ()):
        assert not re.search("password|token=|token-", word) or word.startswith(
            ("--token-file=/run/secrets/", "--token-file=/tokens/")
        )


def test_published_ports_are_open_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith(("127.0.0.1:", "${BROKER_ADDRESS:-127.0.0.1}:")) for port in published)


def test_every_profile_has_one_broker_or_one_cluster() -> None:
    for profile in PROFILES:
        names = {name for name, service in SERVICES.items() if profile in service["profiles"]}
        assert ("mosquitto" in names) is (profile != "cluster")
        assert names >= ({*NODES, "clock", "fleet"} if profile == "cluster" else set())
    assert SERVICES["fleet"]["deploy"]["replicas"] == "${FLEETS:-1}"
    assert "--parts=${FLEETS:-1}" in SERVICES["fleet"]["command"]


# --- mounts ---


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compose file and all that `gridfleet deploy compose` makes."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "docker-compose.yml").write_text(COMPOSE.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["deploy", "compose", "--folder", str(folder / "containers")]) == ExitCode.SUCCESS
    return folder


def mounted() -> set[str]:
    document = compose()
    files = {each["file"] for kind in ("configs", "secrets") for each in document[kind].values()}
    binds = {
        volume["source"]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if isinstance(volume, dict) and volume["type"] == "bind"
    }
    return files | binds


def test_all_mounted_files_are_made(prepared: Path) -> None:
    ours = {source for source in mounted() if source.startswith("./containers/")}
    assert len(ours) > 15
    assert [source for source in sorted(ours) if not (prepared / source).exists()] == []
    assert [source for source in mounted() - ours if not (COMPOSE.parent / source).exists()] == []
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            assert isinstance(volume, str) or volume["bind"] == {"create_host_path": False}


def test_nobody_else_can_read_it_and_git_ignores_it(prepared: Path) -> None:
    folder = prepared / "containers"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    names = re.compile(r"password|token|\.key$|cookie|users\.csv|emqx\.conf")
    secret = [path for path in folder.rglob("*") if names.search(path.name) and path.is_file()]
    assert len(secret) > 5
    assert [path for path in secret if stat.S_IMODE(path.stat().st_mode) != 0o600] == []


def test_a_fleet_gets_the_passwords_of_its_devices_and_no_others(prepared: Path) -> None:
    names = {
        path.name.removesuffix(".password") for path in (prepared / "containers/fleet/clients").iterdir()
    }
    assert names == {*Fleet(load("normal")).ids, *(f"fleet-{number}" for number in range(1, 17))}
    assert not names & {"clock", "operator", *SINGLE_DEVICES}
    assert FileCredentials(prepared / "containers/fleet").login("turbine-1").password


def test_the_single_devices_have_valid_device_files_of_the_kinds_that_their_services_name(
    prepared: Path,
) -> None:
    devices = [load_device(prepared / "containers" / "devices" / f"{name}.toml") for name in SINGLE_DEVICES]
    assert [(device.id, device.kind) for device in devices] == [
        ("single-turbine", "turbine"),
        ("single-charger", "charger"),
    ]
    assert {device.reactor for device in devices} == {"reactor-1"}


def test_a_second_call_changes_no_secret(prepared: Path) -> None:
    folder = prepared / "containers"
    watched = [
        *folder.rglob("*.password"),
        *folder.glob("*-*"),
        *folder.rglob("*.key"),
        *folder.rglob("*.crt"),
    ]
    before = {path: path.read_bytes() for path in watched if path.is_file()}
    edited = folder / "devices" / f"{next(iter(SINGLE_DEVICES))}.toml"
    edited.write_text("# mine\n")
    (prepared / ".env").write_text((prepared / ".env").read_text() + "FLEETS=4\n")
    assert (
        main(["deploy", "compose", "--folder", str(folder), "--set", "vehicles.count=2"]) == ExitCode.SUCCESS
    )
    changed = {path for path, content in before.items() if path.exists() and path.read_bytes() != content}
    assert changed == set()
    deleted = {path for path in before if not path.exists()}
    assert deleted
    assert all(path.parent == folder / "fleet" / "clients" for path in deleted)
    assert edited.read_text() == "# mine\n"
    assert "FLEETS=4" in (prepared / ".env").read_text().splitlines()
    assert (prepared / ".env").read_text().count("GRIDFLEET_UID=") == 1


def test_containers_never_run_as_root(prepared: Path) -> None:
    text = (prepared / ".env").read_text()
    uid = int(re.search(r"^GRIDFLEET_UID=(\d+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert uid > 0
    assert {path.stat().st_uid for path in (prepared / "containers").rglob("*")} == {uid}


@pytest.mark.skipif(
    not CHECKER.is_file(), reason="tools/compose-config is not built: make checkers (needs Go)"
)
@pytest.mark.parametrize(
    "profiles", [[], *([each] for each in PROFILES), ["fleet", "single", "observe"]], ids=" ".join
)
def test_docker_composes_own_loader_accepts_the_file(profiles: list[str], prepared: Path) -> None:
    done = subprocess.run(
        [CHECKER, prepared / "docker-compose.yml", *profiles], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    project = json.loads(done.stdout)
    expected = {name for name, service in SERVICES.items() if set(service["profiles"]) & set(profiles)}
    assert set(project.get("services") or ()) == expected
    secret = [path.read_text().strip() for path in prepared.glob("containers/secrets/clients/*.password")]
    secret += [path.read_text() for path in prepared.glob("containers/*-*") if path.is_file()]
    assert len(secret) > 60
    assert not [word for word in secret if word in done.stdout]


@pytest.mark.skipif(
    not CHECKER.is_file(), reason="tools/compose-config is not built: make checkers (needs Go)"
)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cap_drop:", "cap_dorp:"),
        ("source: clock", "source: clok"),
        ("networks:\n  site:", "networks:\n  sight:"),
    ],
)
def test_the_loader_finds_a_mistake(right: str, wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text(COMPOSE.read_text(encoding="utf-8").replace(right, wrong, 1), encoding="utf-8")
    done = subprocess.run([CHECKER, file, "fleet"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr


def test_a_folder_with_other_files_is_not_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").touch(mode=0o644)
    mode = tmp_path.stat().st_mode
    assert main(["deploy", "compose", "--folder", str(tmp_path)]) == ExitCode.USAGE
    assert "is not empty and has no site of GridFleet: choose another folder" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]
    assert tmp_path.stat().st_mode == mode
