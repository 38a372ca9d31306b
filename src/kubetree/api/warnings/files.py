"""Files of one volume that would overwrite each other, or lie below each other."""

from __future__ import annotations

from collections.abc import Iterable

from kubetree.api.validation.errors import quote
from kubetree.api.warnings.values import Object, Texts

File = tuple[str, str, str]
"""A path, the sort of source it comes from, the source's name."""

_ITEMS = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "DownwardAPI", ""))
_CERTIFICATE = (
    ("certificateChainPath", "PodCertificate chain"),
    ("keyPath", "PodCertificate key"),
    ("credentialBundlePath", "PodCertificate credential bundle"),
)


def _shown(file: File) -> str:
    path, sort, name = file
    if not sort:
        return quote(path)
    return f"{quote(path)} ({sort} {quote(name)})" if name else f"{quote(path)} ({sort})"


def _overlaps(files: Iterable[File]) -> list[str]:
    found, before = [], list[File]()
    for path, sort, name in files:
        file = (path.rstrip("/"), sort, name)
        if file[0]:
            below = f"{file[0]}/"
            for other in before:
                above = f"{other[0]}/"
                if other[0] and (above.startswith(below) or below.startswith(above)):
                    found.append(f"{_shown(file)} with {_shown(other)}")
        before.append(file)
    return found


def _projected(source: Object) -> list[File]:
    for field, sort, _ in _ITEMS:
        part = source.get(field)
        if part is not None and part.get("items") is not None:
            return [(item.get("path") or "", sort, part.get("name") or "") for item in part["items"]]
    if source.get("serviceAccountToken") is not None:
        return [(source["serviceAccountToken"].get("path") or "", "ServiceAccountToken", "")]
    bundle = source.get("clusterTrustBundle")
    if bundle is not None:
        name = bundle.get("name") if bundle.get("name") is not None else bundle.get("signerName")
        return [(bundle.get("path") or "", "ClusterTrustBundle", name or "")]
    certificate = source.get("podCertificate") or {}
    return [(certificate[field], sort, "") for field, sort in _CERTIFICATE if certificate.get(field)]


def overlapping_paths(out: Texts, volume: Object) -> None:
    """Of one volume: files from two keys, or from two sources, at one path or one below the other."""
    for field, sort, key in _ITEMS:
        source = volume.get(field)
        items = source.get("items") if source else None
        if items and len(items) > 1:
            name = (source or {}).get(key) or ""
            told = f"{sort} {quote(name)}" if key else sort
            _tell(out, volume, told, _overlaps((item.get("path") or "", "", "") for item in items))
    projected = volume.get("projected")
    if projected is not None:
        files: list[File] = []
        for source in projected.get("sources") or ():
            if not source:
                out.append(f"volume {quote(volume.get('name') or '')} (Projected) has no sources provided")
            files.extend(_projected(source))
        _tell(out, volume, "Projected", _overlaps(files))


def _tell(out: Texts, volume: Object, told: str, overlaps: list[str]) -> None:
    out.extend(f"volume {quote(volume.get('name') or '')} ({told}): overlapping paths: {text}" for text in overlaps)
