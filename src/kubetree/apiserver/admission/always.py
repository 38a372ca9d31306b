"""AlwaysAdmit and AlwaysDeny: for trying out the chain itself."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.request import CONNECT, CREATE, DELETE, UPDATE, AdmissionRequest

_EVERYTHING = frozenset({CREATE, UPDATE, DELETE, CONNECT})


class AlwaysAdmit(Plugin):
    name = "AlwaysAdmit"
    operations = _EVERYTHING
    subresources = ANY_SUBRESOURCE


class AlwaysDeny(Plugin):
    name = "AlwaysDeny"
    operations = _EVERYTHING
    subresources = ANY_SUBRESOURCE
    validates = True

    async def validate(self, request: AdmissionRequest) -> None:
        raise refusal(request, "admission control is denying all modifications")
