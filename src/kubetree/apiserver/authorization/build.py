"""May they: the authorizers of --authorization-mode or --authorization-config, in their order, behind system:masters who may always."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubetree.api.errors import quoted_all
from kubetree.apiserver.authorization.abac import ABAC, read_abac
from kubetree.apiserver.authorization.attributes import Authorizer, Decision
from kubetree.apiserver.authorization.configuration import (
    MODES,
    WEBHOOK,
    AuthorizerConfiguration,
    WebhookConfiguration,
    parse_authorization,
)
from kubetree.apiserver.authorization.match_conditions import MatchConditions
from kubetree.apiserver.authorization.node import NodeAuthorizer
from kubetree.apiserver.authorization.rbac import RBAC
from kubetree.apiserver.authorization.rules import RuleSource
from kubetree.apiserver.authorization.union import AlwaysAllow, AlwaysDeny, Masters, Union
from kubetree.apiserver.authorization.webhook import WebhookAuthorizer, WebhookSettings
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.access import Decisions, Reloads
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.options.configuration_files import follow_file
from kubetree.apiserver.webhooks import WebhookClient, of_kubeconfig

log = logging.getLogger(__name__)
_FLAG_TIMEOUT = 30.0


@dataclass(slots=True)
class Authorization:
    """`authorizer` decides; `rbac` also tells rules, for escalation checks (None when RBAC is not a mode).

    `follow` keeps the authorizers what the configuration file says, until cancelled; None where there is no file.
    """

    authorizer: Authorizer
    rbac: RBAC | None
    sources: tuple[RuleSource, ...] = ()
    follow: Callable[[], Coroutine[Any, Any, None]] | None = None
    decisions: Decisions = field(default_factory=dict)
    reloads: Reloads | None = None


def build_authorizer(config: Config, lister: Lister, client: WebhookClient) -> Authorization:
    """Raises ValueError for an unknown mode or a file that cannot be used, OSError."""
    if config.always_allow:
        return Authorization(AlwaysAllow(), None, (AlwaysAllow(),))
    path = config.authorization_config
    text = path.read_bytes() if path is not None else b""
    wanted = _from_file(path, text) if path is not None else _from_flags(config)
    house = _House(config, lister, client, wanted)
    union = Union(house.authorizers(wanted), _names(wanted))
    authorization = Authorization(union, house.rbac, _sources(union), decisions=union.decisions)
    if path is not None:

        async def reload(content: bytes) -> None:
            wanted = parse_authorization(content, house.types)
            union.use(house.authorizers(wanted), _names(wanted))
            authorization.sources = _sources(union)
            log.info("authorization configuration %s taken up", path)

        reloads = authorization.reloads = Reloads("authorization", socket.gethostname(), text)
        authorization.follow = lambda: follow_file(path, text, reload, reloads.count)
    return authorization


class _House:
    """Authorizers that live as long as the server, whatever order a configuration gives them; webhooks come and go."""

    def __init__(self, config: Config, lister: Lister, client: WebhookClient, wanted: Sequence[AuthorizerConfiguration]) -> None:
        self.types = tuple(sorted({entry.type for entry in wanted} - {WEBHOOK}))
        self.rbac = RBAC(lister) if "RBAC" in self.types else None
        self._client = client
        self._standing: dict[str, Authorizer] = {"AlwaysAllow": AlwaysAllow(), "AlwaysDeny": AlwaysDeny()}
        if self.rbac is not None:
            self._standing["RBAC"] = self.rbac
        if "Node" in self.types:
            self._standing["Node"] = NodeAuthorizer(lister, config.features)
        if "ABAC" in self.types:
            self._standing["ABAC"] = _abac(config.authorization_policy_file)

    def authorizers(self, wanted: Sequence[AuthorizerConfiguration]) -> list[Authorizer]:
        """Raises ValueError."""
        found: list[Authorizer] = [Masters()]
        for entry in wanted:
            if entry.webhook is not None:
                found.append(WebhookAuthorizer(_settings(entry.name, entry.webhook), self._client))
            elif entry.type in self._standing:
                found.append(self._standing[entry.type])
            else:
                raise ValueError(f"authorizer type {entry.type} is not allowed if it was not enabled at initial server startup")
        return found


def _names(wanted: Sequence[AuthorizerConfiguration]) -> list[tuple[str, str] | None]:
    """Of the authorizers that stand for them; what system:masters do is not counted."""
    return [None, *((entry.name, entry.type) for entry in wanted)]


def _sources(union: Union) -> tuple[RuleSource, ...]:
    return tuple(authorizer for authorizer in union.authorizers if not isinstance(authorizer, Masters))  # type: ignore[misc]


def _settings(name: str, webhook: WebhookConfiguration) -> WebhookSettings:
    return WebhookSettings(
        name,
        of_kubeconfig(webhook.kubeconfig),
        webhook.version,
        webhook.timeout,
        webhook.authorized_ttl,
        webhook.unauthorized_ttl,
        Decision.DENY if webhook.denies_on_error else Decision.NO_OPINION,
        MatchConditions(webhook.conditions) if webhook.conditions else None,
    )


def _abac(path: Path | None) -> ABAC:
    if path is None:
        raise ValueError("authorization-mode ABAC's authorization policy file not passed")
    return read_abac(path)


def _from_file(path: Path, text: bytes) -> list[AuthorizerConfiguration]:
    try:
        return parse_authorization(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _from_flags(config: Config) -> list[AuthorizerConfiguration]:
    modes, hook = config.authorization_mode, config.authorization_webhook_config_file
    unknown = next((mode for mode in modes if mode not in MODES), None)
    if unknown is not None:
        raise ValueError(f'authorization-mode "{unknown}" is not a valid mode')
    if len(set(modes)) < len(modes):
        raise ValueError(f"authorization-mode {quoted_all(modes)} has mode specified more than once")
    if WEBHOOK in modes and hook is None:
        raise ValueError("authorization-mode Webhook's authorization config file not passed")
    if hook is not None and WEBHOOK not in modes:
        raise ValueError("cannot specify --authorization-webhook-config-file without mode Webhook")
    if config.authorization_policy_file is not None and "ABAC" not in modes:
        raise ValueError("cannot specify --authorization-policy-file without mode ABAC")
    ttls = config.authorization_webhook_cache_authorized_ttl, config.authorization_webhook_cache_unauthorized_ttl
    webhook = None if hook is None else WebhookConfiguration(hook, config.authorization_webhook_version, _FLAG_TIMEOUT, *ttls)
    return [
        AuthorizerConfiguration(mode, "default" if mode == WEBHOOK else mode.lower(), webhook if mode == WEBHOOK else None)
        for mode in modes
    ]
