"""apierrors.NewInternalError: what went wrong in here, told as upstream tells it."""

from __future__ import annotations

from kubetree.api.errors import Cause, InternalError


def internal_error(why: str) -> InternalError:
    """Upstream's NewInternalError."""
    return InternalError(f"Internal error occurred: {why}", causes=[Cause("", why)])
