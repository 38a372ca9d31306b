"""ClusterTrustBundles: certificates of authorities, perhaps those of one signer. Follows pkg/apis/certificates/validation."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from kubetree.api.validation.errors import Errors, each, invalid, too_long
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_subdomain
from kubetree.api.validation.pem import Block, blocks
from kubetree.api.validation.pods.projections import signer_name

Thing = dict[str, Any]
_LIMIT = 1 << 20
_OMITTED = "<value omitted>"


def create(errs: Errors, obj: Thing) -> None:
    _bundle(errs, obj)
    _certificates(errs, _spec(obj).get("trustBundle") or "")


def update(errs: Errors, new: Thing, old: Thing) -> None:
    _bundle(errs, new)
    text = _spec(new).get("trustBundle") or ""
    if text != (_spec(old).get("trustBundle") or ""):
        _certificates(errs, text)
    immutable(errs, _spec(new).get("signerName") or "", _spec(old).get("signerName") or "", "spec.signerName")


def _spec(obj: Thing) -> Thing:
    return obj.get("spec") or {}


def _bundle(errs: Errors, obj: Thing) -> None:
    signer, name = _spec(obj).get("signerName") or "", obj["metadata"].get("name") or ""
    each(errs, "metadata.name", name, _name_problems(name, signer))
    if signer:
        signer_name(errs, signer, "spec.signerName")


def _name_problems(name: str, signer: str) -> tuple[str, ...]:
    if not signer:
        return ('ClusterTrustBundle without signer name must not have ":" in its name',) if ":" in name else dns_subdomain(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return (f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}",)
    return dns_subdomain(name.removeprefix(prefix))


def _certificates(errs: Errors, text: str) -> None:
    path = "spec.trustBundle"
    if len(text.encode()) > _LIMIT:
        errs.append(too_long(path, _LIMIT))
        return
    found: dict[bytes, list[int]] = {}
    problems = []
    for i, block in enumerate(blocks(text)):
        problem = _problem(block)
        if problem:
            problems.append(f"entry {i} {problem}")
        else:
            found.setdefault(block.data, []).append(i)
    if not problems and not found:
        problems.append("at least one trust anchor must be provided")
    if not problems:
        problems = [f"duplicate trust anchor (indices [{' '.join(map(str, same))}])" for same in found.values() if len(same) > 1]
    errs.extend(invalid(path, _OMITTED, problem) for problem in problems)


def _problem(block: Block) -> str:
    if block.type != "CERTIFICATE":
        return f"has bad block type: {block.type}"
    if block.headers:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(block.data)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if constraints.ca else "does not have the CA bit set"
