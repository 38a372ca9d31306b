"""Flags: what they become, and what is refused in which words."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kubetree.api.kind_table import builtin
from kubetree.apiserver.flags import faults, feature_faults
from kubetree.apiserver.main import add_arguments, config_of
from kubetree.apiserver.runtime_config import narrowed


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*flags, "--tls-cert-file=c", "--tls-private-key-file=k"])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--goaway-chance=0.5", "--goaway-chance can not be less than 0 or greater than 0.02"),
        ("--max-requests-inflight=-1", "--max-requests-inflight can not be negative value"),
        ("--cors-allowed-origins=example.com", "regular expression does not pin to start/end of host in the origin header"),
        ("--cors-allowed-origins=//(", "--cors-allowed-origins has an invalid regular expression"),
        ("--strict-transport-security-directives=max-age", "--strict-transport-security-directives invalid"),
        ("--tls-cipher-suites=TLS_NONE", "Cipher suite TLS_NONE not supported or doesn't exist"),
        ("--storage-backend=etcd2", "--storage-backend=etcd2 cannot be"),
        ("--secure-port=0", "It cannot be turned off with 0"),
        ("--proxy-client-cert-file=x", "must be specified together"),
        ("--feature-gates=NoSuchThing=true", "unrecognized feature gate: NoSuchThing"),
    ],
)
def test_what_cannot_be_is_refused_by_name(flag: str, words: str) -> None:
    (found,) = faults(parsed(flag))
    assert words in found
    with pytest.raises(ValueError, match="--"):
        config_of(parsed(flag))


def test_usual_flags_of_other_installers_are_taken() -> None:
    options = parsed(
        "--allow-privileged=true",
        "--enable-aggregator-routing",
        "--service-account-lookup",
        "--storage-backend=etcd3",
        "--etcd-prefix=/registry",
        "--kubelet-timeout=5s",
        "--apiserver-count=3",
        "--watch-cache",
        "--cors-allowed-origins=//localhost(:|$),^https://a$",
        "--tls-sni-cert-key=a.crt,a.key:one.example.com,*.two.example.com",
        "--tls-sni-cert-key=b.crt,b.key",
        "--requestheader-uid-headers=X-Remote-Uid",
        "--shutdown-delay-duration=5s",
        "--feature-gates=AllAlpha=false",
    )
    config = config_of(options)
    assert config.cors_allowed_origins == ("//localhost(:|$)", "^https://a$")
    assert config.tls_sni_cert_keys == (
        (Path("a.crt"), Path("a.key"), ("one.example.com", "*.two.example.com")),
        (Path("b.crt"), Path("b.key"), ()),
    )
    assert (config.shutdown_delay_duration, config.requestheader_uid_headers) == (5.0, ("X-Remote-Uid",))
    flags = dict(config.flags)
    assert flags["cors-allowed-origins"] == "[//localhost(:|$),^https://a$]"
    assert (flags["enable-aggregator-routing"], flags["proxy-client-key-file"]) == ("true", "")


def test_without_a_certificate_the_server_signs_its_own_once(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([f"--cert-dir={tmp_path}", "--bind-address=127.0.0.1"])
    first = config_of(options).tls
    assert first is not None and first.key.stat().st_mode & 0o777 == 0o600
    before = first.certificate.read_bytes()
    config_of(options)
    assert first.certificate.read_bytes() == before


def test_gates_may_be_said_to_be_what_they_are() -> None:
    assert feature_faults({"WatchList": "true", "AllAlpha": "false", "AllBeta": "true"}) == []
    assert "locked to true" in feature_faults({"WatchList": "false"})[0]


def test_runtime_config_takes_versions_and_resources_away() -> None:
    kinds = narrowed(builtin(), {"autoscaling/v1": "false", "apps/v1/replicasets": "false", "api/alpha": "true"})
    assert kinds.by_resource("autoscaling", "v1", "horizontalpodautoscalers") is None
    assert kinds.by_resource("autoscaling", "v2", "horizontalpodautoscalers") is not None
    assert kinds.by_resource("apps", "v1", "replicasets") is None
    assert kinds.by_resource("apps", "v1", "deployments") is not None
    only = narrowed(builtin(), {"api/all": "false", "v1": "true", "apiregistration.k8s.io/v1": "true"})
    assert {row.api_version for row in only} == {"v1", "apiregistration.k8s.io/v1"}
    for wrong in ({"apps/v7": "true"}, {"apps/v1": "maybe"}, {"apiregistration.k8s.io/v1": "false"}):
        with pytest.raises(ValueError, match="--runtime-config"):
            narrowed(builtin(), wrong)
