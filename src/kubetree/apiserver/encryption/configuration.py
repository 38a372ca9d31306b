"""apiserver.config.k8s.io/v1 EncryptionConfiguration: reading and checking the file. Pure.

Follows pkg/apis/apiserver/validation/validation_encryption.go, with its wording. Secrets of keys are never part of a message.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from kubetree.api.times import parse_duration
from kubetree.apiserver.encryption import aes, secret_box
from kubetree.apiserver.options.configuration_files import parse_configuration

Object = dict[str, Any]
API_VERSION = "apiserver.config.k8s.io/v1"
DEFAULT_TIMEOUT = "3s"
_KEYS = {"keys": [{"name": str, "secret": str}]}
_PROVIDER = {
    "aesgcm": _KEYS,
    "aescbc": _KEYS,
    "secretbox": _KEYS,
    "identity": {},
    "kms": {"apiVersion": str, "name": str, "cachesize": int, "endpoint": str, "timeout": str},
}
_SHAPE = {"resources": [{"resources": [str], "providers": [_PROVIDER]}]}
_SIZES = {"aesgcm": aes.KEY_SIZES, "aescbc": aes.KEY_SIZES, "secretbox": secret_box.KEY_SIZES}
_INTERNAL = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")

GroupResource = tuple[str, str]
"""(resource, group): `*` and `*` stand for all."""


def parse_encryption(text: bytes) -> list[Object]:
    """The entries of `resources`. Raises ValueError for what cannot be used."""
    if not text:
        raise ValueError("the encryption provider configuration file is empty")
    entries: list[Object] = parse_configuration(text, "EncryptionConfiguration", (API_VERSION,), _SHAPE).get("resources") or []
    faults = list(_faults(entries)) or list(_masked(entries))
    if faults:
        raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return entries


def group_resource(text: str) -> GroupResource:
    """`deployments.apps`, `secrets`, `*.apps`, `*.` (the core group) or `*.*`."""
    resource, _, group = text.partition(".")
    return resource, group


def decoded_secret(key: Object) -> bytes:
    """The key's bytes. Raises ValueError for what is no base64."""
    return base64.b64decode(key["secret"], validate=True)


def _faults(entries: Sequence[Object]) -> Iterator[str]:
    if not entries:
        yield "resources: Required value: at least one resources is required"
    names: set[str] = set()
    for i, entry in enumerate(entries):
        resources, at = entry.get("resources") or [], f"resources[{i}]"
        if not resources:
            yield f"{at}.resources: Required value: at least one {at}.resources is required"
        yield from _overlaps(resources, f"{at}.resources")
        for j, resource in enumerate(resources):
            if why := _unfit(resource):
                yield f'{at}.resources[{j}]: Invalid value: "{resource}": {why}'
        providers = entry.get("providers") or []
        if not providers:
            yield f"{at}.providers: Required value: at least one {at}.providers is required"
        for j, provider in enumerate(providers):
            yield from _provider_faults(provider, f"{at}.providers[{j}]", names)


def _overlaps(resources: Sequence[str], at: str) -> Iterator[str]:
    shown = json.dumps(list(resources), separators=(",", ":"))
    parsed = [group_resource(resource) for resource in resources]
    if len(set(parsed)) < len(parsed):
        yield f"{at}: Invalid value: {shown}: the same resource cannot be specified multiple times"
    different = list(dict.fromkeys(parsed))
    for one in different:
        for other in different:
            if one != other and (one == ("*", "*") or (one[1] == other[1] and "*" in (one[0], other[0]))):
                why = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed"
                yield f"{at}: Invalid value: {shown}: {why} as they will be masked"
                return


def _unfit(resource: str) -> str:
    name, group = group_resource(resource)
    if resource != resource.lower():
        return "resource name should not contain capital letters"
    if resource == "*":
        return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    if resource in _INTERNAL:
        return "resources which do not have REST API/s cannot be encrypted"
    if group == "events.k8s.io":
        return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
    if group == "extensions":
        return "'extensions' group has been removed and cannot be used for encryption"
    return "encrypting the same resource across groups is not supported" if group == "*" and name != "*" else ""


def _provider_faults(provider: Object, at: str, names: set[str]) -> Iterator[str]:
    if not provider:
        yield f"{at}: Invalid value: {{}}: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
    elif len(provider) > 1:
        yield f"{at}: Invalid value: more than one provider specified in a single element, should split into different list elements"
    for kind, config in provider.items():
        if kind in _SIZES:
            yield from _key_faults(config.get("keys") or [], f"{at}.{kind}.keys", _SIZES[kind])
        elif kind == "kms":
            yield from _kms_faults(config, f"{at}.kms", names)
            names.add(config.get("name", ""))


def _key_faults(keys: Sequence[Object], at: str, sizes: Sequence[int]) -> Iterator[str]:
    if not keys:
        yield f"{at}: Required value: at least one keys is required"
    for i, key in enumerate(keys):
        if not key.get("name"):
            yield f"{at}[{i}].name: Required value: name is a mandatory field for a key"
        if not key.get("secret"):
            yield f"{at}[{i}].secret: Required value: secret is a mandatory field for a key"
            continue
        try:
            length = len(decoded_secret(key))
        except (binascii.Error, ValueError):
            yield f'{at}[{i}].secret: Invalid value: "REDACTED": secrets must be base64 encoded'
            continue
        if length not in sizes:
            expected = " ".join(map(str, sizes))
            why = f"secret is not of the expected length, got {length}, expected one of [{expected}]"
            yield f'{at}[{i}].secret: Invalid value: "REDACTED": {why}'


def _kms_faults(config: Object, at: str, names: set[str]) -> Iterator[str]:
    name, version, endpoint = (config.get(field) or "" for field in ("name", "apiVersion", "endpoint"))
    if not name:
        yield f"{at}.name: Required value: name is a mandatory field for a provider"
    if ":" in name and version != "v1":
        yield f"{at}.name: Invalid value: \"{name}\": invalid KMS provider name {name}, must not contain ':'"
    if name in names:
        yield f'{at}.name: Invalid value: "{name}": duplicate KMS provider name {name}, names must be unique'
    try:
        positive = parse_duration(config.get("timeout") or DEFAULT_TIMEOUT) > 0
    except ValueError:
        positive = False
    if not positive:
        yield f'{at}.timeout: Invalid value: "{config["timeout"]}": timeout should be a positive value'
    if not endpoint:
        yield f'{at}.endpoint: Invalid value: "": endpoint is a mandatory field for a kms'
    elif (scheme := urlsplit(endpoint).scheme) != "unix":
        yield f'{at}.endpoint: Invalid value: "{endpoint}": unsupported scheme "{scheme}" for KMS provider, only unix is supported'
    if "cachesize" in config and version != "v1":
        yield f"{at}.cachesize: Invalid value: {config['cachesize']}: cachesize is not supported in v2"
    if version not in ("v1", "v2"):
        why = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported"
        yield f'{at}.apiVersion: Invalid value: "{version}": {why}'
    elif version == "v1":
        yield f"{at}: KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead."


def _masked(entries: Sequence[Object]) -> Iterator[str]:
    """A wildcard hides what comes after it, which is never meant."""
    seen: set[GroupResource] = set()
    for entry in entries:
        for text in entry["resources"]:
            resource = group_resource(text)
            for earlier in (("*", resource[1]), ("*", "*")):
                if earlier in seen:
                    yield f'resource "{text}" is masked by earlier rule "{earlier[0]}.{earlier[1]}"'
        seen |= {group_resource(text) for text in entry["resources"]}
