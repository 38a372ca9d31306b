"""Projected volumes: several sources in one directory, where no file may come from two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, quote, required, too_long
from kubetree.api.validation.metadata import ANNOTATIONS_LIMIT, label_selector
from kubetree.api.validation.names import NameRule, dns_label, dns_subdomain, label_key
from kubetree.api.validation.pods.paths import mode, not_reserved

Item = Callable[[Errors, Object, str], None]
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


def _claim(errs: Errors, taken: set[str], file: str, path: str, shown: str) -> None:
    if file in taken:
        errs.append(invalid(path, shown, "conflicting duplicate paths"))
    taken.add(file)


def signer_name(errs: Errors, name: str, path: str) -> None:
    """`domain/path`: who signs certificates."""
    if not name:
        errs.append(required(path))
        return
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        errs.append(invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"))
        return
    if len(domain) > 253:
        errs.append(too_long(path, 253))
    labels = domain.split(".")
    _labels(errs, path, domain, labels, dns_label)
    if len(labels) < 2:
        errs.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    _labels(errs, path, rest, rest.split("."), dns_subdomain)
    if len(name) > 571:
        errs.append(too_long(path, 571))


def _labels(errs: Errors, path: str, value: str, labels: list[str], rule: NameRule) -> None:
    """The first bad one only."""
    for label in labels:
        messages = rule(label)
        if messages:
            errs.extend(invalid(path, value, f"validating label {quote(label)}: {message}") for message in messages)
            return


def _token(errs: Errors, token: Object, at: str, path: str) -> None:
    seconds = token.get("expirationSeconds") or 0
    if seconds < 600:
        errs.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 1 << 32:
        errs.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if not token.get("path"):
        errs.append(required(f"{path}.path"))
    else:
        not_reserved(errs, token["path"], f"{path}.path")


def _trust_bundle(errs: Errors, bundle: Object, at: str) -> None:
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        errs.append(invalid(at, bundle, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errs.append(required(f"{at}.name", "must be a valid object name"))
        each(errs, f"{at}.name", name, [f"not a valid clustertrustbundlename: {m}" for m in dns_subdomain(name.rpartition(":")[2])])
        if bundle.get("labelSelector") is not None:
            errs.append(invalid(f"{at}.labelSelector", bundle["labelSelector"], "labelSelector must be unset if name is specified"))
    elif signer is not None:
        if not signer:
            errs.append(required(f"{at}.signerName", "must be a valid signer name"))
        signer_name(errs, signer, f"{at}.signerName")
        label_selector(errs, bundle.get("labelSelector"), f"{at}.labelSelector")
    else:
        errs.append(required(at, "either name or signerName must be specified"))
    if not bundle.get("path"):
        errs.append(required(f"{at}.path"))
    not_reserved(errs, bundle.get("path") or "", f"{at}.path")


def user_annotations(errs: Errors, notes: Object | None, path: str) -> None:
    """What a user tells a signer, under keys of domains."""
    for key in notes or ():
        messages = label_key(key.lower())
        if not messages and key.count("/") != 1:
            messages = ('must be a domain-prefixed key (such as "acme.io/foo")',)
        each(errs, path, key, messages)
    if sum(len(k) + len(v) for k, v in (notes or {}).items()) > ANNOTATIONS_LIMIT:
        errs.append(too_long(path, ANNOTATIONS_LIMIT))


def _certificate(errs: Errors, source: Object, at: str, path: str, taken: set[str]) -> None:
    signer = source.get("signerName") or ""
    signer_name(errs, signer, f"{at}.signerName")
    user_annotations(errs, source.get("userAnnotations"), f"{at}.userAnnotations")
    if source.get("keyType") not in _KEY_TYPES:
        errs.append(not_supported(f"{at}.keyType", source.get("keyType") or "", _KEY_TYPES))
    seconds = source.get("maxExpirationSeconds")
    if seconds is not None:
        most = (
            24 * 3600 if signer.partition("/")[0] in ("kubernetes.io",) or signer.split("/")[0].endswith(".kubernetes.io") else 91 * 86400
        )
        if seconds < 3600:
            errs.append(invalid(f"{at}.maxExpirationSeconds", seconds, "if provided, maxExpirationSeconds must be >= 3600"))
        if seconds > most:
            errs.append(invalid(f"{at}.maxExpirationSeconds", seconds, f"if provided, maxExpirationSeconds must be <= {most}"))
    files = [(n, source[n]) for n in ("credentialBundlePath", "keyPath", "certificateChainPath") if source.get(n)]
    for name, file in files:
        not_reserved(errs, file, f"{at}.{name}")
        _claim(errs, taken, file, path, file)
    if not files:
        errs.append(required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))


def projected(errs: Errors, volume: dict[str, Any], path: str, key_to_path: Item, downward_file: Item) -> None:
    """`key_to_path` and `downward_file` are the rules of single files, shared with the plain volumes."""
    mode(errs, volume.get("defaultMode"), f"{path}.defaultMode")
    taken: set[str] = set()
    for i, source in enumerate(volume.get("sources") or ()):
        at, count = f"{path}.sources[{i}]", 0
        for sort in ("secret", "configMap"):
            part = source.get(sort)
            if part is None:
                continue
            count += 1
            if not part.get("name"):
                errs.append(required(f"{at}.{sort}.name"))
            for j, item in enumerate(part.get("items") or ()):
                key_to_path(errs, item, f"{at}.{sort}.items[{j}]")
                if item.get("path"):
                    _claim(errs, taken, item["path"], path, part.get("name") or "")
        if source.get("downwardAPI") is not None:
            count += 1
            for item in source["downwardAPI"].get("items") or ():
                downward_file(errs, item, f"{at}.downwardAPI")
                if item.get("path"):
                    _claim(errs, taken, item["path"], path, item["path"])
        if source.get("serviceAccountToken") is not None:
            count += 1
            _token(errs, source["serviceAccountToken"], f"{at}.serviceAccountToken", path)
        if source.get("clusterTrustBundle") is not None:
            count += 1
            _trust_bundle(errs, source["clusterTrustBundle"], f"{at}.clusterTrustBundle")
            bundle_path = source["clusterTrustBundle"].get("path") or ""
            _claim(errs, taken, bundle_path, path, bundle_path)
        if source.get("podCertificate") is not None:
            count += 1
            _certificate(errs, source["podCertificate"], f"{at}.podCertificate", path, taken)
        if count > 1:
            errs.append(forbidden(at, "may not specify more than 1 volume type per source"))
