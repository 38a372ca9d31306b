"""`kubetree apiserver`: upstream's flags into a Config, and a server that runs until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from kubetree.api.feature_gates import ignored_gates, read_gates
from kubetree.apiserver.admission.build import PLUGINS
from kubetree.apiserver.audit.config import add_audit_arguments, audit_config
from kubetree.apiserver.authentication.oidc.flags import add_oidc_arguments, oidc_flags
from kubetree.apiserver.log_format import start_logging
from kubetree.apiserver.options.checks import faults
from kubetree.apiserver.options.config import Config, TLSFiles
from kubetree.apiserver.options.flags import add_more_arguments, all_flags, boolean
from kubetree.apiserver.options.values import address, duration, integer, list_of, port_range
from kubetree.apiserver.server import ApiServer
from kubetree.client.self_signed import self_signed

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags are named as kube-apiserver's where it has the same option."""
    d = Config()
    parser.add_argument("--storage", default="", metavar="URL", help="memory://, sqlite:///path or etcd://host:port,...")
    parser.add_argument("--etcd-servers", type=list_of, default=(), metavar="URLS", help="etcd endpoints; the same as --storage etcd://...")
    for option in ("--etcd-cafile", "--etcd-certfile", "--etcd-keyfile"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--bind-address", type=address, default="0.0.0.0")
    parser.add_argument("--secure-port", type=integer, default=6443)
    parser.add_argument("--advertise-address", type=address, default="")
    parser.add_argument("--tls-cert-file", type=Path)
    parser.add_argument("--tls-private-key-file", type=Path)
    parser.add_argument("--client-ca-file", type=Path)
    boolean(parser, "anonymous-auth", None)
    parser.add_argument("--authorization-mode", type=list_of, default=d.authorization_mode, metavar="MODES")
    parser.add_argument("--authorization-config", type=Path)
    parser.add_argument("--authorization-policy-file", type=Path)
    parser.add_argument("--authorization-webhook-config-file", type=Path)
    parser.add_argument("--authorization-webhook-version", default=d.authorization_webhook_version)
    for what, ttl in (("authorized", 300.0), ("unauthorized", 30.0)):
        parser.add_argument(f"--authorization-webhook-cache-{what}-ttl", type=duration, default=ttl)
    parser.add_argument("--authentication-config", type=Path)
    add_oidc_arguments(parser)
    parser.add_argument("--authentication-token-webhook-config-file", type=Path)
    parser.add_argument("--authentication-token-webhook-version", default=d.authentication_token_webhook_version)
    ttl = d.authentication_token_webhook_cache_ttl
    parser.add_argument("--authentication-token-webhook-cache-ttl", type=duration, default=ttl)
    parser.add_argument("--token-auth-file", type=Path)
    boolean(parser, "enable-bootstrap-token-auth", False)
    parser.add_argument("--service-account-issuer", action="append", default=[])
    parser.add_argument("--service-account-key-file", action="append", type=Path, default=[])
    parser.add_argument("--service-account-signing-key-file", type=Path)
    parser.add_argument("--service-account-max-token-expiration", type=duration, default=0.0)
    boolean(parser, "service-account-extend-token-expiration", True)
    parser.add_argument("--service-account-jwks-uri", default="")
    parser.add_argument("--api-audiences", type=list_of, default=())
    parser.add_argument("--requestheader-client-ca-file", type=Path)
    parser.add_argument("--requestheader-allowed-names", type=list_of, default=())
    parser.add_argument("--requestheader-username-headers", type=list_of, default=d.requestheader_username_headers)
    parser.add_argument("--requestheader-group-headers", type=list_of, default=d.requestheader_group_headers)
    parser.add_argument("--requestheader-extra-headers-prefix", type=list_of, default=d.requestheader_extra_prefixes)
    parser.add_argument("--proxy-client-cert-file", type=Path)
    parser.add_argument("--proxy-client-key-file", type=Path)
    boolean(parser, "enable-aggregator-routing", False)
    parser.add_argument("--enable-admission-plugins", type=list_of, default=())
    parser.add_argument("--disable-admission-plugins", type=list_of, default=())
    parser.add_argument("--admission-control-config-file", type=Path)
    parser.add_argument("--default-not-ready-toleration-seconds", type=integer, default=d.default_not_ready_toleration_seconds)
    parser.add_argument("--default-unreachable-toleration-seconds", type=integer, default=d.default_unreachable_toleration_seconds)
    parser.add_argument("--service-cluster-ip-range", type=list_of, default=d.service_cluster_ip_range)
    parser.add_argument("--service-node-port-range", type=port_range, default=d.service_node_port_range)
    parser.add_argument("--kubelet-client-certificate", type=Path)
    parser.add_argument("--kubelet-client-key", type=Path)
    parser.add_argument("--kubelet-certificate-authority", type=Path)
    parser.add_argument("--kubelet-preferred-address-types", type=list_of, default=d.kubelet_preferred_address_types)
    parser.add_argument("--event-ttl", type=duration, default=float(d.event_ttl))
    parser.add_argument("--etcd-compaction-interval", type=duration, default=d.compaction_interval)
    parser.add_argument("--request-timeout", type=duration, default=d.request_timeout)
    parser.add_argument("--max-requests-inflight", type=integer, default=d.max_requests_inflight)
    parser.add_argument("--max-mutating-requests-inflight", type=integer, default=d.max_mutating_requests_inflight)
    boolean(parser, "enable-priority-and-fairness", True)
    parser.add_argument("--min-request-timeout", type=integer, default=d.min_request_timeout)
    parser.add_argument("--encryption-provider-config", type=Path)
    boolean(parser, "encryption-provider-config-automatic-reload", False)
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
    wrong = faults(options)
    if wrong:
        raise ValueError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    known = {f.name for f in fields(Config)}
    given: dict[str, Any] = {_RENAMED.get(k, k): v for k, v in vars(options).items()}
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k in known}
    values["event_ttl"] = int(values["event_ttl"])
    if not values.get("service_account_issuer"):
        values.pop("service_account_issuer", None)
    if not values.get("storage"):
        files = {"ca": options.etcd_cafile, "cert": options.etcd_certfile, "key": options.etcd_keyfile}
        values["storage"] = _etcd_url(options.etcd_servers, {name: file for name, file in files.items() if file})
    values["watch_cache_sizes"] = {name: int(size) for name, _, size in (entry.partition("#") for entry in options.watch_cache_sizes)}
    values["metric_labels"] = _allowed_labels(options.allow_metric_labels, options.allow_metric_labels_manifest)
    values["feature_gates"] = read_gates(options.feature_gates)[0]
    values["shutdown_grace"] = options.request_timeout
    if options.admission_control:
        rows = {row.plugin.name for row in PLUGINS}
        values["enable_admission_plugins"] = options.admission_control
        values["disable_admission_plugins"] = tuple(sorted(rows - set(options.admission_control)))
    values["audit"], values["oidc"] = audit_config(options), oidc_flags(options)
    _check_security(values)
    certificate, key = options.tls_cert_file, options.tls_private_key_file
    if certificate is None:
        certificate, key = _self_signed(options.cert_dir, options.external_hostname or options.advertise_address or options.bind_address)
    values["tls"] = TLSFiles(certificate, key, options.client_ca_file)
    told = {
        "anonymous_auth": options.anonymous_auth is not False,
        "tls_cert_file": certificate,
        "tls_private_key_file": key,
        "external_hostname": options.external_hostname or options.advertise_address,
    }
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    values["flags"] = all_flags(argparse.Namespace(**{**vars(options), **told}), parser)
    return Config(**values)


