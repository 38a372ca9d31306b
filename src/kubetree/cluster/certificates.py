"""Every key and certificate of a cluster: authorities, server, client and front-proxy certificates, the service-account key pair.

ECDSA P-256 throughout, so that a whole cluster's set takes a few milliseconds. Everything is made in memory;
`ClusterCertificates.write` puts it where kubeadm would (`ca.crt`, `apiserver.key`, `sa.pub`, ...), keys with mode 0600.
Names and groups follow the PKI requirements of Kubernetes (CN is the user, O its groups).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubetree.cluster.files import write_file

AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
_BACKDATE = timedelta(minutes=5)
"""Certificates are valid from a little before now: the clocks of two nodes differ."""

PrivateKey = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def expires(self) -> datetime:
        """When the certificate ends, UTC."""
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc


@dataclass(frozen=True, slots=True)
class ServiceAccountKey:
    """What service-account tokens are signed and verified with, both PEM."""

    private: bytes
    public: bytes


class Authority:
    """A certificate authority that issues; `pair` is its own certificate and key."""

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"the authority's key is a {type(key).__name__}; only ECDSA keys are used here")
        self._key = key

    @property
    def certificate(self) -> bytes:
        return self.pair.certificate

    @classmethod
    def create(cls, common_name: str, now: datetime, lifetime: timedelta = AUTHORITY_LIFETIME) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name)
        builder = _builder(name, name, key, now, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        return cls(_signed(builder, key, key))

    def server(
        self, common_name: str, hosts: Iterable[str], now: datetime, *, groups: Iterable[str] = (), lifetime: timedelta = LIFETIME
    ) -> KeyPair:
        """A serving certificate for `hosts`: DNS names and IP addresses."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        return self._issue(common_name, groups, now, lifetime, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, user: str, now: datetime, *, groups: Iterable[str] = (), lifetime: timedelta = LIFETIME) -> KeyPair:
        """A certificate that authenticates as `user` in `groups`."""
        return self._issue(user, groups, now, lifetime, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self,
        common_name: str,
        groups: Iterable[str],
        now: datetime,
        lifetime: timedelta,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None = None,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name, groups), self._certificate.subject, key, now, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer_key, critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return _signed(builder, key, self._key)


def node_client(authority: Authority, node: str, now: datetime) -> KeyPair:
    """What a kubelet authenticates with: system:node:<name> in system:nodes."""
    return authority.client(f"system:node:{node}", now, groups=["system:nodes"])


def node_server(authority: Authority, node: str, hosts: Iterable[str], now: datetime) -> KeyPair:
    """What a kubelet serves logs and exec with."""
    return authority.server(f"system:node:{node}", [node, *hosts], now, groups=["system:nodes"])


def service_account_key() -> ServiceAccountKey:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ServiceAccountKey(_key_pem(key), public)


@dataclass(frozen=True, slots=True)
class ClusterCertificates:
    """All that a control plane is started with. `authority` signs servers, users and nodes; `front_proxy_authority` the aggregator."""

    authority: Authority
    front_proxy_authority: Authority
    apiserver: KeyPair
    apiserver_kubelet_client: KeyPair
    front_proxy_client: KeyPair
    admin: KeyPair
    controller_manager: KeyPair
    scheduler: KeyPair
    proxy: KeyPair
    service_account: ServiceAccountKey

    @classmethod
    def create(
        cls, hosts: Iterable[str], now: datetime, *, service_ip: str = "10.96.0.1", domain: str = "cluster.local"
    ) -> ClusterCertificates:
        """`hosts` are what clients outside the cluster call the API server; the names used inside are added."""
        authorities = Authority.create("kubernetes", now), Authority.create("front-proxy-ca", now)
        return cls._issued(*authorities, service_account_key(), apiserver_hosts(hosts, service_ip, domain), now)

    def renewed(
        self, hosts: Iterable[str], now: datetime, *, service_ip: str = "10.96.0.1", domain: str = "cluster.local"
    ) -> ClusterCertificates:
        """All certificates anew from the same authorities; the service-account key stays, since tokens are signed with it."""
        names = apiserver_hosts(hosts, service_ip, domain)
        return self._issued(self.authority, self.front_proxy_authority, self.service_account, names, now)

    @classmethod
    def _issued(
        cls, authority: Authority, front: Authority, service_account: ServiceAccountKey, hosts: Iterable[str], now: datetime
    ) -> ClusterCertificates:
        return cls(
            authority=authority,
            front_proxy_authority=front,
            apiserver=authority.server("kube-apiserver", hosts, now),
            apiserver_kubelet_client=authority.client("kube-apiserver-kubelet-client", now, groups=["system:masters"]),
            front_proxy_client=front.client("front-proxy-client", now),
            admin=authority.client("kubernetes-admin", now, groups=["system:masters"]),
            controller_manager=authority.client("system:kube-controller-manager", now),
            scheduler=authority.client("system:kube-scheduler", now),
            proxy=authority.client("system:kube-proxy", now),
            service_account=service_account,
        )

    def files(self) -> dict[str, bytes]:
        """File name to content, kubeadm's names where it has the file."""
        pairs = {"ca": self.authority.pair, "front-proxy-ca": self.front_proxy_authority.pair}
        pairs |= {file: getattr(self, field) for field, file in _PAIRS.items()}
        files = {f"{name}.{end}": data for name, pair in pairs.items() for end, data in (("crt", pair.certificate), ("key", pair.key))}
        return files | {"sa.key": self.service_account.private, "sa.pub": self.service_account.public}

    def write(self, directory: Path) -> None:
        """Each file appears whole or not at all. Private keys get mode 0600, certificates 0644, a new directory 0700."""
        for name, data in self.files().items():
            write_file(directory / name, data, 0o600 if name.endswith(".key") else 0o644)

    @classmethod
    def read(cls, directory: Path) -> ClusterCertificates:
        """What `write` wrote. Raises FileNotFoundError naming what is missing."""

        def pair(name: str) -> KeyPair:
            return KeyPair((directory / f"{name}.crt").read_bytes(), (directory / f"{name}.key").read_bytes())

        return cls(
            authority=Authority(pair("ca")),
            front_proxy_authority=Authority(pair("front-proxy-ca")),
            service_account=ServiceAccountKey((directory / "sa.key").read_bytes(), (directory / "sa.pub").read_bytes()),
            **{field: pair(file) for field, file in _PAIRS.items()},
        )


_PAIRS = {
    "apiserver": "apiserver",
    "apiserver_kubelet_client": "apiserver-kubelet-client",
    "front_proxy_client": "front-proxy-client",
    "admin": "admin",
    "controller_manager": "controller-manager",
    "scheduler": "scheduler",
    "proxy": "proxy",
}


def apiserver_hosts(hosts: Iterable[str], service_ip: str, domain: str) -> list[str]:
    """Every name and address that the API server's certificate must carry."""
    inside = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}", service_ip]
    return list(dict.fromkeys([*hosts, "localhost", "127.0.0.1", *inside]))


def _name(common_name: str, groups: Iterable[str] = ()) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        + [x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)]
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, lifetime: timedelta) -> x509.CertificateBuilder:
    start = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    start = start.serial_number(x509.random_serial_number()).not_valid_before(now - _BACKDATE).not_valid_after(now + lifetime)
    return start.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, signer: PrivateKey) -> KeyPair:
    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
