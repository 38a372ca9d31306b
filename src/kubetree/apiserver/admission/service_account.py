"""ServiceAccount: every pod runs as a service account that exists, and finds its token, CA and namespace where clients look for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from kubetree.api.errors import ApiError, NotFound
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.authentication.token_requests import PROJECTED_EXPIRY
from kubetree.apiserver.authorization.pod_references import SECRETS, references
from kubetree.apiserver.lister import Lister

SERVICE_ACCOUNT = kind("v1", "ServiceAccount")
MIRROR = "kubernetes.io/config.mirror"
ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
_DEFAULT = "default"
_DEFAULT_WAIT, _POLL = 2.0, 0.02
"""A new namespace's default service account is a moment away: seconds to wait for it."""

Object = dict[str, Any]


class ServiceAccount(Plugin):
    """`new_suffix` gives the five characters that end the volume's name."""

    name = "ServiceAccount"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    subresources = frozenset({"", "ephemeralcontainers"})
    mutates = validates = True

    def __init__(self, lister: Lister, reader: Reader, new_suffix: Callable[[], str]) -> None:
        self._lister, self._reader, self._new_suffix = lister, reader, new_suffix

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        pod = request.obj
        if request.operation != CREATE or request.subresource or pod is None:
            return None
        if _is_mirror(pod):
            self._check_mirror(request, pod)
            return None
        spec = pod.setdefault("spec", {})
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = _DEFAULT
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = self._lister.get(SERVICE_ACCOUNT, request.namespace, spec["serviceAccountName"])
        if account is None:
            return self._set_up_later(request, spec)
        self._set_up(spec, account)
        return None

    async def _set_up_later(self, request: AdmissionRequest, spec: Object) -> None:
        self._set_up(spec, await self._account(request, spec["serviceAccountName"]))

    def _set_up(self, spec: Object, account: Object) -> None:
        if _automounts(account, spec):
            mount_token(spec, self._new_suffix)
        secrets = account.get("imagePullSecrets")
        if secrets and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": secret.get("name", "")} for secret in secrets]

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        pod = request.obj
        if pod is None or (request.operation == UPDATE and request.subresource != "ephemeralcontainers"):
            return None
        if request.operation == CREATE and _is_mirror(pod):
            self._check_mirror(request, pod)
            return None
        spec = pod["spec"]
        name = spec.get("serviceAccountName")
        if not name:
            raise refusal(request, f"no service account specified for pod {request.namespace}/{pod['metadata'].get('name', '')}")
        account = self._lister.get(SERVICE_ACCOUNT, request.namespace, name)
        if account is None:
            return self._check_later(request, spec)
        _check_secrets(request, account, spec)
        return None

    async def _check_later(self, request: AdmissionRequest, spec: Object) -> None:
        _check_secrets(request, await self._account(request, spec["serviceAccountName"]), spec)

    async def _account(self, request: AdmissionRequest, name: str) -> Object:
        """Of one that the cache does not have yet."""
        try:
            return await self._await_account(request.namespace, name)
        except ApiError as error:
            raise refusal(request, f"error looking up service account {request.namespace}/{name}: {error.message}") from error

    async def _await_account(self, namespace: str, name: str) -> Object:
        waited = 0.0
        while True:
            try:
                return await self._reader.get(SERVICE_ACCOUNT, namespace, name)
            except NotFound:
                if name != _DEFAULT or waited >= _DEFAULT_WAIT:
                    raise NotFound(f"serviceaccount {json.dumps(name)} not found", name=name, kind="serviceaccount") from None
            await asyncio.sleep(_POLL)
            waited += _POLL

    def _check_mirror(self, request: AdmissionRequest, pod: Object) -> None:
        spec = pod.get("spec") or {}
        if spec.get("serviceAccountName"):
            raise refusal(request, "a mirror pod may not reference service accounts")
        if any(resource == SECRETS for resource, _ in references(pod)):
            raise refusal(request, "a mirror pod may not reference secrets")
        for volume in spec.get("volumes") or ():
            if any("serviceAccountToken" in source for source in (volume.get("projected") or {}).get("sources") or ()):
                raise refusal(request, "a mirror pod may not use ServiceAccountToken volume projections")


def _check_secrets(request: AdmissionRequest, account: Object, spec: Object) -> None:
    if (account["metadata"].get("annotations") or {}).get(ENFORCE_MOUNTABLE, "").lower() in ("1", "t", "true"):
        complaint = next(_unmountable(account, spec, ephemeral_only=request.operation == UPDATE), None)
        if complaint:
            raise refusal(request, complaint)


def mount_token(spec: Object, new_suffix: Callable[[], str]) -> None:
    """Adds the projected volume and mounts it in every container that has nothing at its path."""
    volumes = spec.get("volumes") or []
    existing = ""
    for volume in volumes:
        if volume["name"].startswith(VOLUME_PREFIX):
            existing = volume["name"]
            break
    name = existing or VOLUME_PREFIX + new_suffix()
    needed = False
    for group in (spec.get("initContainers"), spec.get("containers")):
        for container in group or ():
            mounts = container.get("volumeMounts") or []
            for mount in mounts:
                if mount.get("mountPath") == MOUNT_PATH:
                    break
            else:
                container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
                needed = True
    if needed and not existing:
        spec["volumes"] = [*volumes, {"name": name, "projected": token_volume_source()}]


def token_volume_source() -> Object:
    """The projected volume with a token, the cluster's authority and the namespace."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": PROJECTED_EXPIRY, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
            {"downwardAPI": {"items": [{"fieldRef": field, "path": "namespace"}]}},
        ],
    }


def _is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or ())


def _automounts(account: Object, spec: Object) -> bool:
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    return wanted is not False


def _unmountable(account: Object, spec: Object, *, ephemeral_only: bool) -> Iterator[str]:
    """What the pod takes from secrets that its service account does not list."""
    name = account["metadata"]["name"]
    listed = {reference.get("name") for reference in account.get("secrets") or ()}
    tail = f"is not allowed because service account {name} does not reference that secret"
    if not ephemeral_only:
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if secret and secret not in listed:
                yield f'volume with secret.secretName="{secret}" {tail}'
    fields = {"ephemeral container": "ephemeralContainers"}
    if not ephemeral_only:
        fields = {"init container": "initContainers", "container": "containers"}
    for label, field in fields.items():
        for container in spec.get(field) or ():
            for variable in container.get("env") or ():
                secret = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                if secret and secret not in listed:
                    yield f'{label} {container["name"]} with envVar {variable["name"]} referencing secret.secretName="{secret}" {tail}'
            for source in container.get("envFrom") or ():
                secret = (source.get("secretRef") or {}).get("name")
                if secret and secret not in listed:
                    yield f'{label} {container["name"]} with envFrom referencing secret.secretName="{secret}" {tail}'
    if ephemeral_only:
        return
    pulls = {reference.get("name") for reference in account.get("imagePullSecrets") or ()}
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if reference.get("name") not in pulls:
            yield (
                f'imagePullSecrets[{index}].name="{reference.get("name")}" is not allowed because service account {name} '
                "does not reference that imagePullSecret"
            )
