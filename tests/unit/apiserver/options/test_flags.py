"""Flags: what they become, and what is refused in which words."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import kubetree
from kubetree.api.feature_gates import DEFAULT_FEATURES, GOVERNED, gates, ignored_gates, read_gates, resolve
from kubetree.api.kind_table import EVERY_ROW, ROWS
from kubetree.apiserver.main import add_arguments, config_of
from kubetree.apiserver.options.checks import faults
from kubetree.apiserver.options.runtime_config import served_kinds


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*flags, "--tls-cert-file=c", "--tls-private-key-file=k"])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--goaway-chance=0.5", "--goaway-chance can not be less than 0 or greater than 0.02"),
        ("--max-requests-inflight=-1", "--max-requests-inflight can not be negative value"),
        ("--livez-grace-period=-1s", "--livez-grace-period can not be a negative value"),
        ("--cors-allowed-origins=example.com", "regular expression does not pin to start/end of host in the origin header"),
        ("--cors-allowed-origins=//(", "invalid regular expression: error parsing regexp: missing closing ): `//(`"),
        ("--strict-transport-security-directives=max-age", "--strict-transport-security-directives invalid"),
        ("--tls-cipher-suites=TLS_NONE", "Cipher suite TLS_NONE not supported or doesn't exist"),
        ("--tls-min-version=VersionTLS09", 'unknown tls version "VersionTLS09"'),
        ("--storage-backend=etcd2", "--storage-backend invalid, allowed values: etcd3"),
        ("--storage-media-type=application/foo", '--storage-media-type "application/foo" invalid'),
        ("--secure-port=0", "It cannot be turned off with 0"),
        ("--proxy-client-cert-file=x", "must be specified together"),
        ("--feature-gates=NoSuchThing=true", "unrecognized feature gate: NoSuchThing"),
        ("--feature-gates=WatchList", "missing bool value for WatchList"),
        ("--feature-gates=WatchList=maybe", 'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("--feature-gates=other:WatchList=true", "component not registered: other"),
        ("--watch-cache-sizes=pods", "invalid value of watch cache size: pods"),
        ("--watch-cache-sizes=pods#x", "invalid size of watch cache size: pods#x"),
        ("--watch-cache-sizes=pods#-1", "watch cache size cannot be negative: pods#-1"),
        ("--service-cluster-ip-range=foo", "service-cluster-ip-range[0] is not a valid cidr"),
        ("--service-cluster-ip-range=10.0.0.0/31", "the service cluster IP range must be at least 8 IP addresses"),
        ("--service-cluster-ip-range=10.0.0.0/16,10.1.0.0/16", "must be of different IP family"),
        ("--kubernetes-service-node-port=80", "kubernetes service node port range 30000-32767 doesn't contain 80"),
        ("--apiserver-count=0", "--apiserver-count should be a positive number, but value '0' provided"),
        (
            "--enable-admission-plugins=A --disable-admission-plugins=A",
            "[A] in enable-admission-plugins and disable-admission-plugins overlapped",
        ),
        ("--admission-control=A --enable-admission-plugins=B", "flags are mutually exclusive"),
        ("--service-account-issuer=", "service-account-issuer should not be an empty string"),
        ("--service-account-max-token-expiration=1m", "must be between 1 hour and 2^32 seconds"),
        ("--audit-log-mode=foo --audit-log-path=x", 'invalid audit log mode foo, allowed modes are "batch,blocking,blocking-strict"'),
        ("--audit-log-version=foo --audit-log-path=x", 'invalid group version, allowed versions are ["audit.k8s.io/v1"]'),
        ("--logging-format=foo", 'format: Invalid value: "foo": Unsupported log format'),
        ("--log-flush-frequency=0s", 'flushFrequency: Invalid value: "0s": Must be greater than zero'),
        ("--log-json-split-stream", "options.json.splitStream: Forbidden: Feature LoggingAlphaOptions is disabled"),
        ("--show-hidden-metrics-for-version=1.30", "only the previous minor version is allowed"),
        ("--allow-metric-labels=foo=bar", 'metrics.allowListMapping: Invalid value: {"foo":"bar"}: must have keys'),
        ("--emulated-version=1.30", "emulation version 1.30 is not between [1.33, 1.36.0]"),
        ("--emulated-version=foo", 'could not parse "foo" as version'),
        ("--encryption-provider-config-automatic-reload", "must be set with --encryption-provider-config"),
        ("--coordinated-leadership-lease-duration=0s", "lease-duration must be greater than --coordinated-leadership-renew-deadline"),
    ],
)
def test_what_cannot_be_is_refused_in_upstreams_words(flags: str, words: str) -> None:
    (found,) = faults(parsed(*flags.split()))
    assert words in found
    with pytest.raises(ValueError, match=re.escape(words)):
        config_of(parsed(*flags.split()))


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--event-ttl=abc", 'invalid argument "abc" for "--event-ttl" flag: time: invalid duration "abc"'),
        (
            "--max-requests-inflight=x",
            'invalid argument "x" for "--max-requests-inflight" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            "--anonymous-auth=maybe",
            'invalid argument "maybe" for "--anonymous-auth" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        ("--v=x", 'invalid argument "x" for "-v, --v" flag: strconv.ParseUint: parsing "x": invalid syntax'),
        ("--vmodule=foo", 'invalid argument "foo" for "--vmodule" flag: "foo" does not have the pattern=N format'),
        ("--bind-address=foo", 'invalid argument "foo" for "--bind-address" flag: failed to parse IP: "foo"'),
        (
            "--tls-sni-cert-key=a",
            'invalid argument "a" for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths',
        ),
        ("--service-node-port-range=foo", 'for "--service-node-port-range" flag: strconv.Atoi: parsing "foo": invalid syntax'),
        ("--nonsense=1", "unknown flag: --nonsense"),
    ],
)
def test_what_cannot_be_read_ends_the_process_as_cobra_does(flag: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(flag)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and words in told


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


def test_gates_are_taken_with_and_without_their_component_unless_they_are_locked() -> None:
    wanted = {"WatchList": "false", "kube:AllAlpha": "true", "AllBeta": "true"}
    assert read_gates(wanted) == ({"WatchList": False, "AllAlpha": True, "AllBeta": True}, [])
    assert read_gates({"DynamicResourceAllocation": "false"})[1] == [
        "cannot set feature gate DynamicResourceAllocation to false, feature is locked to true"
    ]
    config = config_of(parsed("--feature-gates=DetectCacheInconsistency=false", "--feature-gates=kube:APIServerIdentity=true"))
    assert config.feature_gates == {"DetectCacheInconsistency": False, "APIServerIdentity": True}
    assert ignored_gates(config.feature_gates) == ["DetectCacheInconsistency=false"]


def test_what_is_named_counts_more_than_all_of_a_stage() -> None:
    features = resolve({"AllAlpha": True, "StorageVersionAPI": False, "AllBeta": False, "WatchList": True})
    on = {gate.name for gate in gates() if gate.stage == "ALPHA" and gate.name not in ("AllAlpha", "StorageVersionAPI")}
    assert on <= features and "StorageVersionAPI" not in features
    assert {gate.name for gate in gates() if gate.stage == "BETA"} & features == {"WatchList"}
    assert {gate.name for gate in gates() if gate.stage in ("", "DEPRECATED") and gate.enabled} <= features
    assert {gate.name for gate in gates() if gate.enabled} == DEFAULT_FEATURES


def test_a_gate_needs_those_that_it_builds_on() -> None:
    assert read_gates({"GangScheduling": "true"})[1] == [
        "GangScheduling is enabled, but depends on features that are disabled: [GenericWorkload]"
    ]
    assert read_gates({"GangScheduling": "true", "GenericWorkload": "true"})[1] == []
    assert faults(parsed("--feature-gates=StorageVersionAPI=true,APIServerIdentity=false")) == [
        "StorageVersionAPI is enabled, but depends on features that are disabled: [APIServerIdentity]",
        "UnknownVersionInteroperabilityProxy is enabled, but depends on features that are disabled: [APIServerIdentity]",
    ]


def test_gates_that_are_said_to_be_asked_are_asked() -> None:
    source = Path(kubetree.__file__).parent
    asked = "".join(path.read_text() for path in source.rglob("*.py") if path.name != "feature_gates.py")
    assert {gate for gate in GOVERNED if f'"{gate}"' not in asked} == set()
    assert {gate.name for gate in gates()} >= GOVERNED


def test_flagz_has_upstreams_flags_as_go_prints_them() -> None:
    flags = dict(config_of(parsed("--request-timeout=90s", "--watch-cache-sizes=pods#5", "--allow-metric-labels=m,l='a,b',n,o=c")).flags)
    expected = {
        "request-timeout": "1m30s",
        "event-ttl": "1h0m0s",
        "authorization-webhook-cache-unauthorized-ttl": "30s",
        "audit-webhook-batch-throttle-qps": "10",
        "service-node-port-range": "30000-32767",
        "watch-cache-sizes": "[pods#5]",
        "etcd-prefix": "/registry",
        "storage-media-type": "application/vnd.kubernetes.protobuf",
        "kubelet-port": "10250",
        "delete-collection-workers": "1",
        "help": "false",
    }
    assert {name: flags[name] for name in expected} == expected
    assert "storage" not in flags and "run" not in flags


def test_values_find_their_way() -> None:
    config = config_of(
        parsed(
            "--disabled-metrics=a,b",
            "--allow-metric-labels=m,l='x,y',n,o=c",
            "--admission-control=NamespaceLifecycle,AlwaysAdmit",
            "--watch-cache-sizes=pods#500,deployments.apps#0",
            "--default-watch-cache-size=50",
            "--delete-collection-workers=3",
            "--request-timeout=7s",
        )
    )
    assert config.disabled_metrics == ("a", "b")
    assert config.metric_labels == {"m,l": "x,y", "n,o": "c"}
    assert config.watch_cache_sizes == {"pods": 500, "deployments.apps": 0}
    assert (config.default_watch_cache_size, config.delete_collection_workers, config.shutdown_grace) == (50, 3, 7.0)
    assert config.enable_admission_plugins == ("NamespaceLifecycle", "AlwaysAdmit")
    assert "PodSecurity" in config.disable_admission_plugins and "AlwaysAdmit" not in config.disable_admission_plugins


def test_by_default_what_is_stable_is_served() -> None:
    assert list(served_kinds({}, DEFAULT_FEATURES)) == list(ROWS)
    assert all(row.optional == ("alpha" in row.version or "beta" in row.version) for row in EVERY_ROW)


def test_runtime_config_takes_versions_and_resources_away() -> None:
    kinds = served_kinds({"autoscaling/v1": "false", "apps/v1/replicasets": "false"}, DEFAULT_FEATURES)
    assert kinds.by_resource("autoscaling", "v1", "horizontalpodautoscalers") is None
    assert kinds.by_resource("autoscaling", "v2", "horizontalpodautoscalers") is not None
    assert kinds.by_resource("apps", "v1", "replicasets") is None
    assert kinds.by_resource("apps", "v1", "deployments") is not None
    only = served_kinds({"api/all": "false", "v1": "true", "apiregistration.k8s.io/v1": "true"}, DEFAULT_FEATURES)
    assert {row.api_version for row in only} == {"v1", "apiregistration.k8s.io/v1"}
    without = served_kinds({"/v1/pods": "false", "/v1/secrets": "", "batch/v1beta1": "true", "api/legacy": "true"}, DEFAULT_FEATURES)
    assert without.by_kind("v1", "Pod") is None and without.by_kind("v1", "Secret") is not None
    assert served_kinds({"api/v1/pods": "false"}, DEFAULT_FEATURES).by_kind("v1", "Secret") is None


def test_runtime_config_has_more_served() -> None:
    def served(*gates: str, **wanted: str) -> set[str]:
        kinds = served_kinds({key.replace("_", "/"): value for key, value in wanted.items()}, DEFAULT_FEATURES | set(gates))
        return {f"{row.api_version}/{row.plural}" for row in kinds if row.optional}

    alpha = served(api_alpha="true")
    assert "internal.apiserver.k8s.io/v1alpha1/storageversions" in alpha and not any("beta" in name for name in alpha)
    assert "scheduling.k8s.io/v1alpha2/workloads" not in alpha
    assert "scheduling.k8s.io/v1alpha2/workloads" in served("GenericWorkload", api_alpha="true")
    assert served("GenericWorkload") == set()
    gated = {row.gate for row in EVERY_ROW if row.gate}
    assert served(*gated, api_all="true") == {f"{row.api_version}/{row.plural}" for row in EVERY_ROW if row.optional}
    more = {"api_all": "true", "api_beta": "false", "storage.k8s.io_v1beta1": "true"}
    assert {name for name in served(**more) if "beta" in name} == {"storage.k8s.io/v1beta1/volumeattributesclasses"}
    one = served(**{"resource.k8s.io_v1beta2_deviceclasses": "true"})
    assert one == {"resource.k8s.io/v1beta2/deviceclasses"}


def test_no_storage_media_type_is_the_default_one() -> None:
    assert not list(faults(parsed("--storage-media-type=")))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"apps/v7": "true"}, "group version apps/v7 that has not been registered"),
        ({"nope/v1": "false", "also.none/v1": "true"}, "unknown api groups also.none/v1,nope/v1"),
        ({"api/nope": "true"}, "unknown api groups api/nope"),
        ({"apps": "true"}, "runtime-config invalid key apps"),
        ({"a/b/c/d": "true"}, "runtime-config invalid key a/b/c/d"),
        ({"apps/v1/Deployments": "true"}, 'and resource is always lowercase plural, not "Deployments"'),
        ({"api/all": "maybe"}, "invalid value api/all=maybe"),
        ({"apps/v1": "maybe"}, 'invalid value of apps/v1: maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax'),
        ({"api/all": "false"}, "invalid runtime-config with only api/all=false"),
        ({"apiregistration.k8s.io/v1": "false"}, "must be enabled"),
        ({"apps": "true"}, "runtime-config invalid key apps"),
        ({"api/v2": "true"}, "unknown api groups api/v2"),
        ({"apps/v1/Deployments": "true"}, 'resource is always lowercase plural, not "Deployments"'),
    ],
)
def test_runtime_config_that_cannot_be_is_refused(wanted: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        served_kinds(wanted, DEFAULT_FEATURES)


def test_a_server_can_say_that_it_is_a_build_of_its_own() -> None:
    config = config_of(parsed("--version=v1.36.0-custom.1+there"))
    assert config.git_version == "v1.36.0-custom.1+there"
    assert dict(config.flags)["version"] == "v1.36.0-custom.1+there"
    assert dict(config_of(parsed("--version=false")).flags)["version"] == "false"


@pytest.mark.parametrize(
    ("value", "words"), [("", "Kubernetes v1.36."), ("=true", "Kubernetes v1.36."), ("=raw", 'version.Info{Major:"1", ')]
)
def test_the_version_is_printed_and_that_is_all(value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(f"--version{value}")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("v1.35.0", 'version "v1.35.0" must match major/minor/patch of default version "v1.36.0+kubetree"'),
        ("v1.36", 'illegal version string "v1.36"'),
        ("vx", 'could not parse "vx" as version'),
        ("v1.36.0-a_b", 'could not parse pre-release/metadata (-a_b) in version "v1.36.0-a_b"'),
        ("v1.36.00", 'illegal zero-prefixed version component "00" in "v1.36.00"'),
        ("v1.36.0-01", 'illegal zero-prefixed version component "01" in "v1.36.0-01"'),
        ("maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    ],
)
def test_a_server_says_of_no_other_version_that_it_is_that(value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(f"--version={value}")
    assert end.value.code == 1
    assert capsys.readouterr().err == f'Error: invalid argument "{value}" for "--version" flag: {words}\n'


def test_an_etcd_may_listen_on_a_unix_socket(tmp_path: Path) -> None:
    given = ("--etcd-servers=unix:///run/etcd.sock,http://127.0.0.1:2379", f"--cert-dir={tmp_path}")
    assert config_of(parsed(*given)).storage == "etcd://unix:/run/etcd.sock,127.0.0.1:2379"
