"""Kubernetes objects for a site: the clock once, the fleet in parts by cell, and a broker. Plain data, nothing else.

All runs as the `restricted` Pod Security Standard asks. Liveness asks whether a process hangs, readiness whether it
is connected: a broker that cannot be reached is no reason to restart a thousand devices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gridfleet.provisioning.deploy.pods import (
    Object,
    asked,
    claim,
    digest,
    encoded,
    is_text,
    labels,
    resources,
    safe_container,
    safe_pod,
    scratch,
    selecting,
)

MOUNT: Final = "/run/gridfleet"
BROKER_PORT: Final = 8883
EMQX: Final = "docker.io/emqx/emqx:5.8.6"
EMQX_USER: Final = 1000
MOSQUITTO: Final = "docker.io/library/eclipse-mosquitto:2.0.22"
MOSQUITTO_USER: Final = 1883
GRIDFLEET_USER: Final = 10_001
"""The users that the images have."""
HEADLESS: Final = "broker-nodes"
TOKEN: Final = "influxdb-token"  # noqa: S105 - the name of a file


@dataclass(frozen=True, slots=True)
class Site:
    """What the objects are made from."""

    namespace: str
    image: str
    parts: int
    """Into how many processes the fleet is divided."""
    nodes: int
    """How many EMQX nodes there are; 0 for one Mosquitto."""
    seconds_per_tick: float
    scenario: Mapping[str, bytes]
    """The scenario's files by name."""
    authority: bytes
    broker: Mapping[str, bytes]
    """What the broker reads, by file name; some of it is secret."""
    clock: Mapping[str, bytes]
    devices: Mapping[str, bytes]
    recorder: Mapping[str, bytes]
    """Passwords by file name; the recorder's with InfluxDB's token, where there is one."""
    influx: str = ""
    """The address of an InfluxDB 2 server, if points go to one."""


