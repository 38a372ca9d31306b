"""Upstream's flags beyond those that have a room of their own: their defaults, and which values would mean nothing.

Three kinds: those that do something, those whose value changes nothing because what they tune is not needed here, and those that can
only say what is so anyway (docs/apiserver-flags.md has the reasons). A value that cannot be is refused before the server starts: see
checks.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubetree.apiserver.options.config import GIT_VERSION
from kubetree.apiserver.options.program_version import VersionFlag, version_or_truth
from kubetree.apiserver.options.values import (
    duration,
    integer,
    level,
    limited_labels,
    list_of,
    module_levels,
    pairs,
    refuse,
    shown,
    sni_pair,
    truth,
)

TOLERATED: dict[Callable[[str], Any], dict[str, Any]] = {
    integer: {
        "apiserver-count": 1,
        "http2-max-streams-per-connection": 0,
        "kubelet-port": 10250,
        "kubelet-read-only-port": 10255,
        "lease-reuse-duration-seconds": 60,
        "max-connection-bytes-per-sec": 0,
    },
    duration: {
        "etcd-count-metric-poll-period": 60.0,
        "kubelet-timeout": 5.0,
        "log-flush-frequency": 5.0,
        "storage-initialization-timeout": 60.0,
    },
    truth: {
        "allow-privileged": False,
        "contention-profiling": False,
        "disable-http2-serving": False,
        "emulation-forward-compatible": False,
        "enable-garbage-collector": True,
        "log-json-split-stream": False,
        "log-text-split-stream": False,
        "permit-address-sharing": False,
        "runtime-config-emulation-forward-compatible": False,
        "send-retry-after-while-not-ready-once": False,
        "watch-cache": True,
    },
    list_of: {"emulated-version": (), "min-compatibility-version": (), "tls-curve-preferences": ()},
    module_levels: {"vmodule": ""},
    str: {
        "log-json-info-buffer-size": "0",
        "log-text-info-buffer-size": "0",
        "peer-advertise-ip": "",
        "peer-advertise-port": "",
        "peer-ca-file": "",
        "show-hidden-metrics-for-version": "",
        "storage-media-type": "application/vnd.kubernetes.protobuf",
    },
}
"""Taken and checked; nothing here depends on them."""

FIXED: dict[str, tuple[tuple[str, ...], str]] = {
    "debug-socket-path": (("",), "/debug is served on the secure port"),
    "egress-selector-config-file": (("",), "connections go out directly"),
    "etcd-servers-overrides": (("[]", ""), "everything is in one store"),
    "service-account-signing-endpoint": (("",), "give --service-account-signing-key-file"),
    "storage-backend": (("", "etcd3"), "see --storage for the others"),
    "tracing-config-file": (("",), "no traces are written"),
}
"""Values that say what is so, and why there are no others. The first one is the default."""


def boolean(parser: argparse.ArgumentParser, name: str, default: bool | None) -> None:
    """A flag that may stand without a value."""
    parser.add_argument(f"--{name}", type=truth, nargs="?", const=True, default=default)


def add_more_arguments(parser: argparse.ArgumentParser) -> None:
    """Those with a field of the same name in Config come to it by themselves."""
    parser.error = refuse  # type: ignore[method-assign]
    parser.allow_abbrev = False
    version: dict[str, Any] = {"action": VersionFlag, "type": version_or_truth, "nargs": "?", "const": "true"}
    parser.add_argument(
        "--version", dest="git_version", default=GIT_VERSION, metavar="vX.Y.Z...", help="what the server says it is", **version
    )
    parser.add_argument("--etcd-prefix", default="/registry", help="what every key in the store begins with")
    parser.add_argument("--cert-dir", type=Path, default=Path("/var/run/kubernetes"), help="where a self-signed certificate is kept")
    parser.add_argument("--external-hostname", default="", help="host name to tell others, instead of the advertised address")
    parser.add_argument("--cors-allowed-origins", type=list_of, default=(), help="regular expressions of origins")
    parser.add_argument("--goaway-chance", type=float, default=0.0, help="how likely a connection is closed after an answer")
    parser.add_argument("--strict-transport-security-directives", type=list_of, default=())
    parser.add_argument("--requestheader-uid-headers", type=list_of, default=())
    boolean(parser, "profiling", True)
    parser.add_argument("--tls-min-version", default="")
    parser.add_argument("--tls-cipher-suites", type=list_of, default=())
    parser.add_argument("--tls-sni-cert-key", type=sni_pair, action="append", default=[], metavar="CERT,KEY[:NAMES]")
    parser.add_argument("--endpoint-reconciler-type", default="lease")
    parser.add_argument("--kubernetes-service-node-port", type=integer, default=0)
    boolean(parser, "permit-port-sharing", False)
    parser.add_argument("--shutdown-delay-duration", type=duration, default=0.0)
    boolean(parser, "shutdown-send-retry-after", False)
    parser.add_argument("--shutdown-watch-termination-grace-period", type=duration, default=0.0)
    parser.add_argument("--livez-grace-period", type=duration, default=0.0)
    for name, seconds in (("lease-duration", 15.0), ("renew-deadline", 10.0), ("retry-period", 2.0)):
        parser.add_argument(f"--coordinated-leadership-{name}", type=duration, default=seconds, help="of the server that holds elections")
    parser.add_argument("--etcd-healthcheck-timeout", type=duration, default=2.0)
    parser.add_argument("--etcd-db-metric-poll-interval", type=duration, default=30.0)
    parser.add_argument("--etcd-readycheck-timeout", type=duration, default=2.0)
    boolean(parser, "aggregator-reject-forwarding-redirect", True)
    boolean(parser, "service-account-lookup", True)
    boolean(parser, "enable-logs-handler", False)
    parser.add_argument("--delete-collection-workers", type=integer, default=1)
    parser.add_argument("--default-watch-cache-size", type=integer, default=100)
    parser.add_argument("--watch-cache-sizes", type=list_of, default=(), metavar="RESOURCE[.GROUP]#SIZE,...")
    parser.add_argument("--disabled-metrics", type=list_of, default=())
    parser.add_argument("--allow-metric-labels", type=limited_labels, default={}, metavar="METRIC,LABEL='VALUE,...'")
    parser.add_argument("--allow-metric-labels-manifest", default="")
    parser.add_argument("--admission-control", type=list_of, default=(), help="exactly these plugins (deprecated)")
    parser.add_argument("--feature-gates", type=pairs, action=Merged, default={}, metavar="NAME=true,...")
    parser.add_argument("--runtime-config", type=pairs, action=Merged, default={}, metavar="GROUP/VERSION=false,...")
    parser.add_argument("--logging-format", default="text")
    parser.add_argument("-v", "--v", type=level, default=0, metavar="LEVEL", help="more is logged from 2 and from 4 on")
    for read, flags in TOLERATED.items():
        for name, default in flags.items():
            optional: dict[str, Any] = {"nargs": "?", "const": True} if read is truth else {}
            parser.add_argument(f"--{name}", type=read, default=default, help=argparse.SUPPRESS, **optional)
    for name, (values, _) in FIXED.items():
        parser.add_argument(f"--{name}", default=values[0], help=argparse.SUPPRESS)


class Merged(argparse.Action):
    """A flag of pairs that may be given several times."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, getattr(namespace, self.dest) | values)


_OURS = frozenset({"command", "run", "storage", "oidc_required_claim", "git_version"})
_UNSAID = {"oidc_username_claim": "sub", "oidc_signing_algs": ("RS256",)}
"""What holds of flags that must be known not to have been given."""
_RENAMED = {"audit_webhook_initial_backoff": ("audit-webhook-initial-backoff", "audit-webhook-batch-initial-backoff")}


def all_flags(options: argparse.Namespace, parser: argparse.ArgumentParser) -> tuple[tuple[str, str], ...]:
    """All flags with their values, as /flagz has them. `parser` is one with all arguments, of which the types are taken."""
    reads = {action.dest: action.type for action in parser._actions}
    found: dict[str, str] = {"help": "false", "version": "false" if options.git_version == GIT_VERSION else options.git_version}
    for name, value in vars(options).items():
        if name not in _OURS:
            for flag in _RENAMED.get(name, (name.replace("_", "-"),)):
                found[flag] = shown(_UNSAID.get(name) if value is None else value, reads.get(name))
    return tuple(sorted(found.items()))
