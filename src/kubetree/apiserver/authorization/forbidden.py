"""The 403 of a refused request, in upstream's words: responsewriters.Forbidden."""

from __future__ import annotations

from kubetree.api.errors import Forbidden, qualified
from kubetree.apiserver.authorization.attributes import Attributes

SANITIZED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def forbidden_by(attributes: Attributes, reason: str) -> Forbidden:
    """`reason` is the authorizer's, appended where there is one."""
    who = f'User "{attributes.user.name}" cannot {attributes.verb}'
    if not attributes.is_resource:
        message = f'{who} path "{attributes.path}"'.translate(SANITIZED)
        return Forbidden(f"forbidden: {message}{f': {reason}' if reason else ''}", empty_details=True)
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    message = f'{who} resource "{resource}" in API group "{attributes.group}"'
    message += f' in the namespace "{attributes.namespace}"' if attributes.namespace else " at the cluster scope"
    message = message.translate(SANITIZED)
    subject = qualified(attributes.resource, attributes.group)
    subject = f'{subject} "{attributes.name}"' if attributes.name else subject
    return Forbidden(
        f"{subject} is forbidden: {message}{f': {reason}' if reason else ''}",
        name=attributes.name,
        group=attributes.group,
        kind=attributes.resource,
    )
