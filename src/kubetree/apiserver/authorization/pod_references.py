"""What a pod's spec refers to by name: the secrets, config maps, claims and service account that its node must be able to read.

Pure. Follows pkg/api/v1/pod/util.go and pkg/api/v1/persistentvolume/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

SECRETS, CONFIG_MAPS, CLAIMS = "secrets", "configmaps", "persistentvolumeclaims"
SERVICE_ACCOUNTS, RESOURCE_CLAIMS = "serviceaccounts", "resourceclaims"

_VOLUME_SECRETS = (
    ("azureFile", "secretName"),
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("secret", "secretName"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
)
_PV_SECRETS = (
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
    ("csi", "nodeStageSecretRef"),
    ("csi", "nodeExpandSecretRef"),
)


def references(pod: Object) -> frozenset[tuple[str, str]]:
    """(resource, name) pairs, all in the pod's namespace."""
    return frozenset((resource, name) for resource, name in _references(pod) if name)


def containers(pod: Object) -> Iterator[Object]:
    """Init, ordinary and ephemeral containers."""
    spec = pod.get("spec") or {}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def volume_secrets(volume: Object) -> Iterator[str]:
    """Names of the secrets that a volume reads."""
    for source, field in _VOLUME_SECRETS:
        found = (volume.get(source) or {}).get(field)
        if found:
            yield found if isinstance(found, str) else found.get("name", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "secret" in source:
            yield source["secret"].get("name", "")


def volume_config_maps(volume: Object) -> Iterator[str]:
    """Names of the ConfigMaps that a volume reads."""
    if "configMap" in volume:
        yield volume["configMap"].get("name", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "configMap" in source:
            yield source["configMap"].get("name", "")


def persistent_volume_secrets(volume: Object) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the secrets of a PersistentVolume that a kubelet needs."""
    spec = volume.get("spec") or {}
    claim_namespace = (spec.get("claimRef") or {}).get("namespace", "")
    for source, field in _PV_SECRETS:
        found = (spec.get(source) or {}).get(field)
        if found:
            yield found.get("namespace") or claim_namespace, found.get("name", "")
    azure = spec.get("azureFile")
    if azure:
        yield azure.get("secretNamespace") or claim_namespace, azure.get("secretName", "")


def _references(pod: Object) -> Iterator[tuple[str, str]]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    yield SERVICE_ACCOUNTS, spec.get("serviceAccountName", "")
    for reference in spec.get("imagePullSecrets") or ():
        yield SECRETS, reference.get("name", "")
    for container in containers(pod):
        yield from _environment(container)
    for volume in spec.get("volumes") or ():
        yield from ((SECRETS, name) for name in volume_secrets(volume))
        yield from ((CONFIG_MAPS, name) for name in volume_config_maps(volume))
        if "persistentVolumeClaim" in volume:
            yield CLAIMS, volume["persistentVolumeClaim"].get("claimName", "")
        elif "ephemeral" in volume:
            yield CLAIMS, f"{pod['metadata']['name']}-{volume['name']}"
    for claim in spec.get("resourceClaims") or ():
        yield RESOURCE_CLAIMS, claim.get("resourceClaimName", "")
    for claim in status.get("resourceClaimStatuses") or ():
        yield RESOURCE_CLAIMS, claim.get("resourceClaimName", "")
    yield RESOURCE_CLAIMS, (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName", "")


def _environment(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield SECRETS, (source.get("secretRef") or {}).get("name", "")
        yield CONFIG_MAPS, (source.get("configMapRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield SECRETS, (source.get("secretKeyRef") or {}).get("name", "")
        yield CONFIG_MAPS, (source.get("configMapKeyRef") or {}).get("name", "")
