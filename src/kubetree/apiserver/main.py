"""`kubetree apiserver`: upstream's flags into a Config, and a server that runs until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import logging
import signal
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubetree.api.kind_table import builtin
from kubetree.api.times import parse_duration
from kubetree.apiserver.audit.config import add_audit_arguments, audit_config
from kubetree.apiserver.authentication.oidc.flags import add_oidc_arguments, oidc_flags
from kubetree.apiserver.config import Config, TLSFiles
from kubetree.apiserver.flags import add_more_arguments, faults, list_of, shown, truth
from kubetree.apiserver.log_format import start_logging
from kubetree.apiserver.runtime_config import narrowed
from kubetree.apiserver.server import ApiServer
from kubetree.client.self_signed import self_signed

log = logging.getLogger(__name__)


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags are named as kube-apiserver's where it has the same option."""
    d = Config()
    parser.add_argument("--storage", default="", metavar="URL", help="memory://, sqlite:///path or etcd://host:port,...")
    parser.add_argument("--etcd-servers", type=list_of, default=(), metavar="URLS", help="etcd endpoints; the same as --storage etcd://...")
    for option in ("--etcd-cafile", "--etcd-certfile", "--etcd-keyfile"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--bind-address", default="0.0.0.0")
    parser.add_argument("--secure-port", type=int, default=6443)
    parser.add_argument("--advertise-address", default="")
    parser.add_argument("--tls-cert-file", type=Path)
    parser.add_argument("--tls-private-key-file", type=Path)
    parser.add_argument("--client-ca-file", type=Path)
    parser.add_argument("--anonymous-auth", type=truth, nargs="?", const=True, default=None)
    parser.add_argument("--authorization-mode", type=list_of, default=d.authorization_mode, metavar="MODES")
    parser.add_argument("--authorization-config", type=Path)
    parser.add_argument("--authorization-policy-file", type=Path)
    parser.add_argument("--authorization-webhook-config-file", type=Path)
    parser.add_argument("--authorization-webhook-version", choices=("v1", "v1beta1"), default=d.authorization_webhook_version)
    for what, ttl in (("authorized", 300.0), ("unauthorized", 30.0)):
        parser.add_argument(f"--authorization-webhook-cache-{what}-ttl", type=parse_duration, default=ttl)
    parser.add_argument("--authentication-config", type=Path)
    add_oidc_arguments(parser)
    parser.add_argument("--authentication-token-webhook-config-file", type=Path)
    parser.add_argument("--authentication-token-webhook-version", choices=("v1", "v1beta1"), default=d.authentication_token_webhook_version)
    ttl = d.authentication_token_webhook_cache_ttl
    parser.add_argument("--authentication-token-webhook-cache-ttl", type=parse_duration, default=ttl)
    parser.add_argument("--token-auth-file", type=Path)
    parser.add_argument("--enable-bootstrap-token-auth", type=truth, nargs="?", const=True, default=False)
    parser.add_argument("--service-account-issuer", action="append", default=[])
    parser.add_argument("--service-account-key-file", action="append", type=Path, default=[])
    parser.add_argument("--service-account-signing-key-file", type=Path)
    parser.add_argument("--service-account-max-token-expiration", type=parse_duration, default=0.0)
    parser.add_argument("--service-account-extend-token-expiration", type=truth, nargs="?", const=True, default=True)
    parser.add_argument("--service-account-jwks-uri", default="")
    parser.add_argument("--api-audiences", type=list_of, default=())
    parser.add_argument("--requestheader-client-ca-file", type=Path)
    parser.add_argument("--requestheader-allowed-names", type=list_of, default=())
    parser.add_argument("--requestheader-username-headers", type=list_of, default=d.requestheader_username_headers)
    parser.add_argument("--requestheader-group-headers", type=list_of, default=d.requestheader_group_headers)
    parser.add_argument("--requestheader-extra-headers-prefix", type=list_of, default=d.requestheader_extra_prefixes)
    parser.add_argument("--proxy-client-cert-file", type=Path)
    parser.add_argument("--proxy-client-key-file", type=Path)
    parser.add_argument("--enable-aggregator-routing", type=truth, nargs="?", const=True, default=False)
    parser.add_argument("--enable-admission-plugins", type=list_of, default=())
    parser.add_argument("--disable-admission-plugins", type=list_of, default=())
    parser.add_argument("--admission-control-config-file", type=Path)
    parser.add_argument("--default-not-ready-toleration-seconds", type=int, default=d.default_not_ready_toleration_seconds)
    parser.add_argument("--default-unreachable-toleration-seconds", type=int, default=d.default_unreachable_toleration_seconds)
    parser.add_argument("--service-cluster-ip-range", type=list_of, default=d.service_cluster_ip_range)
    parser.add_argument("--service-node-port-range", type=_port_range, default=d.service_node_port_range)
    parser.add_argument("--kubelet-client-certificate", type=Path)
    parser.add_argument("--kubelet-client-key", type=Path)
    parser.add_argument("--kubelet-certificate-authority", type=Path)
    parser.add_argument("--kubelet-preferred-address-types", type=list_of, default=d.kubelet_preferred_address_types)
    parser.add_argument("--event-ttl", type=parse_duration, default=float(d.event_ttl))
    parser.add_argument("--etcd-compaction-interval", type=parse_duration, default=d.compaction_interval)
    parser.add_argument("--request-timeout", type=parse_duration, default=d.request_timeout)
    parser.add_argument("--max-requests-inflight", type=int, default=d.max_requests_inflight)
    parser.add_argument("--max-mutating-requests-inflight", type=int, default=d.max_mutating_requests_inflight)
    parser.add_argument("--enable-priority-and-fairness", type=truth, nargs="?", const=True, default=True)
    parser.add_argument("--min-request-timeout", type=int, default=d.min_request_timeout)
    parser.add_argument("--encryption-provider-config", type=Path)
    parser.add_argument("--encryption-provider-config-automatic-reload", type=truth, nargs="?", const=True, default=False)
    add_audit_arguments(parser)
    add_more_arguments(parser)


_GC_THRESHOLDS = (50_000, 20, 50)
"""Collections are for cycles, of which requests leave none: rarer ones cost nothing and spare pauses over a large cache."""

_RENAMED = {
    "service_account_key_file": "service_account_key_files",
    "requestheader_client_ca_file": "requestheader_client_ca",
    "requestheader_extra_headers_prefix": "requestheader_extra_prefixes",
    "etcd_compaction_interval": "compaction_interval",
    "tls_sni_cert_key": "tls_sni_cert_keys",
}


def config_of(options: argparse.Namespace) -> Config:
    """Raises ValueError for values and combinations that cannot work, saying what to give."""
    if wrong := faults(options):
        raise ValueError("\n".join(wrong))
    known = {f.name for f in fields(Config)}
    given: dict[str, Any] = {_RENAMED.get(k, k): v for k, v in vars(options).items()}
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in known}
    values["event_ttl"] = int(values["event_ttl"])
    if not values.get("service_account_issuer"):
        values.pop("service_account_issuer", None)
    if not values.get("storage"):
        files = {"ca": options.etcd_cafile, "cert": options.etcd_certfile, "key": options.etcd_keyfile}
        values["storage"] = _etcd_url(options.etcd_servers, {name: file for name, file in files.items() if file})
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        raise ValueError("--tls-cert-file and --tls-private-key-file must be given together")
    values["audit"], values["oidc"] = audit_config(options), oidc_flags(options)
    _check_security(values)
    certificate, key = options.tls_cert_file, options.tls_private_key_file
    if certificate is None:
        certificate, key = _self_signed(options.cert_dir, options.external_hostname or options.advertise_address or options.bind_address)
    values["tls"] = TLSFiles(certificate, key, options.client_ca_file)
    values["flags"] = shown(argparse.Namespace(**{**vars(options), "anonymous_auth": options.anonymous_auth is not False}))
    return Config(**values)


