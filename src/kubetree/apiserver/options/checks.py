"""What is wrong with the values of flags, before anything is started. Pure, but for the files whose names are flags.

Follows the Validate functions of apiserver's and kube-apiserver's options, with their wording.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubetree.api.errors import quoted_all
from kubetree.api.feature_gates import read_gates
from kubetree.api.go_regex import compiled
from kubetree.apiserver.audit.config import JSON, LEGACY, MODES
from kubetree.apiserver.audit.policy import API_VERSION
from kubetree.apiserver.options.flags import FIXED
from kubetree.apiserver.serving_certificates import ALWAYS, CIPHERS, VERSIONS

_MEDIA_TYPES = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_AUDIT_CHOICES = {
    "mode": ("modes", MODES),
    "format": ("formats", (LEGACY, JSON)),
}
_NO_METRIC = (
    'must have keys with format `metricName,labelName` where metricName matches "[a-zA-Z_:][a-zA-Z0-9_:]*" and labelName matches '
    '"[a-zA-Z_][a-zA-Z0-9_]*"'
)
_VERSIONS = ((1, 33), (1, 36))


def faults(options: argparse.Namespace) -> list[str]:
    """What is wrong with the values of flags, one line each."""
    return [fault for check in _CHECKS for fault in check(options)]


def _fixed(options: argparse.Namespace) -> Iterator[str]:
    for name, (values, why) in FIXED.items():
        given = getattr(options, name.replace("-", "_"))
        if given not in values:
            yield _REFUSED.get(name) or f"--{name}={given} cannot be: {why}" + (f" (only {values[-1]})" if any(values) else "")
    if options.storage_media_type not in ("", *_MEDIA_TYPES):
        yield f'--storage-media-type "{options.storage_media_type}" invalid, allowed values: {", ".join(_MEDIA_TYPES)}'


_REFUSED = {"storage-backend": "--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'"}


def _numbers(options: argparse.Namespace) -> Iterator[str]:
    negative = "can not be negative value"
    for name in (
        "max-requests-inflight",
        "max-mutating-requests-inflight",
        "request-timeout",
        "min-request-timeout",
        "shutdown-delay-duration",
    ):
        if _of(options, name) < 0:
            yield f"--{name} {negative}"
    if options.livez_grace_period < 0:
        yield "--livez-grace-period can not be a negative value"
    if options.shutdown_watch_termination_grace_period < 0:
        yield "shutdown-watch-termination-grace-period, if provided, can not be a negative value"
    if not 0 <= options.goaway_chance <= 0.02:
        yield "--goaway-chance can not be less than 0 or greater than 0.02"
    if not 1 <= options.secure_port <= 65535:
        yield f"--secure-port {options.secure_port} must be between 1 and 65535, inclusive. It cannot be turned off with 0"
    if options.apiserver_count < 1:
        yield f"--apiserver-count should be a positive number, but value '{options.apiserver_count}' provided"
    if options.log_flush_frequency <= 0:
        yield 'flushFrequency: Invalid value: "0s": Must be greater than zero'
    for name, than in (("lease-duration", "renew-deadline"), ("renew-deadline", "retry-period")):
        if _of(options, f"coordinated-leadership-{name}") <= _of(options, f"coordinated-leadership-{than}"):
            yield f"--coordinated-leadership-{name} must be greater than --coordinated-leadership-{than}"


def _of(options: argparse.Namespace, name: str) -> Any:
    return getattr(options, name.replace("-", "_"))


def _transport(options: argparse.Namespace) -> Iterator[str]:
    for directive in options.strict_transport_security_directives:
        if directive not in ("includeSubDomains", "preload") and not re.fullmatch(r"max-age=[^=]*", directive):
            yield (
                "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see "
                "https://tools.ietf.org/html/rfc6797#section-6.1 for more information"
            )
    for name in options.tls_cipher_suites:
        if name not in CIPHERS and name not in ALWAYS:
            yield f"Cipher suite {name} not supported or doesn't exist"
            break
    if options.tls_min_version not in VERSIONS:
        yield f"unknown tls version {json.dumps(options.tls_min_version)}"
    if bool(options.proxy_client_cert_file) != bool(options.proxy_client_key_file):
        yield "--proxy-client-cert-file and --proxy-client-key-file must be specified together"
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        yield "--tls-cert-file and --tls-private-key-file must be given together"
    for pattern in options.cors_allowed_origins:
        try:
            compiled(pattern)
        except ValueError as error:
            yield f"--cors-allowed-origins has an invalid regular expression: {error}"
            continue
        if not (("^" in pattern or "//" in pattern) and ("$" in pattern or ":" in pattern)):
            wrong = "regular expression does not pin to start/end of host in the origin header"
            yield f"--cors-allowed-origins has an invalid regular expression: {wrong}"


def _services(options: argparse.Namespace) -> Iterator[str]:
    networks: list[Any] = []
    for at, text in enumerate(options.service_cluster_ip_range):
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            yield f"service-cluster-ip-range[{at}] is not a valid cidr"
            return
    if len(networks) > 2:
        yield "--service-cluster-ip-range must not contain more than two entries"
    elif len(networks) == 2 and networks[0].version == networks[1].version:
        yield "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP family"
    elif networks and networks[0].num_addresses < 8:
        yield "error determining service IP ranges for primary service cidr: the service cluster IP range must be at least 8 IP addresses"
    port, (low, high) = options.kubernetes_service_node_port, options.service_node_port_range
    if not 0 <= port <= 65535:
        yield (
            f"--kubernetes-service-node-port {port} must be between 0 and 65535, inclusive. If 0, the Kubernetes master service will be of "
            "type ClusterIP"
        )
    if port and not low <= port <= high:
        yield f"kubernetes service node port range {low}-{high} doesn't contain {port}"
    if options.endpoint_reconciler_type not in ("lease", "none", "master-count"):
        yield f"unknown endpoint reconciler type: {options.endpoint_reconciler_type}"


def _plugins(options: argparse.Namespace) -> Iterator[str]:
    enabled, disabled = options.enable_admission_plugins, options.disable_admission_plugins
    if options.admission_control and (enabled or disabled):
        yield "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive"
    both = sorted(set(enabled) & set(disabled))
    if both:
        yield f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins overlapped"


def _tokens(options: argparse.Namespace) -> Iterator[str]:
    longest = options.service_account_max_token_expiration
    if longest and not 3600 <= longest <= 1 << 32:
        yield "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds"
    issuers = options.service_account_issuer
    for at, issuer in enumerate(issuers):
        if not issuer:
            yield "service-account-issuer should not be an empty string"
        elif issuer in issuers[:at]:
            yield f'service-account-issuer "{issuer}" is already specified'
    uri = options.service_account_jwks_uri
    if uri and not uri.startswith("https://"):
        yield f"service-account-jwks-uri requires https scheme, parsed as: {uri}"
    if options.encryption_provider_config_automatic_reload and options.encryption_provider_config is None:
        yield "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"


def _audit(options: argparse.Namespace) -> Iterator[str]:
    used = {"log": bool(options.audit_log_path), "webhook": options.audit_webhook_config_file is not None}
    for backend in (name for name, on in used.items() if on):
        for what, (plural, allowed) in _AUDIT_CHOICES.items():
            given = getattr(options, f"audit_{backend}_{what}", allowed[0])
            if given not in allowed:
                yield f'invalid audit {backend} {what} {given}, allowed {plural} are "{",".join(allowed)}"'
        if getattr(options, f"audit_{backend}_version") != API_VERSION:
            yield f"invalid group version, allowed versions are {quoted_all([API_VERSION])}"


def _caches(options: argparse.Namespace) -> Iterator[str]:
    for entry in options.watch_cache_sizes:
        name, mark, size = entry.partition("#")
        if not mark or not name or "#" in size:
            yield f"invalid value of watch cache size: {entry}"
        elif re.fullmatch(r"[+-]?[0-9]+", size) is None:
            yield f"invalid size of watch cache size: {entry}"
        elif int(size) < 0:
            yield f"watch cache size cannot be negative: {entry}"


def _metrics(options: argparse.Namespace) -> Iterator[str]:
    hidden = options.show_hidden_metrics_for_version
    if hidden and hidden != "1.35":
        yield (
            f"metrics.showHiddenMetricsForVersion: Invalid value: \"{hidden}\": must be omitted or have the value '1.35'; only the previous "
            "minor version is allowed"
        )
    if any(re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*,[a-zA-Z_][a-zA-Z0-9_]*", key) is None for key in options.allow_metric_labels):
        given = json.dumps(options.allow_metric_labels, separators=(",", ":"))
        yield f"metrics.allowListMapping: Invalid value: {given}: {_NO_METRIC}"


def _logs(options: argparse.Namespace) -> Iterator[str]:
    if options.logging_format not in ("text", "json"):
        yield f'format: Invalid value: "{options.logging_format}": Unsupported log format'
    for form in ("json", "text"):
        if getattr(options, f"log_{form}_split_stream"):
            yield f"options.{form}.splitStream: Forbidden: Feature LoggingAlphaOptions is disabled"
        if getattr(options, f"log_{form}_info_buffer_size") not in ("", "0"):
            yield f"options.{form}.infoBufferSize: Forbidden: Feature LoggingAlphaOptions is disabled"


def _versions(options: argparse.Namespace) -> Iterator[str]:
    for name, entries in (("emulation", options.emulated_version), ("minCompatibilityVersion", options.min_compatibility_version)):
        for entry in entries:
            component, _, text = entry.rpartition("=")
            found = re.fullmatch(r"v?([0-9]+)\.([0-9]+)", text)
            if component not in ("", "kube"):
                yield f"component not registered: {component}"
            elif found is None:
                yield f"could not parse {json.dumps(text)} as version"
            elif not _VERSIONS[0] <= (int(found[1]), int(found[2])) <= _VERSIONS[1]:
                yield f"{name} version {text} is not between [1.33, 1.36{'.0' if name == 'emulation' else ''}]"
            elif name == "emulation" and text != "1.36":
                yield f"--emulated-version={entry} cannot be: this server has the APIs and features of 1.36 alone"
    if options.emulation_forward_compatible:
        yield (
            "ServerRunOptions.EmulationForwardCompatible cannot be set to true if the emulation version is the same as the binary version"
        )


def _features(options: argparse.Namespace) -> Iterable[str]:
    return read_gates(options.feature_gates)[1]


_CHECKS = (_fixed, _numbers, _transport, _services, _plugins, _tokens, _audit, _caches, _metrics, _logs, _versions, _features)
