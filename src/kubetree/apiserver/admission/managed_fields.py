"""What mutating admission may not break: managedFields that cannot be read any more are put back, and the client is warned.

Follows endpoints/handlers/fieldmanager/admission.go.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.apply.managers import decode
from kubetree.apiserver.admission.request import AdmissionRequest

_WARNING = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; "
    "please fix your requests: {}"
)


def check_managed_fields(request: AdmissionRequest, before: list[dict[str, Any]] | None) -> None:
    """`before`: the managedFields as they were before admission."""
    metadata = (request.obj or {}).get("metadata")
    if not isinstance(metadata, dict):
        return
    try:
        decode(metadata.get("managedFields"))
    except ValueError as error:
        if before is None:
            metadata.pop("managedFields", None)
        else:
            metadata["managedFields"] = before
        request.warnings.append(_WARNING.format(error))
