"""Kubernetes objects of GridFleet's processes: the clock once, the fleet in parts, the recorder.

The liveness probe checks that a process does not hang, the readiness probe that it is connected: an outage of the
broker does not restart thousands of devices.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gridfleet.provisioning.deploy.kubernetes.objects import (
    Object,
    content_hash,
    disruption_budget,
    exec_probe,
    object_header,
    resources,
    restricted_container,
    restricted_pod,
    scratch_volume,
    selector_and_template,
    service,
    volume_claim,
    zone_spread,
)
from gridfleet.provisioning.deploy.kubernetes.site import TOKEN, KubernetesSite
from gridfleet.provisioning.deploy.site_files import IMAGE_USER, MOUNT, PORT

GRACE_S: Final = 30
"""How long a process may take to stop, in seconds."""
DEVICES_PER_S: Final = 150
"""How many devices part from a broker in a second: 10 000 took 51 s."""


def clock_object(site: KubernetesSite) -> Object:
    """Return the Deployment of the clock."""
    arguments = ["site", "clock", *_common_arguments(), f"--seconds-per-tick={site.seconds_per_tick:g}"]
    container = _process(site, "clock", arguments, {"cpu": "500m", "memory": "128Mi"})
    register = "register.json"
    container["volumeMounts"].append(
        {"name": "passwords", "mountPath": f"{MOUNT}/{register}", "subPath": register, "readOnly": True}
    )
    pod = _pod(container, "clock")
    return {
        **object_header(site, "apps/v1", "Deployment", "clock"),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # never two clocks at once
            **selector_and_template("clock", pod, content_hash(site.clock, site.scenario)),
        },
    }


def fleet_objects(site: KubernetesSite) -> list[Object]:
    """Return service, StatefulSet and disruption budget of the fleet; pod K runs part K."""
    arguments = ["site", "fleet", *_common_arguments(), f"--part=$(PART)/{site.parts}"]
    container = _process(site, "fleet", arguments, {"cpu": "2", "memory": "1Gi"})
    for mount in container["volumeMounts"]:
        if mount["name"] == "passwords":
            mount["subPathExpr"] = "$(PART)"  # a pod sees the passwords of its own part
    index = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    container["env"].append({"name": "PART", "valueFrom": index})
    pod = _pod(container, "fleet", grace_s=_grace_s(len(site.devices) // site.parts)) | zone_spread("fleet")
    passwords = next(each for each in pod["volumes"] if each["name"] == "passwords")
    passwords["secret"]["items"] = [
        {"key": name, "path": f"{number}/{name}"}
        for number, names in site.part_files.items()
        for name in names
    ]
    spec = {
        "serviceName": "fleet",
        "replicas": site.parts,
        "ordinals": {"start": 1},
        "podManagementPolicy": "Parallel",
        **selector_and_template("fleet", pod, content_hash(site.devices, site.scenario)),
    }
    return [
        service(site, "fleet", "fleet", headless=True),
        {**object_header(site, "apps/v1", "StatefulSet", "fleet"), "spec": spec},
        disruption_budget(site, "fleet"),
    ]


def recorder_objects(site: KubernetesSite) -> list[Object]:
    """Return service and StatefulSet of the recorder."""
    influx = [f"--influx={site.influx}", f"--token-file={MOUNT}/clients/{TOKEN}"] if site.influx else []
    arguments = ["site", "record", *_common_arguments(), "--out=/data", *influx]
    container = _process(site, "recorder", arguments, {"cpu": "1", "memory": "256Mi"})
    container["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    spec = {
        "serviceName": "recorder",
        "replicas": 1,
        "volumeClaimTemplates": [volume_claim("10Gi")],
        **selector_and_template(
            "recorder", _pod(container, "recorder"), content_hash(site.recorder, site.scenario)
        ),
    }
    return [
        service(site, "recorder", "recorder", headless=True),
        {**object_header(site, "apps/v1", "StatefulSet", "recorder"), "spec": spec},
    ]


def _common_arguments() -> list[str]:
    return ["/site/scenario.toml", f"--broker=mqtts://broker:{PORT}", f"--secrets={MOUNT}"]


def _process(site: KubernetesSite, name: str, arguments: Sequence[str], limits: Mapping[str, str]) -> Object:
    """Return the container of one GridFleet process."""
    health = ["gridfleet", "health"]
    return {
        "name": name,
        "image": site.image,
        "args": list(arguments),
        "env": [{"name": "GRIDFLEET_HEARTBEAT", "value": "/tmp/heartbeat"}],  # noqa: S108 - a path in the container
        "securityContext": restricted_container(),
        "startupProbe": exec_probe([*health, "--alive"], every_s=2, failures=60),
        "livenessProbe": exec_probe([*health, "--alive"], every_s=30, failures=3),
        "readinessProbe": exec_probe(health, every_s=15, failures=2),
        "resources": resources(limits),
        "volumeMounts": [
            {"name": "site", "mountPath": "/site", "readOnly": True},
            {"name": "site", "mountPath": f"{MOUNT}/ca.crt", "subPath": "ca.crt", "readOnly": True},
            {"name": "passwords", "mountPath": f"{MOUNT}/clients", "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - a path in the container
        ],
    }


def _grace_s(devices: int) -> int:
    """Return how long a fleet process may take to publish that so many devices are offline, in seconds."""
    return GRACE_S + devices // DEVICES_PER_S


def _pod(container: Object, secret: str, grace_s: int = GRACE_S) -> Object:
    return {
        **restricted_pod(IMAGE_USER),
        "terminationGracePeriodSeconds": grace_s,
        "containers": [container],
        "volumes": [
            {"name": "site", "configMap": {"name": "site"}},
            {"name": "passwords", "secret": {"secretName": secret, "defaultMode": 0o440}},
            scratch_volume(),
        ],
    }
