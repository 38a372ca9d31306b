"""Probes and lifecycle hooks."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.intstr import port
from kubetree.api.validation.metadata import NEGATIVE
from kubetree.api.validation.names import http_header_name, port_number

_SIGNALS = frozenset(
    [
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGRTMIN",
        "SIGRTMAX",
    ]
    + [f"SIGRTMIN+{n}" for n in range(1, 16)]
    + [f"SIGRTMAX-{n}" for n in range(1, 15)]
)


def _http_get(errs: Errors, action: Object, path: str) -> None:
    if not action.get("path"):
        errs.append(required(f"{path}.path"))
    port(errs, action.get("port"), f"{path}.port")
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        errs.append(not_supported(f"{path}.scheme", action.get("scheme") or "", ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        each(errs, f"{path}.httpHeaders", header.get("name") or "", http_header_name(header.get("name") or ""))


def _sleep(errs: Errors, action: Object, path: str, grace: int | None) -> None:
    seconds = action.get("seconds") or 0
    if grace is not None and not 0 <= seconds <= grace:
        errs.append(invalid(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"))


_KINDS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def _handler(errs: Errors, handler: dict[str, Any], path: str, grace: int | None) -> None:
    """Exactly one way of asking or acting."""
    found = False
    for kind in _KINDS:
        action = handler.get(kind)
        if action is None:
            continue
        at = f"{path}.{kind}"
        if found:
            errs.append(forbidden(at, "may not specify more than 1 handler type"))
            continue
        found = True
        if kind == "exec":
            if not action.get("command"):
                errs.append(required(f"{at}.command"))
        elif kind == "httpGet":
            _http_get(errs, action, at)
        elif kind == "tcpSocket":
            port(errs, action.get("port"), f"{at}.port")
        elif kind == "grpc":
            each(errs, f"{at}.port", action.get("port") or 0, port_number(action.get("port") or 0))
        else:
            _sleep(errs, action, at, grace)
    if not found:
        errs.append(required(path, "must specify a handler type"))


_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def _probe(errs: Errors, probe: dict[str, Any], path: str, grace: int | None) -> None:
    _handler(errs, probe, path, grace)
    for name in _COUNTS:
        value = probe.get(name)
        if value is not None and value < 0:
            errs.append(invalid(f"{path}.{name}", value, NEGATIVE))
    period = probe.get("terminationGracePeriodSeconds")
    if period is not None and period <= 0:
        errs.append(invalid(f"{path}.terminationGracePeriodSeconds", period, "must be greater than 0"))


def probes(errs: Errors, container: dict[str, Any], path: str, grace: int | None) -> None:
    """All three probes of a container; `grace` is the pod's termination grace period."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        at = f"{path}.{name}"
        _probe(errs, probe, at, grace)
        if name == "readinessProbe":
            if probe.get("terminationGracePeriodSeconds") is not None:
                value = probe["terminationGracePeriodSeconds"]
                errs.append(invalid(f"{at}.terminationGracePeriodSeconds", value, "must not be set for readinessProbes"))
        elif probe.get("successThreshold") != 1:
            errs.append(invalid(f"{at}.successThreshold", probe.get("successThreshold") or 0, "must be 1"))


def lifecycle(errs: Errors, hooks: dict[str, Any], path: str, grace: int | None, os: Object | None) -> None:
    for name in ("postStart", "preStop"):
        if hooks.get(name) is not None:
            _handler(errs, hooks[name], f"{path}.{name}", grace)
    signal = hooks.get("stopSignal")
    if signal is not None:
        allowed = frozenset({"SIGKILL", "SIGTERM"}) if os and os.get("name") == "windows" else _SIGNALS
        if os is None:
            errs.append(forbidden(f"{path}.stopSignal", "may not be set for containers with empty `spec.os.name`"))
        elif signal not in allowed:
            errs.append(not_supported(f"{path}.stopSignal", signal, sorted(allowed)))
