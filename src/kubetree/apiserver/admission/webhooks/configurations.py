"""Webhook configurations as hooks ready to be asked: read from the watch cache, compiled once until a configuration changes.

Follows admission/configuration and admission/plugin/webhook/accessors.go.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.selectors import Selector
from kubetree.apiserver.admission.matching.candidates import Interest
from kubetree.apiserver.admission.matching.conditions import Conditions, compile_conditions
from kubetree.apiserver.admission.matching.rules import Rule, rules
from kubetree.apiserver.admission.matching.selectors import selector
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.webhooks import Credentials, Destination, of_client_config

Object = dict[str, Any]
_KNOWN_VERSIONS = ("v1", "v1beta1")
_HARMLESS = ("None", "NoneOnDryRun")
_DEFAULT_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Hook:
    """`uid` tells hooks of one name in one configuration apart. `review_version` is the first one that is known here, '' for none."""

    uid: str
    configuration: str
    name: str
    rules: tuple[Rule, ...]
    equivalent: bool
    namespaces: Selector | None
    objects: Selector | None
    conditions: Conditions | None
    ignores_failures: bool
    timeout: float
    dry_run: bool
    review_version: str
    destination: Destination | None
    unusable: str = ""
    """Why there is no destination."""
    reinvoked: bool = False


def interest(hook: Hook) -> Interest:
    """What the hook could want of requests, for `matching.candidates`."""
    return hook.rules, hook.equivalent


class Configurations:
    """`hooks()` gives all hooks of a kind of configuration, by the configuration's name and their place in it."""

    def __init__(self, lister: Lister, kind: Kind, step: str, credentials: Credentials) -> None:
        """`step` is what metrics call the phase: admit or validating."""
        self._lister, self._kind, self._step, self._credentials = lister, kind, step, credentials
        self._generation = -1
        self._hooks: tuple[Hook, ...] = ()
        self._known: dict[str, tuple[str, tuple[Hook, ...]]] = {}

    def hooks(self) -> tuple[Hook, ...]:
        generation = self._lister.generation(self._kind)
        if generation != self._generation:
            self._read()
            self._generation = generation
        return self._hooks

    def _read(self) -> None:
        """Configurations that have not changed keep their hooks, and with them what was compiled."""
        known = {}
        for obj in self._lister.list(self._kind):
            name, version = obj["metadata"]["name"], obj["metadata"].get("resourceVersion", "")
            standing = self._known.get(name)
            known[name] = standing if standing is not None and standing[0] == version else (version, self._compiled(obj))
        self._known = known
        self._hooks = tuple(hook for name in sorted(known) for hook in known[name][1])

    def _compiled(self, obj: Object) -> tuple[Hook, ...]:
        configuration = obj["metadata"]["name"]
        seen: defaultdict[str, int] = defaultdict(int)
        found = []
        for given in obj.get("webhooks") or ():
            name = given["name"]
            found.append(self._hook(f"{configuration}/{name}/{seen[name]}", configuration, given))
            seen[name] += 1
        return tuple(found)

    def _hook(self, uid: str, configuration: str, given: Object) -> Hook:
        ignores = given.get("failurePolicy") == "Ignore"
        conditions = given.get("matchConditions")
        destination, unusable = None, ""
        try:
            destination = self._credentials.to(of_client_config(given.get("clientConfig") or {}))
        except ValueError as error:
            unusable = str(error)
        return Hook(
            uid,
            configuration,
            given["name"],
            rules(given.get("rules")),
            given.get("matchPolicy") == "Equivalent",
            selector(given.get("namespaceSelector")),
            selector(given.get("objectSelector")),
            compile_conditions(conditions, (given["name"], "webhook", self._step), fails=not ignores) if conditions else None,
            ignores,
            given.get("timeoutSeconds") or _DEFAULT_TIMEOUT,
            given.get("sideEffects") in _HARMLESS,
            next((v for v in given.get("admissionReviewVersions") or () if v in _KNOWN_VERSIONS), ""),
            destination,
            unusable,
            given.get("reinvocationPolicy") == "IfNeeded",
        )