def _allowed_labels(given: dict[str, str], manifest: str) -> dict[str, str]:
    """What is given on the command line counts more than the file. Raises ValueError for one that cannot be read."""
    if given or not manifest:
        return given
    try:
        found = yaml.safe_load(Path(manifest).read_text())
    except OSError as error:
        why = f"failed to read allow list manifest: open {manifest}: {(error.strerror or str(error)).lower()}"
        raise ValueError(f'metrics.allowListMappingManifest: Invalid value: "{manifest}": {why}') from None
    found = found.get("allowListMapping", found) if isinstance(found, dict) else {}
    return {str(key): str(values) for key, values in found.items()}


def _check_security(values: dict[str, Any]) -> None:
    """That everybody may do everything is for those whose name is known."""
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
    addresses = ",".join(_etcd_address(s) for s in servers)
    scheme = "etcds" if any(s.startswith("https://") for s in servers) else "etcd"
    return f"{scheme}://{addresses}?{urlencode(files)}" if files else f"{scheme}://{addresses}"


def _etcd_address(server: str) -> str:
    """host:port of a URL, or unix:path of one of a Unix socket."""
    scheme, _, address = server.rpartition("://")
    return f"unix:{address}" if scheme == "unix" else address


async def run(options: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT. A second one ends the process at once."""
    gc.set_threshold(*_GC_THRESHOLDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _told_to_stop, stop)
    try:
        config = config_of(options)
        server = ApiServer(config)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    start_logging(options.logging_format, options.v)
    for gate in ignored_gates(config.feature_gates):
        log.warning("feature gate %s: what it stands for is here as it is by default, whatever it is set to", gate)
    try:
        await server.start()
    except BaseExceptionGroup as group:
        refused = _refusal(group)
        if refused is None:
            raise
        raise SystemExit(f"error: {refused}") from None
    except OSError as error:
        raise SystemExit(f"error: failed to create listener: {error.strerror or error}") from None
    gc.freeze()  # what a started server is made of stays: no collection need look at it again
    try:
        await stop.wait()
    finally:
        await server.stop()


def _told_to_stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(1)
    stop.set()


def _refusal(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """What a part said of its configuration, where that and nothing else went wrong."""
    wanted, rest = group.split((ValueError, OSError))
    if wanted is None or rest is not None:
        return None
    error: BaseException = wanted
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
