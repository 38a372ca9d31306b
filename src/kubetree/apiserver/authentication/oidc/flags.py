"""The --oidc-* flags: one issuer without a configuration file."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubetree.apiserver.authentication.oidc.configuration import ALGORITHMS, of_flags


@dataclass(frozen=True, slots=True)
class OIDCFlags:
    """As given; `required_claims` are `key=value`."""

    issuer_url: str
    client_id: str
    ca_file: Path | None = None
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    signing_algs: tuple[str, ...] = ("RS256",)
    required_claims: tuple[str, ...] = ()

    def configuration(self) -> dict[str, Any]:
        """The fields of an AuthenticationConfiguration. Raises OSError, ValueError."""
        unsupported = next((name for name in self.signing_algs if name not in ALGORITHMS), None)
        if unsupported is not None:
            raise ValueError(f'oidc: unsupported signing alg: "{unsupported}"')
        return of_flags(
            self.issuer_url,
            self.client_id,
            authority=self.ca_file.read_text() if self.ca_file is not None else "",
            username_claim=self.username_claim,
            username_prefix=self.username_prefix,
            groups_claim=self.groups_claim,
            groups_prefix=self.groups_prefix,
            required_claims=self.required_claims,
        )


_TEXTS = ("issuer-url", "client-id", "username-claim", "username-prefix", "groups-claim", "groups-prefix")


def add_oidc_arguments(parser: argparse.ArgumentParser) -> None:
    """Upstream's --oidc-* flags."""
    for name in _TEXTS:
        parser.add_argument(f"--oidc-{name}", metavar=name.upper().replace("-", "_"))
    parser.add_argument("--oidc-ca-file", type=Path)
    parser.add_argument("--oidc-signing-algs", metavar="ALGORITHMS", help=f"of {', '.join(ALGORITHMS)}; RS256 unless given")
    parser.add_argument("--oidc-required-claim", action="append", metavar="CLAIM=VALUE")


def oidc_flags(options: argparse.Namespace) -> OIDCFlags | None:
    """None when none was given. Raises ValueError when the issuer or the client is missing."""
    given: dict[str, Any] = {name.removeprefix("oidc_"): value for name, value in vars(options).items() if name.startswith("oidc_")}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    if not (given.get("issuer_url") and given.get("client_id")):
        raise ValueError("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set")
    if "signing_algs" in given:
        given["signing_algs"] = tuple(part.strip() for part in given["signing_algs"].split(",") if part.strip())
    given["required_claims"] = tuple(given.pop("required_claim", ()))
    return OIDCFlags(**given)
