"""Upstream's flags beyond those that have a room of their own: what they mean here, and which values would mean nothing.

Three kinds: those that do something, those whose value changes nothing because what they tune is not needed here, and those that can
only say what is so anyway. A value that cannot be is refused before the server starts, in words that name the flag.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kubetree.api.times import parse_duration
from kubetree.apiserver.config import GIT_VERSION
from kubetree.apiserver.features import gates
from kubetree.apiserver.serving_certificates import ALWAYS, CIPHERS, VERSIONS


def list_of(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def truth(text: str) -> bool:
    if text not in _TRUTH:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return _TRUTH[text]


_TRUTH = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


def pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`. A key alone means true."""
    return {key.strip(): value.strip() if eq else "true" for key, eq, value in (part.partition("=") for part in list_of(text))}


def sni_pair(text: str) -> tuple[Path, Path, tuple[str, ...]]:
    """`cert,key` or `cert,key:name,*.name`."""
    files, _, names = text.partition(":")
    parts = list_of(files)
    if len(parts) != 2:
        raise argparse.ArgumentTypeError("expected comma separated certificate and key file paths")
    return Path(parts[0]), Path(parts[1]), list_of(names)


_TOLERATED: dict[Callable[[str], Any], str] = {
    int: """
        apiserver-count default-watch-cache-size delete-collection-workers http2-max-streams-per-connection kubelet-port
        kubelet-read-only-port lease-reuse-duration-seconds max-connection-bytes-per-sec
    """,
    parse_duration: """
        coordinated-leadership-lease-duration coordinated-leadership-renew-deadline coordinated-leadership-retry-period
        etcd-count-metric-poll-period etcd-db-metric-poll-interval etcd-healthcheck-timeout etcd-readycheck-timeout kubelet-timeout
        log-flush-frequency shutdown-watch-termination-grace-period storage-initialization-timeout
    """,
    truth: """
        contention-profiling disable-http2-serving emulation-forward-compatible enable-garbage-collector log-json-split-stream
        log-text-split-stream permit-address-sharing runtime-config-emulation-forward-compatible send-retry-after-while-not-ready-once
        shutdown-send-retry-after
    """,
    str: """
        allow-metric-labels allow-metric-labels-manifest disabled-metrics log-json-info-buffer-size log-text-info-buffer-size
        show-hidden-metrics-for-version tls-curve-preferences vmodule watch-cache-sizes
    """,
}
"""Taken and checked for their form; nothing here depends on them."""

_FIXED: dict[str, tuple[tuple[str, ...], str]] = {
    "allow-privileged": (("true",), "privileged containers are what PodSecurity decides about"),
    "debug-socket-path": (("",), "/debug is served on the secure port"),
    "egress-selector-config-file": (("",), "connections go out directly"),
    "emulated-version": (("", "1.36", "kube=1.36"), "the version is 1.36"),
    "enable-logs-handler": (("false",), "logs go to standard error"),
    "etcd-servers-overrides": (("",), "everything is in one store"),
    "kubernetes-service-node-port": (("0",), "the Service kubernetes has a cluster IP only"),
    "min-compatibility-version": (("", "1.35", "kube=1.35"), "the version is 1.36"),
    "peer-advertise-ip": (("",), "servers do not forward to each other"),
    "peer-advertise-port": (("",), "servers do not forward to each other"),
    "peer-ca-file": (("",), "servers do not forward to each other"),
    "service-account-lookup": (("true",), "tokens of deleted accounts are never accepted"),
    "service-account-signing-endpoint": (("",), "give --service-account-signing-key-file"),
    "storage-backend": (("", "etcd3"), "see --storage for the others"),
    "storage-media-type": (("application/json",), "objects are stored as JSON"),
    "tracing-config-file": (("",), "no traces are written"),
    "watch-cache": (("true",), "reads come from the watch cache"),
}
"""Values that say what is so, and why there are no others."""


