"""The seed files have the settings of the device, in a form that cloud-init, netplan and rpi-preseed accept."""

import json
import shlex
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.cloud_init import cloud_init, network, user_data
from gridfleet.provisioning.flash.preseed import preseed
from gridfleet.provisioning.flash.seed import Seed, Wifi, new_instance_id, read_ssh_keys
from tests.conftest import require_program

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 me@laptop"
WIFI = Wifi.make('bench: "5 GHz" #1', "correct horse battery", "de", hidden=True)
PLAIN = Seed("charger-01", "charger-01-00ff", ("python3", "-m", "somewhere", "/boot/firmware"))
FULL = replace(PLAIN, time_zone="Europe/Berlin", user="me", ssh_keys=(KEY,), wifi=WIFI)
SCHEMAS = Path("/usr/lib/python3/dist-packages/cloudinit/config/schemas")


# --- cloud-init ---


def strict_schema() -> dict[str, Any]:
    """cloud-init's own schema, which lets unknown keys pass at the top: here they do not."""
    require_program("cloud_init")
    schema: dict[str, Any] = json.loads((SCHEMAS / "schema-cloud-config-v1.json").read_text())
    parts = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in schema["allOf"]]
    schema["properties"] = {key: {} for part in parts for key in part.get("properties", {})}
    schema["additionalProperties"] = False
    return schema


@pytest.mark.cloud_init
def test_user_data_is_valid_by_cloud_inits_own_schema() -> None:
    check = fastjsonschema.compile(strict_schema(), use_default=False)
    for seed in (PLAIN, FULL):
        text = cloud_init(seed)["user-data"].decode()
        assert text.startswith("#cloud-config\n")
        check(yaml.safe_load(text))
    good = user_data(FULL)
    person = good["users"][0]
    for wrong in (
        {**good, "hostnam": "x"},
        {**good, "timezone": 1},
        {**good, "runcmd": [[1.5]]},
        {**good, "users": [{**person, "ssh_authorised_keys": [KEY]}]},
    ):
        with pytest.raises(fastjsonschema.JsonSchemaException):
            check(wrong)


@pytest.mark.netplan
@pytest.mark.parametrize("seed", [PLAIN, FULL], ids=["wired", "wireless"])
def test_netplan_accepts_the_network_config(seed: Seed, tmp_path: Path) -> None:
    document = yaml.safe_load(cloud_init(seed)["network-config"])
    assert generate(tmp_path / "right", document) == 0
    made = [path.name for path in (tmp_path / "right" / "run").rglob("*") if path.is_file()]
    assert "10-netplan-wired.network" in made
    assert ("wpa-wlan0.conf" in made) is (seed.wifi is not None)
    if seed.wifi is not None:
        text = next((tmp_path / "right" / "run").rglob("wpa-wlan0.conf")).read_text()
        assert seed.wifi.psk in text
        assert "correct horse" not in text
    document["ethernets"]["wired"]["dhpc4"] = True
    assert generate(tmp_path / "wrong", document) != 0


def generate(root: Path, document: dict[str, Any]) -> int:
    folder = root / "etc" / "netplan"
    folder.mkdir(parents=True)
    path = folder / "50-cloud-init.yaml"
    path.touch(0o600)
    path.write_text(yaml.safe_dump({"network": document}))
    command: list[str | Path] = [require_program("netplan"), "generate", "--root-dir", root]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_instance_id_has_a_hyphen_in_its_key_and_is_always_new() -> None:
    meta = yaml.safe_load(cloud_init(PLAIN)["meta-data"])
    assert meta == {"instance-id": "charger-01-00ff", "local-hostname": "charger-01"}
    assert len({new_instance_id("charger-01") for _ in range(100)}) == 100


def test_user_data_has_the_settings_of_the_device() -> None:
    data = yaml.safe_load(cloud_init(FULL)["user-data"])
    assert (data["hostname"], data["timezone"], data["ssh_pwauth"]) == ("charger-01", "Europe/Berlin", False)
    (person,) = data["users"]
    assert (person["name"], person["ssh_authorized_keys"], person["lock_passwd"]) == ("me", [KEY], True)
    assert data["runcmd"][-1] == list(FULL.command)


def test_the_boot_waits_for_no_network() -> None:
    found = network(FULL)
    assert all(each["optional"] for kind in ("ethernets", "wifis") for each in found[kind].values())


# --- rpi-preseed ---


def test_preseed_has_the_same_settings() -> None:
    document = tomllib.loads(preseed(FULL)["rpi-preseed.toml"].decode())
    cloud = user_data(FULL)
    assert document["config_version"] == "1.1"
    assert document["system"]["hostname"] == cloud["hostname"]
    assert document["locale"]["timezone"] == cloud["timezone"]
    assert document["user"]["name"] == cloud["users"][0]["name"]
    assert document["ssh"]["authorized_keys"] == cloud["users"][0]["ssh_authorized_keys"]
    assert document["interfaces"]["spi"] is True
    (command,) = document["runcmd"]["late"]
    assert tuple(shlex.split(command)) == FULL.command
    point = network(FULL)["wifis"]["wlan0"]
    assert document["wlan"]["country"] == point["regulatory-domain"]
    assert {document["wlan"]["ssid"]: document["wlan"]["password"]} == {
        name: each["password"] for name, each in point["access-points"].items()
    }
    assert "wlan" not in tomllib.loads(preseed(PLAIN)["rpi-preseed.toml"].decode())


# --- values ---


def test_a_wifi_key_is_that_of_the_standard() -> None:
    """IEEE 802.11-2020, annex J.4.2, test case 1."""
    key = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert Wifi.make("IEEE", "password", "DE").psk == key
    assert Wifi.make("IEEE", key.upper(), "DE").psk == key


def test_no_text_of_a_seed_shows_the_wifi_key() -> None:
    assert WIFI.psk not in repr(FULL)
    assert "correct horse" not in repr(FULL)
    assert WIFI.psk not in cloud_init(FULL)["user-data"].decode()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hostname": "under_score"}, "host name 'under_score': must be letters"),
        ({"hostname": "-x"}, "host name"),
        ({"user": "Root!"}, "user 'Root!'"),
        ({"time_zone": "../etc"}, "time zone"),
        ({"ssh_keys": ("AAAA",)}, "is not a public key"),
        ({"ssh_keys": ("-----BEGIN OPENSSH PRIVATE KEY-----",)}, "is a private key"),
    ],
)
def test_an_invalid_name_or_key_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        replace(PLAIN, **changed)


@pytest.mark.parametrize(
    ("ssid", "passphrase", "country", "message"),
    [
        ("", "long enough", "DE", "must have 1 to 32 bytes"),
        ("bench", "short", "DE", "must have 8 to 63"),
        ("bench", "long enough", "Germany", "must be two letters"),
    ],
)
def test_an_invalid_wifi_network_is_refused(ssid: str, passphrase: str, country: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        Wifi.make(ssid, passphrase, country)
    assert passphrase not in str(caught.value)


def test_ssh_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "id.pub"
    path.write_text(f"# mine\n{KEY}\n\n")
    assert read_ssh_keys(path) == (KEY,)
    path.write_text("\n")
    with pytest.raises(CommandError, match="has no SSH key"):
        read_ssh_keys(path)
    with pytest.raises(CommandError, match="cannot be read"):
        read_ssh_keys(tmp_path / "nowhere.pub")
