"""`authorizer` and `authorizer.requestResource`: what expressions may ask of who makes the request. Follows apiserver's cel/library/authz.

An answer is kept for as long as the request is admitted.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.cel.functions.authorization import Check, ServiceAccount, Verdict, authorizer_value, resource_check
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authentication.user import User, service_account_groups, service_account_name
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision


class RequestAuthorizer:
    """Asks for the request's user. `value()` and `request_resource()` are what expressions get."""

    def __init__(self, authorizer: Authorizer, request: AdmissionRequest) -> None:
        self._authorizer, self._request = authorizer, request
        self._known: dict[Check, Verdict] = {}

    def value(self) -> Any:
        return authorizer_value(self._request.user.name, self._authorize)

    def request_resource(self) -> Any:
        request = self._request
        row = request.kind
        return resource_check(
            request.user.name,
            self._authorize,
            group=row.group,
            resource=row.plural,
            subresource=request.subresource,
            namespace=request.namespace,
            name=request.name,
        )

    def _authorize(self, check: Check) -> Verdict:
        found = self._known.get(check)
        if found is None:
            found = self._known[check] = self._asked(check)
        return found

    def _asked(self, check: Check) -> Verdict:
        """Raises AskElsewhere."""
        user = self._request.user
        if isinstance(check.user, ServiceAccount):
            user = _service_account(check.user)
        version = "*" if check.resource else ""
        answer = self._authorizer.authorize(
            Attributes(
                user,
                check.verb,
                check.path,
                check.group,
                version,
                check.resource,
                check.subresource,
                check.namespace,
                check.name,
                check.field_selector,
                check.label_selector,
            )
        )
        return Verdict(answer.decision is Decision.ALLOW, answer.reason, answer.error or None)


def _service_account(account: ServiceAccount) -> User:
    name = service_account_name(account.namespace, account.name)
    return User(name, groups=service_account_groups(account.namespace))
