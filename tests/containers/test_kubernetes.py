"""The Kubernetes objects: restricted, parts that cover the fleet, valid by Kubernetes' own schema."""

import base64
import re
import stat
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.partitioning import part_of
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.containers.kubernetes import check_sizes
from gridfleet.provisioning.deploy.kubernetes.site import KubernetesSite
from tests.containers.files import VALIDATOR

CELLS = ("area.rows=2", "area.columns=2")


@pytest.fixture(scope="module", params=[0, 3], ids=["mosquitto", "emqx"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "kubernetes"
    arguments = ("--folder", str(folder), "--nodes", str(request.param), "--set", *CELLS)
    assert main(["deploy", "kubernetes", "normal", *arguments]) == ExitCode.SUCCESS
    return folder


def read(folder: Path, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def pods(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for (kind, name), each in read(folder, "gridfleet.yaml").items():
        if kind in {"Deployment", "StatefulSet"}:
            found[name] = each["spec"]["template"]["spec"]
    assert set(found) == {"broker", "clock", "fleet", "recorder"}
    return found


def test_pods_are_restricted(written: Path) -> None:
    namespace = read(written, "00-namespace.yaml")["Namespace", "gridfleet"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(written).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            safe = container["securityContext"]
            assert (safe["allowPrivilegeEscalation"], safe["capabilities"]) == (False, {"drop": ["ALL"]})
            assert safe["readOnlyRootFilesystem"] is (container["name"] != "emqx")
            assert container["resources"]["limits"].keys() == container["resources"]["requests"].keys()
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
            assert re.search(r":\d+\.\d+\.\d+$", container["image"])


def test_the_fleet_is_divided_by_cells_and_the_clock_is_one(written: Path) -> None:
    objects = read(written, "gridfleet.yaml")
    fleet = objects["StatefulSet", "fleet"]["spec"]
    container = fleet["template"]["spec"]["containers"][0]
    assert (fleet["replicas"], fleet["ordinals"]) == (4, {"start": 1})
    assert "--part=$(PART)/4" in container["args"]
    part = next(each for each in container["env"] if each["name"] == "PART")
    assert part["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    clock = objects["Deployment", "clock"]["spec"]
    assert (clock["replicas"], clock["strategy"]) == (1, {"type": "Recreate"})


def test_secrets_are_in_a_separate_file_that_only_the_owner_can_read(written: Path) -> None:
    assert stat.S_IMODE((written / "secrets.yaml").stat().st_mode) == 0o600
    assert (written / ".gitignore").read_text() == "*\n"
    secret = read(written, "secrets.yaml")
    names = (*Fleet(load("normal")).ids, "fleet-1", "fleet-2", "fleet-3", "fleet-4")
    assert set(secret["Secret", "fleet"]["data"]) == {f"{name}.password" for name in names}
    assert set(secret["Secret", "clock"]["data"]) == {"clock.password", "register.json"}
    text = (written / "gridfleet.yaml").read_text(encoding="utf-8")
    for path in (written / "secrets" / "clients").glob("*.password"):
        password = path.read_text().strip()
        assert password not in text
        assert base64.b64encode(path.read_bytes()).decode() not in text


def test_every_mount_has_its_volume(written: Path) -> None:
    objects = {**read(written, "secrets.yaml"), **read(written, "gridfleet.yaml")}
    checked: Counter[str] = Counter()
    for pod in pods(written).values():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in pod["containers"][0]["volumeMounts"]:
            volume = volumes.get(mount["name"])
            if volume is None:
                assert mount["name"] == "data"  # claimed
            elif "secret" in volume:
                data = objects["Secret", volume["secret"]["secretName"]]["data"]
                assert mount.get("subPath") in {None, *data}
                checked["secret"] += 1
            elif "configMap" in volume:
                data = objects["ConfigMap", volume["configMap"]["name"]]["data"]
                assert mount.get("subPath") in {None, *data}
                checked["config map"] += 1
    assert checked["secret"] >= 3
    assert checked["config map"] >= 1


def test_services_and_budgets_select_existing_pods(written: Path) -> None:
    objects = read(written, "gridfleet.yaml")
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for (kind, _), each in objects.items()
        if kind in {"Deployment", "StatefulSet"}
    ]
    selecting = {key: each for key, each in objects.items() if key[0] in {"Service", "PodDisruptionBudget"}}
    assert "Service" in {kind for kind, _ in selecting}
    for (_, name), each in selecting.items():
        selector = each["spec"]["selector"]
        assert selector.get("matchLabels", selector) in labels, name


def test_the_namespace_comes_before_all_that_is_in_it(written: Path) -> None:
    """As `kubectl apply -f FOLDER` takes them: files by name, the objects of each in order."""
    found = [
        (each["kind"], each["metadata"].get("namespace"))
        for path in sorted(written.glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    assert found[0] == ("Namespace", None)
    assert len(found) > 10
    assert {namespace for _, namespace in found[1:]} == {"gridfleet"}


def test_each_fleet_pod_sees_the_passwords_of_its_own_part(written: Path) -> None:
    pod = pods(written)["fleet"]
    mount = next(each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "passwords")
    assert (mount["mountPath"], mount["subPathExpr"]) == ("/run/gridfleet/clients", "$(PART)")
    volume = next(each for each in pod["volumes"] if each["name"] == "passwords")["secret"]
    fleet = Fleet(load("normal", [*CELLS]))
    for number in range(1, 5):
        names = {*part_of(fleet, number, 4), f"fleet-{number}"}
        seen = [each for each in volume["items"] if each["path"].startswith(f"{number}/")]
        assert {each["key"] for each in seen} == {f"{name}.password" for name in names}
        assert {each["path"] for each in seen} == {f"{number}/{name}.password" for name in names}
    data = read(written, "secrets.yaml")["Secret", "fleet"]["data"]
    assert {each["key"] for each in volume["items"]} == set(data)


def test_only_the_broker_receives_connections(written: Path) -> None:
    policies = {
        name: each["spec"]
        for (kind, name), each in read(written, "gridfleet.yaml").items()
        if kind == "NetworkPolicy"
    }
    assert policies["deny-ingress"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    broker = policies["broker"]
    assert broker["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "broker"
    assert broker["ingress"][0] == {"ports": [{"protocol": "TCP", "port": 8883}]}


def test_pods_have_time_to_part_and_spread_over_zones(written: Path) -> None:
    found = pods(written)
    assert {found[name]["terminationGracePeriodSeconds"] for name in ("clock", "fleet", "recorder")} == {30}
    for name in ("fleet", "broker"):
        keys = [each["topologyKey"] for each in found[name]["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_a_second_call_changes_nothing(written: Path) -> None:
    before, yaml_before = read(written, "secrets.yaml"), (written / "gridfleet.yaml").read_text()
    nodes = "3" if "emqx" in pods(written)["broker"]["containers"][0]["image"] else "0"
    assert (
        main(["deploy", "kubernetes", "normal", "--folder", str(written), "--nodes", nodes, "--set", *CELLS])
        == ExitCode.SUCCESS
    )
    after = read(written, "secrets.yaml")
    assert before == after
    assert yaml_before == (written / "gridfleet.yaml").read_text()


@pytest.mark.skipif(not VALIDATOR.is_file(), reason="kubernetes-validate is not installed: make checkers")
def test_kubernetes_own_schema_accepts_the_objects(written: Path, tmp_path: Path) -> None:
    def validate(path: Path) -> "subprocess.CompletedProcess[str]":
        arguments = [str(VALIDATOR), "--strict", "--kubernetes-version", "1.31", str(path)]
        return subprocess.run(arguments, capture_output=True, text=True, check=False)

    for name in ("00-namespace.yaml", "secrets.yaml", "gridfleet.yaml"):
        done = validate(written / name)
        assert done.returncode == 0, done.stdout + done.stderr
    mistake = tmp_path / "mistake.yaml"
    mistake.write_text(
        (written / "gridfleet.yaml").read_text().replace("readOnlyRootFilesystem", "readOnlyRootFS", 1)
    )
    assert validate(mistake).returncode != 0


def test_more_parts_than_devices_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["deploy", "kubernetes", "normal", "--folder", str(tmp_path / "k"), "--parts", "58"])
        == ExitCode.USAGE
    )
    assert "some processes would have none of the 57 devices" in capsys.readouterr().err
    assert (
        main(
            [
                "kubernetes",
                "normal",
                "--folder",
                str(tmp_path / "k"),
                "--set",
                "area.rows=10",
                "area.columns=8",
            ]
        )
        == 2
    )
    assert "--parts 80: some processes would have none" in capsys.readouterr().err
    assert not (tmp_path / "k").exists()


def test_telemetry_goes_to_influxdb_if_one_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "deploy",
        "kubernetes",
        "normal",
        "--folder",
        str(tmp_path / "k"),
        "--influx",
        "http://influxdb:8086",
    ]
    assert main(arguments) == ExitCode.USAGE
    assert "need each other" in capsys.readouterr().err
    (tmp_path / "token").write_text("t0ken")
    assert main([*arguments, "--token-file", str(tmp_path / "token")]) == ExitCode.SUCCESS
    container = pods(tmp_path / "k")["recorder"]["containers"][0]
    assert "--influx=http://influxdb:8086" in container["args"]
    assert "t0ken" not in (tmp_path / "k" / "gridfleet.yaml").read_text()
    secret = read(tmp_path / "k", "secrets.yaml")["Secret", "recorder"]["data"]
    assert (
        f"--token-file=/run/gridfleet/clients/{(set(secret) - {'recorder.password'}).pop()}"
        in container["args"]
    )


def test_more_passwords_than_one_secret_can_hold_are_refused() -> None:
    many = {f"vehicle-{number:05d}.password": bytes(44) for number in range(24_000)}
    site = KubernetesSite(
        "s",
        "image",
        1,
        0,
        2.0,
        scenario={},
        authority=b"",
        broker={},
        clock={},
        devices=many,
        part_files={},
        recorder={},
    )
    with pytest.raises(
        CommandError,
        match="the passwords of all devices: are 1056000 bytes, but one object holds at most 1048576: split",
    ):
        check_sizes(site)
