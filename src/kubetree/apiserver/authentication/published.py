"""The ConfigMap from which aggregated API servers learn how to authenticate: kube-system/extension-apiserver-authentication.

Follows pkg/controlplane/controller/clusterauthenticationtrust: what several API servers write there is joined.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubetree.api.errors import AlreadyExists, NotFound
from kubetree.api.kind_table import kind
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.registry import Writer

CONFIG_MAP = kind("v1", "ConfigMap")
NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_END = "-----END CERTIFICATE-----\n"

Object = dict[str, Any]


def authority_files(config: Config) -> list[Path]:
    """Whose contents are published."""
    client_ca = config.tls.client_ca if config.tls is not None else None
    return [path for path in (client_ca, config.requestheader_client_ca) if path is not None]


def authentication_data(config: Config) -> dict[str, str]:
    """What this server's flags say. Raises OSError for files that cannot be read."""
    data: dict[str, str] = {}
    client_ca = config.tls.client_ca if config.tls is not None else None
    if client_ca is not None:
        data["client-ca-file"] = _pem(client_ca)
    if config.requestheader_client_ca is not None:
        data["requestheader-client-ca-file"] = _pem(config.requestheader_client_ca)
        lists: dict[str, Sequence[str]] = {
            "requestheader-username-headers": config.requestheader_username_headers,
            "requestheader-uid-headers": config.requestheader_uid_headers,
            "requestheader-group-headers": config.requestheader_group_headers,
            "requestheader-extra-headers-prefix": config.requestheader_extra_prefixes,
            "requestheader-allowed-names": config.requestheader_allowed_names,
        }
        named = {key: values for key, values in lists.items() if values or key != "requestheader-uid-headers"}
        data |= {key: json.dumps(list(values), separators=(",", ":")) for key, values in named.items()}
    return data


def joined(standing: dict[str, str], ours: dict[str, str]) -> dict[str, str]:
    """Certificates and names of both, each once. A list that is empty on one side (any name is allowed) stays empty. Pure."""
    found = dict(standing)
    for key, value in ours.items():
        if key not in standing:
            found[key] = value
        elif key.endswith("-ca-file"):
            found[key] = "".join(dict.fromkeys([*_certificates(standing[key]), *_certificates(value)]))
        else:
            before, now = json.loads(standing[key]), json.loads(value)
            both = list(dict.fromkeys([*before, *now])) if before and now else []
            found[key] = json.dumps(both, separators=(",", ":"))
    return found


async def publish_authentication(writer: Writer, config: Config) -> None:
    """Writes the ConfigMap extension-apiserver-authentication, from which aggregated servers learn whom to believe."""
    ours = authentication_data(config)
    if not ours:
        return

    def change(obj: Object) -> Object | None:
        standing = obj.get("data") or {}
        data = joined(standing, ours)
        return None if data == standing else obj | {"data": data}

    try:
        await writer.update(CONFIG_MAP, NAMESPACE, NAME, change)
    except NotFound:
        metadata = {"name": NAME, "namespace": NAMESPACE}
        with suppress(AlreadyExists):
            await writer.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": ours})


def _pem(path: Path) -> str:
    return path.read_text()


def _certificates(bundle: str) -> list[str]:
    return [block.lstrip() + _END for block in bundle.split(_END)[:-1]]
