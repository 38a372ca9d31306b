"""DenyServiceExternalIPs: no Service gains an external IP; those that have some may keep or drop them."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest


class DenyServiceExternalIPs(Plugin):
    name = "DenyServiceExternalIPs"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"services"})
    validates = True

    async def validate(self, request: AdmissionRequest) -> None:
        wanted, had = (set(((obj or {}).get("spec") or {}).get("externalIPs") or ()) for obj in (request.obj, request.old))
        if not wanted <= had:
            raise refusal(request, "Use of external IPs is denied by admission control")
