"""Certificate requests: who refuses what in which words, how long requests stay, and what a certificate holds."""

from __future__ import annotations

import argparse
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubetree.cluster.certificates import Authority
from kubetree.controllers.certificates import approving, cleaning
from kubetree.controllers.certificates.authority_files import AuthorityFiles
from kubetree.controllers.certificates.requests import CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY, Refused, Unusable, check, parse
from kubetree.controllers.certificates.signing import Signing, SigningAuthority
from kubetree.controllers.options import add_arguments, options_of
from kubetree.controllers.plan import Delete, Outcome, Plan, RequeueAfter, Update
from kubetree.controllers.snapshot import ObjectSnapshot

Object = dict[str, Any]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
BASE = ("digital signature", "key encipherment")


def request(
    common_name: str = "system:node:n", organization: str = "system:nodes", *names: x509.GeneralName
) -> x509.CertificateSigningRequest:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def csr(asked: x509.CertificateSigningRequest | None = None, *conditions: Object, certificate: str = "", **spec: Any) -> Object:
    pem = (asked or request()).public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "c", "uid": "u", "creationTimestamp": "2026-05-01T00:00:00Z"},
        "spec": {"request": base64.b64encode(pem).decode(), "signerName": KUBELET_CLIENT, "usages": [*BASE, "client auth"], **spec},
        "status": {"conditions": list(conditions), **({"certificate": certificate} if certificate else {})},
    }


DNS, EMAIL, URI = x509.DNSName("n"), x509.RFC822Name("n@example.com"), x509.UniformResourceIdentifier("spiffe://n")


@pytest.mark.parametrize(
    ("signer", "asked", "usages", "told"),
    [
        (CLIENT, request(), ("client auth", "cert sign"), "invalid usage for client certificate: cert sign"),
        (CLIENT, request(), BASE, "missing required usage for client certificate: client auth"),
        (KUBELET_CLIENT, request("x", ""), (), "subject organization is not system:nodes"),
        (KUBELET_CLIENT, request("x", "system:nodes", EMAIL, DNS), (), "DNS subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request("x", "system:nodes", URI), (), "URI subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request("x"), (), "subject common name does not begin with system:node:"),
        (KUBELET_CLIENT, request(), BASE, "usages did not match [client auth digital signature key encipherment]"),
        (KUBELET_SERVING, request("x"), (), "DNS or IP subjectAltName is required"),
        (KUBELET_SERVING, request("x", "system:nodes", DNS, EMAIL), (), "Email subjectAltNames are not allowed"),
        (KUBELET_SERVING, request("x", "system:nodes", DNS), (), "usages did not match [digital signature key encipherment server auth]"),
        (
            KUBELET_SERVING,
            request("x", "system:nodes", DNS),
            (*BASE, "server auth"),
            "subject common name does not begin with system:node:",
        ),
    ],
)
def test_what_a_signer_does_not_sign(signer: str, asked: x509.CertificateSigningRequest, usages: tuple[str, ...], told: str) -> None:
    with pytest.raises(Refused) as refused:
        check(signer, parse(csr(asked)), usages)
    assert str(refused.value) == told
    check(LEGACY, parse(csr(asked)), usages)


def signed(lifetime: timedelta, usages: tuple[str, ...], asked: x509.CertificateSigningRequest | None = None) -> x509.Certificate:
    authority = Authority.create("ca", NOW)
    signing = SigningAuthority(authority.certificate, authority.pair.key)
    return x509.load_pem_x509_certificate(signing.sign(asked or request(), usages, lifetime, NOW))


def test_short_certificates_are_not_cut_and_long_ones_are() -> None:
    five = timedelta(minutes=5)
    for lifetime, end in ((timedelta(hours=1), timedelta(hours=1)), (timedelta(hours=8), timedelta(hours=8) - five)):
        certificate = signed(lifetime, ())
        assert certificate.not_valid_before_utc == NOW - five and certificate.not_valid_after_utc == NOW + end


def test_a_certificate_holds_the_usages_asked_for() -> None:
    certificate = signed(timedelta(hours=1), ("client auth", "s/mime", "email protection", "server auth", "signing"))
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_encipherment
    with pytest.raises(x509.ExtensionNotFound):
        signed(timedelta(hours=1), ("client auth",)).extensions.get_extension_for_class(x509.KeyUsage)
    with pytest.raises(Unusable, match="unrecognized usage"):
        signed(timedelta(hours=1), ("flying",))


def test_names_are_critical_where_there_is_no_subject() -> None:
    for asked, critical in ((request("", "", DNS), True), (request("x", "", DNS), False)):
        names = signed(timedelta(hours=1), (), asked).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.critical is critical


