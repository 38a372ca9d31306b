"""How a request that the authorizer does not allow is refused, in the words of responsewriters.Forbidden."""

from __future__ import annotations

from kubetree.api import errors
from kubetree.apiserver.authorization.attributes import Attributes


def forbidden_by(attributes: Attributes, reason: str) -> errors.Forbidden:
    """The error for `attributes`; `reason` is the authorizer's, shown when there is one."""
    why = _message(attributes)
    if reason:
        why += f": {reason}"
    if not attributes.is_resource:
        return errors.Forbidden(f"forbidden: {why}")
    return errors.forbidden(attributes.resource, attributes.group, attributes.name, why)


def _message(attributes: Attributes) -> str:
    user = attributes.user.name
    if not attributes.is_resource:
        return f'User "{user}" cannot {attributes.verb} path "{attributes.path}"'
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f' in the namespace "{attributes.namespace}"' if attributes.namespace else " at the cluster scope"
    return f'User "{user}" cannot {attributes.verb} resource "{resource}" in API group "{attributes.group}"{where}'