def secrets(site: Site) -> list[Object]:
    """Return the namespace and all that is secret."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace, "labels": restricted}},
        *(
            {**_named(site, "v1", "Secret", name), "type": "Opaque", "data": encoded(files)}
            for name, files in (
                ("broker", site.broker),
                ("clock", site.clock),
                ("fleet", site.devices),
                ("recorder", site.recorder),
            )
        ),
    ]


def objects(site: Site) -> list[Object]:
    """Return everything else."""
    files = {"ca.crt": site.authority, **site.scenario}
    text = {name: content.decode() for name, content in files.items() if is_text(content)}
    other = {name: content for name, content in files.items() if name not in text}
    return [
        {**_named(site, "v1", "ConfigMap", "site"), "data": text, "binaryData": encoded(other)},
        *_broker(site),
        _clock(site),
        *_fleet(site),
        *_recorder(site),
    ]


def _clock(site: Site) -> Object:
    words = ["clock", *_common(), f"--seconds-per-tick={site.seconds_per_tick:g}"]
    pod = _pod(_process(site, "clock", words, {"cpu": "500m", "memory": "128Mi"}), "clock")
    return {
        **_named(site, "apps/v1", "Deployment", "clock"),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # never two clocks
            **selecting("clock", pod, digest(site.clock, site.scenario)),
        },
    }


def _fleet(site: Site) -> list[Object]:
    words = ["fleet", *_common(), f"--part=$(PART)/{site.parts}"]
    container = _process(site, "fleet", words, {"cpu": "2", "memory": "1Gi"})
    index = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    container["env"].append({"name": "PART", "valueFrom": index})
    spec = {
        "serviceName": "fleet",
        "replicas": site.parts,
        "ordinals": {"start": 1},
        "podManagementPolicy": "Parallel",
        **selecting("fleet", _pod(container, "fleet"), digest(site.devices, site.scenario)),
    }
    return [
        _service(site, "fleet", "fleet", headless=True),
        {**_named(site, "apps/v1", "StatefulSet", "fleet"), "spec": spec},
        _budget(site, "fleet"),
    ]


def _recorder(site: Site) -> list[Object]:
    influx = [f"--influx={site.influx}", f"--token-file={MOUNT}/clients/{TOKEN}"] if site.influx else []
    words = ["record", *_common(), "--out=/data", *influx]
    container = _process(site, "recorder", words, {"cpu": "1", "memory": "256Mi"})
    container["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    spec = {
        "serviceName": "recorder",
        "replicas": 1,
        "volumeClaimTemplates": [claim("10Gi")],
        **selecting("recorder", _pod(container, "recorder"), digest(site.recorder, site.scenario)),
    }
    return [
        _service(site, "recorder", "recorder", headless=True),
        {**_named(site, "apps/v1", "StatefulSet", "recorder"), "spec": spec},
    ]


def _broker(site: Site) -> list[Object]:
    container = _emqx(site) if site.nodes else _mosquitto()
    user = EMQX_USER if site.nodes else MOSQUITTO_USER
    files = {"name": "files", "secret": {"secretName": "broker", "defaultMode": 0o440}}
    pod: Object = {**safe_pod(user), "containers": [container], "volumes": [files, scratch()]}
    if site.nodes:
        apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels("broker")}}
        pod["affinity"] = {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
            }
        }
    spec = {
        "serviceName": HEADLESS,
        "replicas": max(site.nodes, 1),
        "podManagementPolicy": "Parallel",
        "volumeClaimTemplates": [claim("1Gi")],
        **selecting("broker", pod, digest(site.broker)),
    }
    return [
        _service(site, "broker", "broker", port=BROKER_PORT),
        _service(site, HEADLESS, "broker", headless=True, port=4370),
        {**_named(site, "apps/v1", "StatefulSet", "broker"), "spec": spec},
        _budget(site, "broker"),
    ]


def _emqx(site: Site) -> Object:
    name = {"fieldRef": {"fieldPath": "metadata.name"}}
    host = f"$(POD).{HEADLESS}.{site.namespace}.svc.cluster.local"
    status: Object = {"exec": {"command": ["/opt/emqx/bin/emqx", "ctl", "status"]}}
    return {
        "name": "emqx",
        "image": EMQX,
        "env": [{"name": "POD", "valueFrom": name}, {"name": "EMQX_NODE_NAME", "value": f"emqx@{host}"}],
        "ports": [{"name": "mqtts", "containerPort": BROKER_PORT}],
        "securityContext": safe_container(read_only=False),  # EMQX writes into its own folder when it starts
        "startupProbe": {**status, "periodSeconds": 5, "timeoutSeconds": 15, "failureThreshold": 60},
        "readinessProbe": {**status, "periodSeconds": 15, "timeoutSeconds": 15},
        "livenessProbe": {**status, "periodSeconds": 30, "timeoutSeconds": 15},
        "resources": resources({"cpu": "2", "memory": "1Gi"}),
        "volumeMounts": [
            {"name": "data", "mountPath": "/opt/emqx/data"},
            {"name": "files", "mountPath": MOUNT, "readOnly": True},
            {
                "name": "files",
                "mountPath": "/opt/emqx/etc/emqx.conf",
                "subPath": "emqx.conf",
                "readOnly": True,
            },
        ],
    }


def _mosquitto() -> Object:
    accepts: Object = {"tcpSocket": {"port": BROKER_PORT}}
    return {
        "name": "mosquitto",
        "image": MOSQUITTO,
        "command": ["mosquitto", "-c", f"{MOUNT}/mosquitto.conf"],
        "ports": [{"name": "mqtts", "containerPort": BROKER_PORT}],
        "securityContext": safe_container(),
        "startupProbe": {**accepts, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**accepts, "periodSeconds": 15},
        "livenessProbe": {**accepts, "periodSeconds": 30},
        "resources": resources({"cpu": "1", "memory": "512Mi"}),
        "volumeMounts": [
            {"name": "data", "mountPath": "/mosquitto/data"},
            {"name": "files", "mountPath": MOUNT, "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - a place in the container
        ],
    }


def _common() -> list[str]:
    return ["/site/scenario.toml", f"--broker=mqtts://broker:{BROKER_PORT}", f"--secrets={MOUNT}"]


def _process(site: Site, name: str, words: Sequence[str], limits: Mapping[str, str]) -> Object:
    """Return the container of a process of ours."""
    health = ["gridfleet", "health"]
    return {
        "name": name,
        "image": site.image,
        "args": list(words),
        "env": [{"name": "GRIDFLEET_HEARTBEAT", "value": "/tmp/heartbeat"}],  # noqa: S108 - a place in the container
        "securityContext": safe_container(),
        "startupProbe": asked([*health, "--alive"], every_s=2, failures=60),
        "livenessProbe": asked([*health, "--alive"], every_s=30, failures=3),
        "readinessProbe": asked(health, every_s=15, failures=2),
        "resources": resources(limits),
        "volumeMounts": [
            {"name": "site", "mountPath": "/site", "readOnly": True},
            {"name": "site", "mountPath": f"{MOUNT}/ca.crt", "subPath": "ca.crt", "readOnly": True},
            {"name": "passwords", "mountPath": f"{MOUNT}/clients", "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - a place in the container
        ],
    }


def _pod(container: Object, secret: str) -> Object:
    return {
        **safe_pod(GRIDFLEET_USER),
        "containers": [container],
        "volumes": [
            {"name": "site", "configMap": {"name": "site"}},
            {"name": "passwords", "secret": {"secretName": secret, "defaultMode": 0o440}},
            scratch(),
        ],
    }


def _service(
    site: Site, name: str, component: str, *, headless: bool = False, port: int | None = None
) -> Object:
    spec: Object = {"selector": labels(component)}
    if headless:
        spec |= {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
        }  # nodes find each other before they are ready
    if port is not None:
        spec["ports"] = [{"name": "mqtts" if port == BROKER_PORT else "nodes", "port": port}]
    return {**_named(site, "v1", "Service", name), "spec": spec}


def _budget(site: Site, component: str) -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(component)}}
    return {**_named(site, "policy/v1", "PodDisruptionBudget", component), "spec": spec}


def _named(site: Site, version: str, kind: str, name: str) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": {"app.kubernetes.io/part-of": "gridfleet"},
        },
    }
