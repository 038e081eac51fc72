"""Writes a seed for rpi-preseed, the announced successor of cloud-init on Raspberry Pi OS: one TOML file.

It is for config version 1.1 of a prototype, whose keys may change.
"""

import shlex
from typing import Any, Final

import tomli_w

from gridfleet.provisioning.flash.seed import GROUPS, Seed

FILE: Final = "rpi-preseed.toml"


def preseed(seed: Seed) -> dict[str, bytes]:
    """Return the seed as files by name."""
    return {FILE: tomli_w.dumps(document(seed)).encode()}


def document(seed: Seed) -> dict[str, Any]:
    """Return the content of the file; its only secret is the Wi-Fi key."""
    found: dict[str, Any] = {
        "config_version": "1.1",
        "system": {"hostname": seed.hostname},
        "user": {"name": seed.user, "passwordless_sudo": True, "groups": list(GROUPS)},
        "locale": {"timezone": seed.time_zone},
        # Late, because the early phase ends a command after seconds. It does not wait for time synchronisation,
        # which never comes in a network without internet.
        "runcmd": {
            "late": [shlex.join(seed.command)],
            "late_require_time_sync": False,
            "late_wait_for_apt_lock": False,
        },
    }
    if seed.ssh_keys:
        found["ssh"] = {
            "enabled": True,
            "password_authentication": False,
            "authorized_keys": list(seed.ssh_keys),
        }
    if seed.spi:
        found["interfaces"] = {"spi": True}
    wifi = seed.wifi
    if wifi is not None:
        found["wlan"] = {
            "ssid": wifi.ssid,
            "password": wifi.psk,
            "password_encrypted": True,
            "hidden": wifi.hidden,
            "country": wifi.country,
            "key_mgmt": "wpa-psk",
        }
    return found