def _check_security(values: dict[str, Any]) -> None:
    """Combinations that upstream refuses. Raises ValueError."""
    longest = values["service_account_max_token_expiration"]
    if longest and not 3600 <= longest <= 1 << 32:
        raise ValueError("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds")
    issuers = values.get("service_account_issuer", ())
    if repeated := next((issuer for i, issuer in enumerate(issuers) if issuer in issuers[:i]), None):
        raise ValueError(f'service-account-issuer "{repeated}" is already specified')
    uri = values["service_account_jwks_uri"]
    if uri and not uri.startswith("https://"):
        raise ValueError(f"service-account-jwks-uri requires https scheme, parsed as: {uri}")
    if "AlwaysAllow" in values["authorization_mode"] and values["anonymous_auth"] is not False:
        log.warning("anonymous requests are not allowed with the AlwaysAllow authorizer: --anonymous-auth is now false")
        values["anonymous_auth"] = False


def _self_signed(directory: Path, host: str) -> tuple[Path, Path]:
    """`apiserver.crt` and `apiserver.key` in the directory: those that are there, else new ones for `host`."""
    certificate, key = directory / "apiserver.crt", directory / "apiserver.key"
    if not (certificate.exists() and key.exists()):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            names, addresses = host, [str(ipaddress.ip_address(host)), "127.0.0.1"]
        except ValueError:
            names, addresses = host, ["127.0.0.1"]
        key.touch(mode=0o600)
        pair = self_signed(names if names not in addresses else "localhost", addresses, datetime.now(UTC))
        certificate.write_bytes(pair[0])
        key.write_bytes(pair[1])
    return certificate, key


def _etcd_url(servers: tuple[str, ...], files: Mapping[str, Path]) -> str:
    if not servers:
        return "memory://"
    addresses = ",".join(s.partition("://")[2] or s for s in servers)
    scheme = "etcds" if any(s.startswith("https://") for s in servers) else "etcd"
    return f"{scheme}://{addresses}?{urlencode(files)}" if files else f"{scheme}://{addresses}"


async def run(options: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT."""
    gc.set_threshold(*_GC_THRESHOLDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        config = config_of(options)
        kinds = narrowed(builtin(), options.runtime_config) if options.runtime_config else None
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    start_logging(options.logging_format, options.v)
    server = ApiServer(config, kinds=kinds)
    await server.start()
    gc.freeze()  # what a started server is made of stays: no collection need look at it again
    try:
        await stop.wait()
    finally:
        await server.stop()
