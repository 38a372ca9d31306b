"""Everything an API server is told at start, resolved once: no flag and no feature gate is read after this."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kubetree.api.feature_gates import Features, resolve
from kubetree.apiserver.audit.config import AuditConfig
from kubetree.apiserver.authentication.oidc.flags import OIDCFlags

VERSION_MAJOR, VERSION_MINOR, GIT_VERSION = "1", "36", "v1.36.0+kubetree"


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """PEM files. `client_ca` verifies client certificates; without it none is asked for."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Field names follow kube-apiserver's flags. Times are seconds."""

    storage: str = "memory://"
    """`memory://`, `sqlite:///path`, `etcd://host:port,...`"""
    etcd_prefix: str = "/registry"
    """What every key in the store begins with: clusters that share an etcd have one each."""
    bind_address: str = "127.0.0.1"
    secure_port: int = 0
    """0: any free port; `ApiServer.url` tells which."""
    advertise_address: str = ""
    """What the `kubernetes` Service's endpoints point to; the bind address unless given."""
    tls: TLSFiles | None = None
    """None: plain HTTP, for tests only."""
    tls_min_version: str = ""
    """VersionTLS10 to VersionTLS13; '' for 1.2."""
    tls_cipher_suites: tuple[str, ...] = ()
    """Go's names; those of TLS 1.3 are always on."""
    tls_sni_cert_keys: tuple[tuple[Path, Path, tuple[str, ...]], ...] = ()
    """Certificate, key and the host names that they are for (those in the certificate unless given)."""
    anonymous_auth: bool | None = None
    """None: as the authentication configuration says, else True."""
    authorization_mode: tuple[str, ...] = ("Node", "RBAC")
    authorization_config: Path | None = None
    """An AuthorizationConfiguration, which takes the place of the modes."""
    authorization_policy_file: Path | None = None
    authorization_webhook_config_file: Path | None = None
    authorization_webhook_version: str = "v1beta1"
    authorization_webhook_cache_authorized_ttl: float = 300.0
    authorization_webhook_cache_unauthorized_ttl: float = 30.0
    authentication_config: Path | None = None
    """An AuthenticationConfiguration, which takes the place of `oidc`."""
    oidc: OIDCFlags | None = None
    authentication_token_webhook_config_file: Path | None = None
    authentication_token_webhook_version: str = "v1beta1"
    authentication_token_webhook_cache_ttl: float = 120.0
    token_auth_file: Path | None = None
    enable_bootstrap_token_auth: bool = False
    service_account_issuer: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    service_account_key_files: tuple[Path, ...] = ()
    service_account_signing_key_file: Path | None = None
    service_account_max_token_expiration: float = 0.0
    """Seconds; 0: no limit."""
    service_account_extend_token_expiration: bool = True
    service_account_jwks_uri: str = ""
    api_audiences: tuple[str, ...] = ()
    """Audiences of tokens; the issuers unless given."""
    requestheader_client_ca: Path | None = None
    requestheader_allowed_names: tuple[str, ...] = ()
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    requestheader_uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    requestheader_extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)
    proxy_client_cert_file: Path | None = None
    proxy_client_key_file: Path | None = None
    """What this server shows to aggregated ones, which believe its word on who asks."""
    enable_aggregator_routing: bool = False
    """Services that are called out to (webhooks, aggregated APIs) are reached at their endpoints, not at their cluster IPs."""
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    admission_control_config_file: Path | None = None
    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300
    service_cluster_ip_range: tuple[str, ...] = ("10.96.0.0/12",)
    service_node_port_range: tuple[int, int] = (30000, 32767)
    kubelet_client_certificate: Path | None = None
    kubelet_client_key: Path | None = None
    kubelet_certificate_authority: Path | None = None
    kubelet_preferred_address_types: tuple[str, ...] = ("InternalIP", "Hostname", "InternalDNS", "ExternalDNS", "ExternalIP")
    event_ttl: int = 3600
    compaction_interval: float = 300.0
    """How often old revisions are forgotten; 0: never."""
    request_timeout: float = 60.0
    min_request_timeout: int = 1800
    """Watches without timeoutSeconds live between this and twice this."""
    max_requests_inflight: int = 400
    """Reads at once; 0: no limit."""
    max_mutating_requests_inflight: int = 200
    enable_priority_and_fairness: bool = True
    """The sum of both is shared by priority level; else each is a limit of its own."""
    max_request_body: int = 3 * 1024 * 1024
    goaway_chance: float = 0.0
    """How likely a connection is closed after an answer, so that clients spread over servers; at most 0.02."""
    cors_allowed_origins: tuple[str, ...] = ()
    """Regular expressions of the origins whose pages may read answers."""
    strict_transport_security_directives: tuple[str, ...] = ()
    external_hostname: str = ""
    """What others are told to reach this server by, instead of the advertised address."""
    endpoint_reconciler_type: str = "lease"
    """`none`: the endpoints of the Service kubernetes are somebody else's."""
    permit_port_sharing: bool = False
    shutdown_delay_duration: float = 0.0
    """How long a server that is told to stop goes on as before, but for /readyz."""
    livez_grace_period: float = 0.0
    """How long after the start /livez does not mind what has not finished yet."""
    aggregator_reject_forwarding_redirect: bool = True
    profiling: bool = True
    """Whether /debug is served."""
    git_version: str = GIT_VERSION
    """What the server says it is."""
    flags: tuple[tuple[str, str], ...] = ()
    """All flags by name, as /flagz shows them."""
    shutdown_grace: float = 2.0
    """How long running requests may go on after `stop()`."""
    shutdown_send_retry_after: bool = False
    """New requests are told to come again, at another server, while those under way are finished; else the port closes first."""
    shutdown_watch_termination_grace_period: float = 0.0
    """How long watches may take to end; 0: they are not waited for."""
    delete_collection_workers: int = 0
    """Objects of a collection that are deleted at once; 0: as many as is quickest."""
    default_watch_cache_size: int = 100
    """Events that the cache of each kind keeps at least."""
    watch_cache_sizes: dict[str, int] = field(default_factory=dict)
    """By group resource; events that its cache keeps at least."""
    service_account_lookup: bool = True
    """Whether tokens end with their service account, secret, pod and node."""
    kubernetes_service_node_port: int = 0
    """0: the Service kubernetes has a cluster IP only."""
    etcd_healthcheck_timeout: float = 2.0
    etcd_readycheck_timeout: float = 2.0
    etcd_db_metric_poll_interval: float = 30.0
    """How often the size of the store is looked at."""
    enable_logs_handler: bool = False
    """Whether /logs shows the files of /var/log."""
    disabled_metrics: tuple[str, ...] = ()
    metric_labels: dict[str, str] = field(default_factory=dict)
    """`metric,label` to the values, separated by commas, that are told apart."""
    coordinated_leadership_lease_duration: float = 15.0
    """Of the lease of the server that holds elections among LeaseCandidates."""
    coordinated_leadership_renew_deadline: float = 10.0
    coordinated_leadership_retry_period: float = 2.0
    feature_gates: dict[str, bool] = field(default_factory=dict)
    """Those that were named."""
    runtime_config: dict[str, str] = field(default_factory=dict)
    """Stages, versions and resources that are to be served or not: `{"api/all": "true"}`."""
    encryption_provider_config: Path | None = None
    encryption_provider_config_automatic_reload: bool = False
    audit: AuditConfig | None = None
    """None: nothing is recorded."""
    always_allow: bool = False
    """No authentication and no authorization at all: everyone is system:masters. Only for in-process tests."""

    @property
    def features(self) -> Features:
        """The gates that are on. Made anew each time: ask once."""
        return resolve(self.feature_gates)
