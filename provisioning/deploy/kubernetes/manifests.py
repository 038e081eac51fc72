"""All Kubernetes objects of a site: the namespace, those with secrets, and the others."""

from gridfleet.provisioning.deploy.kubernetes.broker import broker_objects
from gridfleet.provisioning.deploy.kubernetes.objects import (
    Object,
    base64_files,
    is_utf8,
    network_policies,
    object_header,
)
from gridfleet.provisioning.deploy.kubernetes.processes import clock_object, fleet_objects, recorder_objects
from gridfleet.provisioning.deploy.kubernetes.site import KubernetesSite


def namespace_object(site: KubernetesSite) -> Object:
    """Return the namespace, in which pods must be restricted."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": site.namespace, "labels": restricted},
    }


def secret_objects(site: KubernetesSite) -> list[Object]:
    """Return the Secrets."""
    return [
        {**object_header(site, "v1", "Secret", name), "type": "Opaque", "data": base64_files(files)}
        for name, files in (
            ("broker", site.broker),
            ("clock", site.clock),
            ("fleet", site.devices),
            ("recorder", site.recorder),
        )
    ]


def public_objects(site: KubernetesSite) -> list[Object]:
    """Return all objects that contain nothing secret."""
    files = {"ca.crt": site.authority, **site.scenario}
    text = {name: content.decode() for name, content in files.items() if is_utf8(content)}
    binary = {name: content for name, content in files.items() if name not in text}
    return [
        {**object_header(site, "v1", "ConfigMap", "site"), "data": text, "binaryData": base64_files(binary)},
        *broker_objects(site),
        clock_object(site),
        *fleet_objects(site),
        *recorder_objects(site),
        *network_policies(site),
    ]
