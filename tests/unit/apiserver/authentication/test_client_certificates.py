"""Which certificates are believed when authorities stand between them and those of the file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubetree.api.errors import Unauthorized
from kubetree.apiserver.authentication.client_certificates import CertificateVerifier

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issued(
    name: str,
    by: Issued | None = None,
    *extensions: x509.ExtensionType,
    ca: bool = True,
    length: int | None = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(by[1] if by is not None else key, hashes.SHA256()), key


def der(*found: Issued) -> list[bytes]:
    return [certificate.public_bytes(serialization.Encoding.DER) for certificate, _ in found]


ROOT = issued("root")
MIDDLE = issued("middle", ROOT)
LOW = issued("low", MIDDLE)
LEAF = issued("jane", LOW, ca=False)
now = NOW.timestamp()


def verify(leaf: Issued, *between: Issued, at: float = now, root: Issued = ROOT) -> x509.Certificate:
    return CertificateVerifier([root[0]], lambda: at).verified(der(leaf)[0], der(*between))


def test_those_in_between_lead_to_the_authority_in_any_order() -> None:
    assert verify(LEAF, LOW, MIDDLE) == verify(LEAF, MIDDLE, ROOT, LOW) == LEAF[0]
    assert verify(LEAF, root=LOW) == LEAF[0]


@pytest.mark.parametrize(
    ("leaf", "between"),
    [
        (LEAF, ()),
        (LEAF, (MIDDLE,)),
        (LEAF, (LOW,)),
        (LEAF, (LOW, issued("middle"))),
        (issued("eve", LEAF, ca=False), (LEAF, LOW, MIDDLE)),
        (issued("eve", late := issued("late", ROOT, end=NOW - timedelta(hours=1)), ca=False), (late,)),
        (issued("eve", usage := issued("u", ROOT, x509.NameConstraints([x509.DNSName("a")], None)), ca=False), (usage,)),
        (issued("eve", deep := issued("deep", short := issued("short", ROOT, length=0)), ca=False), (deep, short)),
    ],
)
def test_what_does_not_lead_to_an_authority(leaf: Issued, between: tuple[Issued, ...]) -> None:
    with pytest.raises(Unauthorized, match="unknown authority"):
        verify(leaf, *between)


def test_an_authority_for_servers_does_not_speak_for_clients() -> None:
    servers = issued("servers", ROOT, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
    with pytest.raises(Unauthorized, match="incompatible key usage"):
        verify(issued("eve", servers, ca=False), servers)


def test_a_chain_is_good_as_long_as_each_of_it() -> None:
    middle = issued("middle", ROOT, end=NOW + timedelta(hours=1))
    leaf = issued("jane", middle, ca=False)
    clock = [now]
    verifier = CertificateVerifier([ROOT[0]], lambda: clock[0])
    (found,) = der(leaf)
    assert verifier.verified(found, der(middle)) == verifier.verified(found) == leaf[0]
    clock[0] = now + 4000
    with pytest.raises(Unauthorized, match="expired"):
        verifier.verified(found)
