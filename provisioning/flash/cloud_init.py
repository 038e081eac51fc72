"""Writes a seed for cloud-init's NoCloud data source, which Raspberry Pi OS (from trixie on) reads at its first boot.

Every version of cloud-init with NoCloud knows these keys; tests check them with cloud-init's own schema and netplan.
"""

from typing import Any, Final

from gridfleet.broker.yaml_text import yaml_text
from gridfleet.provisioning.flash.seed import GROUPS, Seed

USER_DATA: Final = "user-data"
META_DATA: Final = "meta-data"
NETWORK: Final = "network-config"


def cloud_init(seed: Seed) -> dict[str, bytes]:
    """Return the seed as files by name."""
    return {
        USER_DATA: f"#cloud-config\n{yaml_text(user_data(seed))}".encode(),
        # Some images ship `instance_id`, which nothing reads: the key has a hyphen.
        META_DATA: yaml_text({"instance-id": seed.instance_id, "local-hostname": seed.hostname}).encode(),
        NETWORK: yaml_text(network(seed)).encode(),
    }


def user_data(seed: Seed) -> dict[str, Any]:
    """Return the cloud-config; it contains no secret."""
    user: dict[str, Any] = {
        "name": seed.user,
        "groups": list(GROUPS),
        "shell": "/bin/bash",
        "lock_passwd": True,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
    }
    if seed.ssh_keys:
        user["ssh_authorized_keys"] = list(seed.ssh_keys)
    commands: list[list[str]] = []
    if seed.ssh_keys:
        commands.append(["systemctl", "enable", "--now", "ssh"])
    commands.append(list(seed.command))
    return {
        "hostname": seed.hostname,
        "manage_etc_hosts": True,
        "timezone": seed.time_zone,
        "users": [user],
        "ssh_pwauth": False,
        "package_update": False,
        "package_upgrade": False,
        "runcmd": commands,
    }


def network(seed: Seed) -> dict[str, Any]:
    """Return netplan's configuration: any wired network, and the wireless one; the boot waits for neither."""
    found: dict[str, Any] = {
        "version": 2,
        "ethernets": {"wired": {"match": {"name": "e*"}, "dhcp4": True, "optional": True}},
    }
    wifi = seed.wifi
    if wifi is not None:
        point: dict[str, Any] = {"password": wifi.psk}
        if wifi.hidden:
            point["hidden"] = True
        found["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": wifi.country,
                "access-points": {wifi.ssid: point},
            }
        }
    return found
