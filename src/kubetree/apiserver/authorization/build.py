"""May they: the authorizers of --authorization-mode, in its order, behind system:masters who may always."""

from __future__ import annotations

from dataclasses import dataclass

from kubetree.apiserver.authorization.attributes import Authorizer
from kubetree.apiserver.authorization.node import NodeAuthorizer
from kubetree.apiserver.authorization.rbac import RBAC
from kubetree.apiserver.authorization.union import AlwaysAllow, AlwaysDeny, Masters, Union
from kubetree.apiserver.config import Config
from kubetree.apiserver.lister import Lister

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")


@dataclass(frozen=True, slots=True)
class Authorization:
    """`authorizer` decides; `rbac` also tells rules, for escalation checks and rules reviews (None when RBAC is not a mode)."""

    authorizer: Authorizer
    rbac: RBAC | None


def build_authorizer(config: Config, lister: Lister) -> Authorization:
    """Raises ValueError for an unknown mode."""
    if config.always_allow:
        return Authorization(AlwaysAllow(), None)
    rbac = RBAC(lister) if "RBAC" in config.authorization_mode else None
    authorizers: list[Authorizer] = [Masters()]
    for mode in config.authorization_mode:
        match mode:
            case "AlwaysAllow":
                authorizers.append(AlwaysAllow())
            case "AlwaysDeny":
                authorizers.append(AlwaysDeny())
            case "Node":
                authorizers.append(NodeAuthorizer(lister))
            case "RBAC" if rbac is not None:
                authorizers.append(rbac)
            case _:
                raise ValueError(f"{mode!r} is not an authorization mode; choose from {', '.join(MODES)}")
    return Authorization(Union(authorizers), rbac)
