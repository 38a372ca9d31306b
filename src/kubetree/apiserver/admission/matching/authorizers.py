"""`authorizer` and `authorizer.requestResource`: what expressions may ask of who makes the request. Follows apiserver's cel/library/authz."""

from __future__ import annotations

from typing import Any

from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authorization.attributes import Authorizer


class RequestAuthorizer:
    def __init__(self, authorizer: Authorizer, request: AdmissionRequest) -> None:
        self._authorizer, self._request = authorizer, request

    def value(self) -> Any:
        return None

    def request_resource(self) -> Any:
        return None
