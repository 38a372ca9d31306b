"""/statusz and /flagz: what runs here, since when and with which flags. Text for people; JSON or YAML for those who name the kind.

Follows component-base's and apiserver's zpages.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from kubetree.api.errors import NotAcceptable
from kubetree.api.feature_gates import Features
from kubetree.api.times import format_time
from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.options.config import VERSION_MAJOR, VERSION_MINOR
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.yaml_format import json_to_yaml

Object = dict[str, Any]
_GROUP, _VERSIONS = "config.k8s.io", ("v1beta1", "v1alpha1")
_WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging"
    " purposes only."
)
_PATHS = ("/healthz", "/livez", "/metrics", "/readyz", "/version")
_FORMATS: dict[str, Callable[[bytes], bytes]] = {"application/json": lambda data: data + b"\n", "application/yaml": json_to_yaml}


class ZPages:
    """`flags` are all of the server's, by name, as text; `pages` those of its pages that the gates let it have."""

    def __init__(self, flags: Mapping[str, str], started: datetime, clock: Callable[[], datetime], features: Features) -> None:
        self._flags, self._started, self._clock = flags, started, clock
        gated = {"ComponentFlagz": ("/flagz", self.flagz), "ComponentStatusz": ("/statusz", self.statusz)}
        self.pages: dict[str, Handler] = dict(page for gate, page in gated.items() if gate in features)
        self._paths = sorted((*_PATHS, *self.pages))

    async def flagz(self, ctx: RequestContext) -> web.StreamResponse:
        lines = [f"{name}={value}" for name, value in sorted(self._flags.items())]
        text = f"\napiserver flagz\n{_WARNING}\n" + "\n".join(lines) + "\n"
        return _answer(ctx, "Flagz", text, {"flags": dict(sorted(self._flags.items()))})

    async def statusz(self, ctx: RequestContext) -> web.StreamResponse:
        up = int((self._clock() - self._started).total_seconds())
        version = f"{VERSION_MAJOR}.{VERSION_MINOR}"
        runtime = f"python{platform.python_version()}"
        hours, minutes, seconds = up // 3600, up // 60 % 60, up % 60
        rows = (
            ("Started", f"{self._started:%a %b} {self._started.day:2d} {self._started:%H:%M:%S UTC %Y}"),
            ("Up", f"{hours} hr {minutes:02d} min {seconds:02d} sec"),
            ("Go version", runtime),
            ("Binary version", version),
            ("Emulation version", version),
            ("Paths", " ".join(self._paths)),
        )
        text = f"\napiserver statusz\n{_WARNING}\n\n" + "\n".join(f"{name}:  {value}" for name, value in rows) + "\n"
        fields = {
            "startTime": format_time(self._started),
            "uptimeSeconds": up,
            "goVersion": runtime,
            "binaryVersion": version,
            "emulationVersion": version,
            "paths": self._paths,
        }
        return _answer(ctx, "Statusz", text, fields)


def _answer(ctx: RequestContext, kind: str, text: str, fields: Object) -> web.StreamResponse:
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private"}
    media_type, version = negotiated(ctx.headers.get("Accept", ""), kind)
    if not version:
        return Answer(text.encode(), 200, headers | {"Content-Type": "text/plain; charset=utf-8"})
    if version != _VERSIONS[0]:
        path = kind.lower()
        headers["Warning"] = f'299 - "This version of the {path} endpoint is deprecated. Please use a newer version."'
    document = {"kind": kind, "apiVersion": f"{_GROUP}/{version}", "metadata": {"name": "apiserver"}, **fields}
    headers["Content-Type"] = f"{media_type};g={_GROUP};v={version};as={kind}"
    return Answer(_FORMATS[media_type](orjson.dumps(document)), 200, headers)


def negotiated(accept: str, kind: str) -> tuple[str, str]:
    """(media type, version of the kind); the version is '' for text. Raises NotAcceptable."""
    for clause in accept.split(",") if accept else ("*/*",):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(part.partition("=")[::2] for part in parameters)
        if media_type in _FORMATS and (given.get("g"), given.get("as")) == (_GROUP, kind) and given.get("v") in _VERSIONS:
            return media_type, given["v"]
        if media_type in ("text/plain", "text/*", "*/*") and not given.get("as"):
            return "text/plain", ""
    raise NotAcceptable("only the following media types are accepted: application/json, application/yaml, text/plain")
