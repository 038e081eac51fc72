"""Grafana's provisioning files: data source, folder of the pages, alert rules and contact point."""

from typing import Any, Final

from gridfleet.broker.yaml_text import yaml_text
from gridfleet.dashboards.grafana.alerts import rules_as_data
from gridfleet.dashboards.grafana.names import DATASOURCE_UID, FOLDER, FOLDER_UID

PAGES_PATH: Final = "/etc/gridfleet/pages"
TOKEN_PATH: Final = "/run/gridfleet/grafana.token"  # noqa: S105 - a path, not a token
URL: Final = "http://influxdb:8086"
ORGANISATION: Final = "gridfleet"
RAW: Final = "gridfleet"
"""The bucket that pages and rules read."""
CONTACT: Final = "operators"
MAILBOX: Final = "root@localhost"
"""A mailbox that every machine has; docs/how-to/site/grafana.md says how to set another."""
HEAD: Final = "# Written by `make dashboards` from dashboards/grafana/{module}; change it there.\n"


def datasource() -> dict[str, Any]:
    """Return the data source: InfluxDB 2.7 with Flux; Grafana reads the token from a file."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "GridFleet",
                "uid": DATASOURCE_UID,
                "type": "influxdb",
                "access": "proxy",
                "url": URL,
                "isDefault": True,
                "editable": False,
                "jsonData": {
                    "version": "Flux",
                    "organization": ORGANISATION,
                    "defaultBucket": RAW,
                    "httpMode": "POST",
                    "timeInterval": "10s",
                    "maxSeries": 10_000,
                },
                "secureJsonData": {"token": f"$__file{{{TOKEN_PATH}}}"},
            }
        ],
    }


def provider() -> dict[str, Any]:
    """Return the folder of the pages; Grafana reads them again when the files change."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "gridfleet",
                "orgId": 1,
                "type": "file",
                "folder": FOLDER,
                "folderUid": FOLDER_UID,
                "disableDeletion": False,
                "allowUiUpdates": False,
                "updateIntervalSeconds": 30,
                "options": {"path": PAGES_PATH, "foldersFromFilesStructure": False},
            }
        ],
    }


def contact() -> dict[str, Any]:
    """Return the contact point for alerts, and the policy that uses it."""
    receiver = {
        "uid": "gridfleet-operators",
        "type": "email",
        "settings": {"addresses": MAILBOX, "singleEmail": True},
        "disableResolveMessage": False,
    }
    return {
        "apiVersion": 1,
        "contactPoints": [{"orgId": 1, "name": CONTACT, "receivers": [receiver]}],
        "policies": [
            {
                "orgId": 1,
                "receiver": CONTACT,
                "group_by": ["grafana_folder", "alertname"],
                "group_wait": "30s",
                "group_interval": "5m",
                "repeat_interval": "12h",
            }
        ],
    }


def files() -> dict[str, str]:
    """Return the provisioning files by their path below `/etc/grafana/provisioning`."""
    return {
        "datasources/gridfleet.yaml": _text(datasource(), "provisioned.py"),
        "dashboards/gridfleet.yaml": _text(provider(), "provisioned.py"),
        "alerting/gridfleet-rules.yaml": _text(rules_as_data(), "alerts.py"),
        "alerting/gridfleet-contact.yaml": _text(contact(), "provisioned.py"),
    }


def _text(data: dict[str, Any], module: str) -> str:
    return HEAD.format(module=module) + yaml_text(data)