def add_more_arguments(parser: argparse.ArgumentParser) -> None:
    """Those with a field of the same name in Config come to it by themselves."""
    parser.add_argument("--version", action="version", version=f"Kubernetes {GIT_VERSION}")
    parser.add_argument("--etcd-prefix", default="/registry", help="what every key in the store begins with")
    parser.add_argument("--cert-dir", type=Path, default=Path("/var/run/kubernetes"), help="where a self-signed certificate is kept")
    parser.add_argument("--external-hostname", default="", help="host name to tell others, instead of the advertised address")
    parser.add_argument("--cors-allowed-origins", type=list_of, default=(), help="regular expressions of origins")
    parser.add_argument("--goaway-chance", type=float, default=0.0, help="how likely a connection is closed after an answer")
    parser.add_argument("--strict-transport-security-directives", type=list_of, default=())
    parser.add_argument("--requestheader-uid-headers", type=list_of, default=())
    parser.add_argument("--profiling", type=truth, nargs="?", const=True, default=True, help="serve /debug")
    parser.add_argument("--tls-min-version", choices=[name for name in VERSIONS if name] + [""], default="")
    parser.add_argument("--tls-cipher-suites", type=list_of, default=())
    parser.add_argument("--tls-sni-cert-key", type=sni_pair, action="append", default=[], metavar="CERT,KEY[:NAMES]")
    parser.add_argument("--endpoint-reconciler-type", choices=("lease", "none", "master-count"), default="lease")
    parser.add_argument("--permit-port-sharing", type=truth, nargs="?", const=True, default=False)
    parser.add_argument("--shutdown-delay-duration", type=parse_duration, default=0.0)
    parser.add_argument("--livez-grace-period", type=parse_duration, default=0.0)
    parser.add_argument("--aggregator-reject-forwarding-redirect", type=truth, nargs="?", const=True, default=True)
    parser.add_argument("--feature-gates", type=pairs, default={}, metavar="NAME=true,...")
    parser.add_argument("--runtime-config", type=pairs, default={}, metavar="GROUP/VERSION=false,...")
    parser.add_argument("--logging-format", choices=("text", "json"), default="text")
    parser.add_argument("-v", "--v", type=int, default=0, metavar="LEVEL", help="more is logged from 2 and from 4 on")
    for parse, names in _TOLERATED.items():
        for name in names.split():
            optional: dict[str, Any] = {"nargs": "?", "const": True} if parse is truth else {}
            parser.add_argument(f"--{name}", type=parse, default=None, help=argparse.SUPPRESS, **optional)
    for name, (values, _) in _FIXED.items():
        boolean: dict[str, Any] = {"nargs": "?", "const": "true"} if values[0] in ("true", "false") else {}
        parser.add_argument(f"--{name}", default=None, help=argparse.SUPPRESS, **boolean)


def faults(options: argparse.Namespace) -> list[str]:
    """What is wrong with the values of flags, one line each."""
    found = [*_negative(options), *_fixed(options), *_origins(options.cors_allowed_origins)]
    if not 0 <= options.goaway_chance <= 0.02:
        found.append("--goaway-chance can not be less than 0 or greater than 0.02")
    for directive in options.strict_transport_security_directives:
        if directive not in ("includeSubDomains", "preload") and not re.fullmatch(r"max-age=[^=]*", directive):
            allowed = "max-age=expireTime, includeSubDomains, preload"
            found.append(f"--strict-transport-security-directives invalid, allowed values: {allowed}; not {directive!r}")
    unknown = [name for name in options.tls_cipher_suites if name not in CIPHERS and name not in ALWAYS]
    if unknown:
        found.append(f"--tls-cipher-suites: Cipher suite {unknown[0]} not supported or doesn't exist")
    found += feature_faults(options.feature_gates)
    if not 0 <= options.secure_port <= 65535 or options.secure_port == 0:
        found.append(f"--secure-port {options.secure_port} must be between 1 and 65535, inclusive. It cannot be turned off with 0")
    if bool(options.proxy_client_cert_file) != bool(options.proxy_client_key_file):
        found.append("--proxy-client-cert-file and --proxy-client-key-file must be specified together")
    return found


def _negative(options: argparse.Namespace) -> Iterable[str]:
    names = (
        "max-requests-inflight max-mutating-requests-inflight request-timeout min-request-timeout shutdown-delay-duration livez-grace-period"
        " default-not-ready-toleration-seconds default-unreachable-toleration-seconds"
    )
    for name in names.split():
        if getattr(options, name.replace("-", "_"), 0) < 0:
            yield f"--{name} can not be negative value"


def _fixed(options: argparse.Namespace) -> Iterable[str]:
    for name, (values, why) in _FIXED.items():
        given = getattr(options, name.replace("-", "_"))
        if given is not None and given not in values:
            yield f"--{name}={given} cannot be: {why}" + (f" (only {' or '.join(v for v in values if v)})" if any(values) else "")


def _origins(patterns: Iterable[str]) -> Iterable[str]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"--cors-allowed-origins has an invalid regular expression: {pattern!r}: {error}"
            continue
        if not (("^" in pattern or "//" in pattern) and ("$" in pattern or ":" in pattern)):
            wrong = "regular expression does not pin to start/end of host in the origin header"
            yield f"--cors-allowed-origins has an invalid regular expression: {wrong}: {pattern!r}"


def feature_faults(wanted: Mapping[str, str]) -> list[str]:
    """Gates may be said to be what they are."""
    known, found = {gate.name: gate for gate in gates()}, []
    for name, text in wanted.items():
        gate, value = known.get(name), _TRUTH.get(text)
        if gate is None:
            found.append(f"--feature-gates: unrecognized feature gate: {name}")
        elif value is None:
            found.append(f"--feature-gates: invalid value of {name}={text}, err: neither true nor false")
        elif value != gate.enabled and name not in ("AllAlpha", "AllBeta"):
            word = "true" if gate.enabled else "false"
            found.append(f"--feature-gates: cannot set feature gate {name} to {text}, feature is locked to {word}")
    return found


def shown(options: argparse.Namespace, parser_defaults: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """All flags with their values, as /flagz has them."""
    hidden = {"command", "run", *parser_defaults}
    return tuple((name.replace("_", "-"), _text(value)) for name, value in sorted(vars(options).items()) if name not in hidden)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return "[" + ",".join(_text(item) for item in value) + "]"
    return str(value)
