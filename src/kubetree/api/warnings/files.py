"""Files of one volume that would overwrite each other, or lie below each other."""

from __future__ import annotations

from collections.abc import Iterable

from kubetree.api.validation.errors import quote
from kubetree.api.warnings.common import Object, Texts

File = tuple[str, str]
"""A path, and the source it comes from."""


def _shown(file: File) -> str:
    return f"{quote(file[0])} ({file[1]})" if file[1] else quote(file[0])


def _overlaps(files: Iterable[File]) -> list[str]:
    found, before = [], list[File]()
    for path, source in files:
        file = (path.rstrip("/"), source)
        if file[0]:
            below = f"{file[0]}/"
            for other in before:
                above = f"{other[0]}/"
                if other[0] and (above.startswith(below) or below.startswith(above)):
                    found.append(f"{_shown(file)} with {_shown(other)}")
        before.append(file)
    return found


def _items(source: Object | None, told: str = "") -> list[File]:
    return [(item.get("path") or "", told) for item in (source or {}).get("items") or ()]


def _projected(source: Object) -> list[File]:
    for field, sort in (("configMap", "ConfigMap"), ("secret", "Secret")):
        part = source.get(field)
        if part is not None and part.get("items") is not None:
            return _items(part, f"{sort} {quote(part.get('name') or '')}")
    if source.get("downwardAPI") is not None:
        return _items(source["downwardAPI"], "DownwardAPI")
    if source.get("serviceAccountToken") is not None:
        return [(source["serviceAccountToken"].get("path") or "", "ServiceAccountToken")]
    bundle = source.get("clusterTrustBundle")
    if bundle is not None:
        name = bundle.get("name") if bundle.get("name") is not None else bundle.get("signerName")
        return [(bundle.get("path") or "", f"ClusterTrustBundle {quote(name or '')}")]
    certificate = source.get("podCertificate") or {}
    files = (
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    )
    return [(certificate[field], told) for field, told in files if certificate.get(field)]


def overlapping_paths(out: Texts, volumes: list[Object]) -> None:
    for volume in volumes:
        name = quote(volume.get("name") or "")
        for field, sort, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "", "")):
            source = volume.get(field)
            if source is not None:
                told = f"{sort} {quote(source.get(key) or '')}" if sort else "DownwardAPI"
                out.extend(f"volume {name} ({told}): overlapping paths: {text}" for text in _overlaps(_items(source)))
        projected = volume.get("projected")
        if projected is not None:
            files: list[File] = []
            for source in projected.get("sources") or ():
                if not source:
                    out.append(f"volume {name} (Projected) has no sources provided")
                files.extend(_projected(source))
            out.extend(f"volume {name} (Projected): overlapping paths: {text}" for text in _overlaps(files))
