"""The same seed for rpi-preseed, which is announced to follow cloud-init on Raspberry Pi OS: one TOML file.

Written for config version 1.1, a prototype's: its keys may change.
"""

import shlex
from typing import Any, Final

from gridfleet.provisioning.flash.seed import GROUPS, Seed
from gridfleet.provisioning.runs.toml_text import toml_text

FILE: Final = "rpi-preseed.toml"


def preseed(seed: Seed) -> dict[str, bytes]:
    """Return the files of a seed."""
    return {FILE: toml_text(document(seed)).encode()}


def document(seed: Seed) -> dict[str, Any]:
    """Return what the file says; its only secret is the key of the wireless network."""
    found: dict[str, Any] = {
        "config_version": "1.1",
        "system": {"hostname": seed.hostname},
        "user": {"name": seed.user, "passwordless_sudo": True, "groups": list(GROUPS)},
        "locale": {"timezone": seed.time_zone},
        # Late, because the early phase ends a command after seconds; without waiting for the time, which a
        # network without internet never tells.
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