def options(*flags: str) -> dict[str, tuple[bytes, bytes]]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return dict(options_of(parser.parse_args(flags)).signing)


def test_a_signer_may_have_an_authority_of_its_own(tmp_path: Path) -> None:
    pair = Authority.create("kubelets", NOW).pair
    certificate, key = tmp_path / "crt", tmp_path / "key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    whole = (f"--cluster-signing-cert-file={certificate}", f"--cluster-signing-key-file={key}")
    some = tuple(flag.replace("signing-", "signing-kubelet-serving-") for flag in whole)
    assert options() == {}
    assert set(options(*whole)) == {KUBELET_SERVING, KUBELET_CLIENT, CLIENT, LEGACY}
    assert set(options(*some)) == {KUBELET_SERVING}
    for flags in ((*whole, *some), whole[:1], some[1:]):
        with pytest.raises(ValueError, match="--cluster-signing-"):
            options(*flags)
    signing = Signing(options(*some), 3600)
    for signer, usage, number in ((KUBELET_SERVING, "server auth", 1), (KUBELET_CLIENT, "client auth", 0)):
        asked = csr(request("system:node:n", "system:nodes", DNS), condition("Approved"), signerName=signer, usages=[*BASE, usage])
        assert len(signing.reconcile(ObjectSnapshot([asked]), ("", "c"), NOW).actions) == number


def test_an_authority_that_changes_on_disk_signs_from_then_on(tmp_path: Path) -> None:
    files = certificate, key = tmp_path / "crt", tmp_path / "key"

    def write(name: str) -> bytes:
        pair = Authority.create(name, NOW).pair
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        return x509.load_pem_x509_certificate(pair.certificate).subject.public_bytes()

    def issuer() -> bytes:
        asked = csr(
            request("system:node:n", "system:nodes", DNS), condition("Approved"), signerName=KUBELET_SERVING, usages=[*BASE, "server auth"]
        )
        (action,) = signing.reconcile(ObjectSnapshot([asked]), ("", "c"), NOW).actions
        assert isinstance(action, Update)
        return x509.load_pem_x509_certificate(base64.b64decode(action.obj["status"]["certificate"])).issuer.public_bytes()

    first = write("first")
    signing = Signing({KUBELET_SERVING: AuthorityFiles(*files)}, 3600)
    assert issuer() == first
    second = write("the second one")
    assert issuer() == second
    key.write_bytes(b"nonsense")
    assert issuer() == second
    key.unlink()
    assert issuer() == second


def test_a_request_that_is_not_allowed_yet_is_looked_at_again() -> None:
    review = {"kind": "SubjectAccessReview", "status": {"allowed": False}}
    plan = approving.reconcile(ObjectSnapshot([csr(username="system:node:n")]), ("", "c"), NOW)
    assert [action.obj["spec"]["resourceAttributes"]["subresource"] for action in plan.actions] == ["selfnodeclient", "nodeclient"]  # type: ignore[union-attr]
    for age, pause in ((0.0, 0.2), (40.0, 40.0), (5000.0, 1000.0)):
        plan = approving.reconcile(ObjectSnapshot([csr()]), ("", "c"), NOW + timedelta(seconds=age))
        assert plan.then is not None
        assert plan.then(Outcome((review,), ())).actions == (RequeueAfter(pause),)


def condition(type_: str, **more: Any) -> Object:
    return {"type": type_, "status": "True", "lastUpdateTime": "2026-05-01T02:00:00Z", **more}


@pytest.mark.parametrize(
    ("obj", "hours"),
    [
        (csr(), 24),
        (csr(None, condition("Denied")), 3),
        (csr(None, condition("Failed")), 3),
        (csr(None, condition("Approved")), 26),
        (csr(None, condition("Approved"), certificate="bm9uc2Vuc2U="), 3),
        (csr(None, condition("Approved", lastUpdateTime=None)), None),
        (csr(None, condition("Odd")), None),
    ],
)
def test_when_a_request_goes(obj: Object, hours: int | None) -> None:
    def at(when: datetime) -> Plan:
        return cleaning.reconcile(ObjectSnapshot([obj]), ("", "c"), when)

    if hours is None:
        assert at(NOW + timedelta(days=999)).actions == ()
        return
    due = NOW + timedelta(hours=hours)
    assert at(due - timedelta(seconds=9)).actions == (RequeueAfter(10.0),)
    (delete,) = at(due).actions
    assert isinstance(delete, Delete) and delete.name == "c"
