"""Parts of Kubernetes objects: security restrictions, probes, limits, labels, services."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from gridfleet.broker.readers.json_values import json_text
from gridfleet.provisioning.deploy.kubernetes.site import KubernetesSite
from gridfleet.provisioning.deploy.site_files import PORT

Object = dict[str, Any]
"""A Kubernetes object or a part of one, as it stands in YAML."""


def restricted_pod(user: int) -> Object:
    """Return the pod settings of the `restricted` Pod Security Standard, with a user id that is not root."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def restricted_container(*, read_only: bool = True) -> Object:
    """Return the container settings of the `restricted` Pod Security Standard."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "capabilities": {"drop": ["ALL"]},
    }


def scratch_volume() -> Object:
    """Return a volume in memory that lasts as long as the pod."""
    return {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def volume_claim(size: str) -> Object:
    """Return a claim for a volume called `data`; the size is one of Kubernetes, such as 1Gi."""
    resources = {"requests": {"storage": size}}
    return {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}


def exec_probe(command: Sequence[str], *, every_s: int, failures: int) -> Object:
    """Return a probe that runs a command."""
    return {
        "exec": {"command": list(command)},
        "periodSeconds": every_s,
        "timeoutSeconds": 10,
        "failureThreshold": failures,
    }


def resources(limits: Mapping[str, str]) -> Object:
    """Return limits for memory and processor; all of the memory and a tenth of a processor are reserved."""
    return {"requests": {"cpu": "100m", "memory": limits["memory"]}, "limits": dict(limits)}


def labels(component: str) -> dict[str, str]:
    """Return the labels that select the pods of a component."""
    return {"app.kubernetes.io/part-of": "gridfleet", "app.kubernetes.io/component": component}


def selector_and_template(component: str, pod: Object, content: str) -> Object:
    """Return selector and pod template; with another hash of its files (`content`) Kubernetes replaces a pod."""
    metadata = {"labels": labels(component), "annotations": {"gridfleet/reads": content}}
    return {
        "selector": {"matchLabels": labels(component)},
        "template": {"metadata": metadata, "spec": pod},
    }


def is_utf8(content: bytes) -> bool:
    """Return whether a ConfigMap can hold a file as text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def base64_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the content of files as Secrets and `binaryData` of ConfigMaps have it.

    >>> base64_files({"clock.password": b"secret"})
    {'clock.password': 'c2VjcmV0'}
    """
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def content_hash(*files: Mapping[str, bytes]) -> str:
    """Return a short hash of the files."""
    text = json_text([base64_files(each) for each in files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def service(
    site: KubernetesSite, name: str, component: str, *, headless: bool = False, port: int | None = None
) -> Object:
    """Return a service for the pods of a component."""
    spec: Object = {"selector": labels(component)}
    if headless:
        # Nodes must find each other before they are ready.
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    if port is not None:
        spec["ports"] = [{"name": "mqtts" if port == PORT else "nodes", "port": port}]
    return {**object_header(site, "v1", "Service", name), "spec": spec}


def disruption_budget(site: KubernetesSite, component: str) -> Object:
    """Return a budget that lets one pod of a component stop at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(component)}}
    return {**object_header(site, "policy/v1", "PodDisruptionBudget", component), "spec": spec}


def object_header(site: KubernetesSite, version: str, kind: str, name: str) -> Object:
    """Return the head of an object: API version, kind, name, namespace and label."""
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": {"app.kubernetes.io/part-of": "gridfleet"},
        },
    }


def network_policies(site: KubernetesSite) -> list[Object]:
    """Return policies by which only the broker receives connections: on its port, and its nodes from each other."""
    to_broker: Object = {
        "podSelector": {"matchLabels": labels("broker")},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"protocol": "TCP", "port": PORT}]},
            {"from": [{"podSelector": {"matchLabels": labels("broker")}}]},
        ],
    }
    to_nobody: Object = {"podSelector": {}, "policyTypes": ["Ingress"]}
    return [
        {**object_header(site, "networking.k8s.io/v1", "NetworkPolicy", name), "spec": spec}
        for name, spec in (("deny-ingress", to_nobody), ("broker", to_broker))
    ]


def zone_spread(component: str) -> Object:
    """Return the pod setting by which the pods of a component spread over zones and nodes, as far as there are any."""
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(component)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    }
