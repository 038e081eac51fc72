"""What all pods have in common: the restrictions, probes, limits and labels of Kubernetes, as plain data."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]


def safe_pod(user: int) -> Object:
    """Return what makes every pod `restricted`, and run as a user who is not root."""
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


def safe_container(*, read_only: bool = True) -> Object:
    """Return what makes every container `restricted`."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "capabilities": {"drop": ["ALL"]},
    }


def scratch() -> Object:
    """Return the volume for what lasts as long as the pod, in memory."""
    return {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}


def claim(size: str) -> Object:
    """Return a claim to a volume called `data`."""
    resources = {"requests": {"storage": size}}
    return {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}


def asked(command: Sequence[str], *, every_s: int, failures: int) -> Object:
    """Return a probe that runs a command."""
    return {
        "exec": {"command": list(command)},
        "periodSeconds": every_s,
        "timeoutSeconds": 10,
        "failureThreshold": failures,
    }


def resources(limits: Mapping[str, str]) -> Object:
    """Return limits, of which the memory is also set aside; of the processor, only a tenth."""
    return {"requests": {"cpu": "100m", "memory": limits["memory"]}, "limits": dict(limits)}


def labels(component: str) -> dict[str, str]:
    """Return what pods of a component are found by."""
    return {"app.kubernetes.io/part-of": "gridfleet", "app.kubernetes.io/component": component}


def selecting(component: str, pod: Object, digest: str) -> Object:
    """Return selector and template; the digest has pods made anew when what they read has changed."""
    metadata = {"labels": labels(component), "annotations": {"gridfleet/reads": digest}}
    return {
        "selector": {"matchLabels": labels(component)},
        "template": {"metadata": metadata, "spec": pod},
    }


def is_text(content: bytes) -> bool:
    """Tell whether a ConfigMap may hold a file as it is."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the content of files as Secrets and ConfigMaps hold it."""
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def digest(*files: Mapping[str, bytes]) -> str:
    """Return a word that changes with the files."""
    text = json.dumps([encoded(each) for each in files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
