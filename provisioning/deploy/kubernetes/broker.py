"""Kubernetes objects of the broker: a cluster of EMQX nodes that find each other by DNS, or one Mosquitto."""

from typing import Final

from gridfleet.provisioning.deploy.kubernetes.objects import (
    Object,
    content_hash,
    disruption_budget,
    labels,
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
from gridfleet.provisioning.deploy.kubernetes.site import KubernetesSite
from gridfleet.provisioning.deploy.site_files import MOUNT, PORT

EMQX: Final = "docker.io/emqx/emqx:5.8.6"
EMQX_USER: Final = 1000
MOSQUITTO: Final = "docker.io/library/eclipse-mosquitto:2.0.22"
MOSQUITTO_USER: Final = 1883
"""User ids inside the images."""
HEADLESS: Final = "broker-nodes"
"""Name of the service by which EMQX nodes find each other."""
CLUSTER_PORT: Final = 4370


def broker_objects(site: KubernetesSite) -> list[Object]:
    """Return services, StatefulSet and disruption budget of the broker: EMQX nodes, or one Mosquitto."""
    container = _emqx(site) if site.nodes else _mosquitto()
    user = EMQX_USER if site.nodes else MOSQUITTO_USER
    files = {"name": "files", "secret": {"secretName": "broker", "defaultMode": 0o440}}
    pod: Object = {
        **restricted_pod(user),
        **zone_spread("broker"),
        "containers": [container],
        "volumes": [files, scratch_volume()],
    }
    if site.nodes:
        spread = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels("broker")}}
        pod["affinity"] = {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": spread}
                ]
            }
        }
    spec = {
        "serviceName": HEADLESS,
        "replicas": max(site.nodes, 1),
        "podManagementPolicy": "Parallel",
        "volumeClaimTemplates": [volume_claim("1Gi")],
        **selector_and_template("broker", pod, content_hash(site.broker)),
    }
    return [
        service(site, "broker", "broker", port=PORT),
        service(site, HEADLESS, "broker", headless=True, port=CLUSTER_PORT),
        {**object_header(site, "apps/v1", "StatefulSet", "broker"), "spec": spec},
        disruption_budget(site, "broker"),
    ]


def _emqx(site: KubernetesSite) -> Object:
    name = {"fieldRef": {"fieldPath": "metadata.name"}}
    host = f"$(POD).{HEADLESS}.{site.namespace}.svc.cluster.local"
    status: Object = {"exec": {"command": ["/opt/emqx/bin/emqx", "ctl", "status"]}}
    return {
        "name": "emqx",
        "image": EMQX,
        "env": [{"name": "POD", "valueFrom": name}, {"name": "EMQX_NODE_NAME", "value": f"emqx@{host}"}],
        "ports": [{"name": "mqtts", "containerPort": PORT}],
        "securityContext": restricted_container(read_only=False),  # EMQX writes to its own folder at start
        "startupProbe": {**status, "periodSeconds": 5, "timeoutSeconds": 15, "failureThreshold": 60},
        "readinessProbe": {**status, "periodSeconds": 15, "timeoutSeconds": 15},
        "livenessProbe": {**status, "periodSeconds": 30, "timeoutSeconds": 15},
        "resources": resources({"cpu": "2", "memory": "1Gi"}),
        "volumeMounts": [
            {"name": "data", "mountPath": "/opt/emqx/data"},
            {"name": "files", "mountPath": str(MOUNT), "readOnly": True},
            {
                "name": "files",
                "mountPath": "/opt/emqx/etc/emqx.conf",
                "subPath": "emqx.conf",
                "readOnly": True,
            },
        ],
    }


def _mosquitto() -> Object:
    accepts: Object = {"tcpSocket": {"port": PORT}}
    return {
        "name": "mosquitto",
        "image": MOSQUITTO,
        "command": ["mosquitto", "-c", f"{MOUNT}/mosquitto.conf"],
        "ports": [{"name": "mqtts", "containerPort": PORT}],
        "securityContext": restricted_container(),
        "startupProbe": {**accepts, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**accepts, "periodSeconds": 15},
        "livenessProbe": {**accepts, "periodSeconds": 30},
        "resources": resources({"cpu": "1", "memory": "512Mi"}),
        "volumeMounts": [
            {"name": "data", "mountPath": "/mosquitto/data"},
            {"name": "files", "mountPath": str(MOUNT), "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - a place in the container
        ],
    }
