"""From the claims of a verified token to a user: by name of claim or by expression, and the rules that both must hold.

Follows plugin/pkg/authenticator/token/oidc and pkg/authentication/cel, with their wording. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from kubetree.api.cel import BOOL, DYN, STRING, CompileError, Environment, EvaluationError, Program, list_of, map_of
from kubetree.api.cel.parser import parse
from kubetree.api.cel.tree import Call, Ident, Literal, Select, children
from kubetree.api.cel.types import struct
from kubetree.apiserver.authentication.user import CREDENTIAL_ID, User

Object = dict[str, Any]
_ESCAPED = {"__dot__": ".", "__dash__": "-", "__slash__": "/"}
_NOT_TEXTS = "expression must return a string or a list of strings"


class ClaimsRefused(Exception):
    """The claims make no user, or none that is welcome."""


class ClaimSource(NamedTuple):
    """Of a claim with a prefix, or of an expression; neither: not mapped."""

    claim: str = ""
    prefix: str = ""
    expression: str = ""


class Rule(NamedTuple):
    """A claimValidationRule or userValidationRule; `message` is for whoever it refuses."""

    expression: str
    message: str = ""


class Claims(dict[str, Any]):
    """Claims as expressions read them: `claims.foo__dot__bar` is the claim `foo.bar`, at any depth."""

    def __missing__(self, key: str) -> Any:
        plain = key
        for escaped, text in _ESCAPED.items():
            plain = plain.replace(escaped, text)
        plain = plain.replace("__underscores__", "__")
        if plain == key or not dict.__contains__(self, plain):
            raise KeyError(key)
        return self[plain]

    @classmethod
    def of(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return cls((key, cls.of(inner)) for key, inner in value.items())
        return [cls.of(inner) for inner in value] if isinstance(value, list) else value


@cache
def _claims_environment() -> Environment:
    return Environment({"claims": map_of(STRING, DYN)})


@cache
def _user_environment() -> Environment:
    texts = list_of(STRING)
    fields = {"username": STRING, "uid": STRING, "groups": texts, "extra": map_of(STRING, texts)}
    return Environment({"user": struct("kubernetes.UserInfo", fields)})


@dataclass(frozen=True, slots=True)
class ClaimMapper:
    """`build` makes one of a configuration."""

    username: ClaimSource
    groups: ClaimSource
    uid: ClaimSource
    required: dict[str, str]
    programs: dict[str, Program]
    """Of `username`, `groups` and `uid`, where they are expressions."""
    extra: tuple[tuple[str, Program], ...]
    rules: tuple[tuple[Rule, Program], ...]
    user_rules: tuple[tuple[Rule, Program], ...]

    @classmethod
    def build(
        cls,
        *,
        username: ClaimSource,
        groups: ClaimSource = ClaimSource(),
        uid: ClaimSource = ClaimSource(),
        extra: Sequence[tuple[str, str]] = (),
        required: dict[str, str] | None = None,
        rules: Sequence[Rule] = (),
        user_rules: Sequence[Rule] = (),
    ) -> tuple[ClaimMapper, list[str]]:
        """The mapper, and what is wrong with its expressions, each with its field path."""
        faults: list[str] = []

        def compiled(environment: Environment, expression: str, at: str, *, condition: bool = False) -> Program | None:
            try:
                program = environment.compile(expression)
            except CompileError as error:
                faults.append(f'{at}: Invalid value: "{expression}": compilation failed: {error}')
                return None
            if condition and program.result_type != BOOL:
                faults.append(f'{at}: Invalid value: "{expression}": must evaluate to bool')
                return None
            return program

        claims, user, at = _claims_environment(), _user_environment(), "claimMappings"
        checks = [
            (rule, compiled(claims, rule.expression, f"claimValidationRules[{i}].expression", condition=True))
            for i, rule in enumerate(rules)
        ]
        mappings = {"username": username, "groups": groups, "uid": uid}
        programs = {
            name: compiled(claims, mapping.expression, f"{at}.{name}.expression")
            for name, mapping in mappings.items()
            if mapping.expression
        }
        extras = [(key, compiled(claims, text, f"{at}.extra[{i}].valueExpression")) for i, (key, text) in enumerate(extra) if text]
        user_checks = [
            (rule, compiled(user, rule.expression, f"userValidationRules[{i}].expression", condition=True))
            for i, rule in enumerate(user_rules)
        ]
        if _uses(username.expression, "email"):
            others = [username.expression, *(text for _, text in extra), *(rule.expression for rule in rules)]
            if not any(_uses(text, "email_verified") for text in others):
                faults.append(f'{at}.username.expression: Invalid value: "{username.expression}": {_EMAIL_UNVERIFIED}')
        mapper = cls(
            username,
            groups,
            uid,
            required or {},
            {name: program for name, program in programs.items() if program is not None},
            tuple((key, program) for key, program in extras if program is not None),
            tuple((rule, program) for rule, program in checks if program is not None),
            tuple((rule, program) for rule, program in user_checks if program is not None),
        )
        return mapper, faults

    def user(self, claims: Object) -> User:
        """Raises ClaimsRefused, in upstream's wording."""
        variables = {"claims": Claims.of(claims)}
        user = User(
            self._username(claims, variables), self._uid(claims, variables), self._groups(claims, variables), self._extra(claims, variables)
        )
        self._check_required(claims)
        _check_rules(self.rules, variables, "claim validation expression")
        if self.user_rules:
            info = {
                "username": user.name,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": Claims.of({key: list(values) for key, values in user.extra.items()}),
            }
            _check_rules(self.user_rules, {"user": info}, "user info validation rule")
        return user

    def _username(self, claims: Object, variables: Object) -> str:
        program = self.programs.get("username")
        if program is not None:
            name = _evaluated(program, variables, "oidc: error evaluating username claim expression: ")
            if not isinstance(name, str):
                raise ClaimsRefused("oidc: error evaluating username claim expression: username claim expression must return a string")
            if not name:
                raise ClaimsRefused("oidc: empty username via CEL expression is not allowed")
            return name
        claim = self.username.claim
        name = _text(claims, claim, f'oidc: parse username claims "{claim}"')
        if claim == "email" and "email_verified" in claims:
            verified = claims["email_verified"]
            if not isinstance(verified, bool):
                raise ClaimsRefused(f"oidc: parse 'email_verified' claim: {_cannot(verified, 'bool')}")
            if not verified:
                raise ClaimsRefused("oidc: email not verified")
        return self.username.prefix + name

    def _uid(self, claims: Object, variables: Object) -> str:
        program = self.programs.get("uid")
        if program is not None:
            uid = _evaluated(program, variables, "oidc: error evaluating uid claim expression: ")
            if not isinstance(uid, str):
                raise ClaimsRefused("oidc: error evaluating uid claim expression: uid claim expression must return a string")
            return uid
        return _text(claims, self.uid.claim, f'oidc: parse uid claim "{self.uid.claim}"') if self.uid.claim else ""

    def _groups(self, claims: Object, variables: Object) -> tuple[str, ...]:
        program, claim = self.programs.get("groups"), self.groups.claim
        if program is not None:
            prefix = "oidc: error evaluating group claim expression: "
            return _texts(_evaluated(program, variables, prefix), prefix)
        if not claim or claim not in claims:
            return ()
        value = claims[claim]
        groups = [value] if isinstance(value, str) else value
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise ClaimsRefused(f'oidc: parse groups claim "{claim}": {_cannot(value, "string")}')
        return tuple(self.groups.prefix + group for group in groups)

    def _extra(self, claims: Object, variables: Object) -> dict[str, tuple[str, ...]]:
        extra: dict[str, tuple[str, ...]] = {}
        if isinstance(claims.get("jti"), str):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        for key, program in self.extra:
            prefix = "oidc: error evaluating extra claim expression: "
            values = _texts(_evaluated(program, variables, ""), f"{prefix}{program.expression}: ")
            if values:
                extra[key] = values
        return extra

    def _check_required(self, claims: Object) -> None:
        for claim, wanted in self.required.items():
            if claim not in claims:
                raise ClaimsRefused(f"oidc: required claim {claim} not present in ID token")
            value = _text(claims, claim, f"oidc: parse claim {claim}")
            if value != wanted:
                raise ClaimsRefused(f"oidc: required claim {claim} value does not match. Got = {value}, want = {wanted}")


_EMAIL_UNVERIFIED = (
    "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or "
    "claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression"
)


def _uses(expression: str, claim: str) -> bool:
    """Whether an expression selects the claim: `claims.email` or `claims.?email`. False for one that cannot be parsed."""
    try:
        tree = parse(expression)[0]
    except CompileError:
        return False
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        match node:
            case Select(operand=Ident(name="claims"), field=field) if field == claim:
                return True
            case Call(function="_?._", args=[Ident(name="claims"), Literal(value=field)]) if field == claim:
                return True
        waiting += children(node)
    return False


def _check_rules(rules: Sequence[tuple[Rule, Program]], variables: Object, what: str) -> None:
    prefix = f"oidc: error evaluating {what}: "
    for rule, program in rules:
        if not _evaluated(program, variables, prefix):
            raise ClaimsRefused(f"{prefix}validation expression '{rule.expression}' failed: {rule.message}")


def _evaluated(program: Program, variables: Object, prefix: str) -> Any:
    try:
        return program.evaluate(variables)[0]
    except EvaluationError as error:
        raise ClaimsRefused(f"{prefix}expression '{program.expression}' resulted in error: {error}") from None


def _texts(value: Any, prefix: str) -> tuple[str, ...]:
    """A string or a list of strings; empty ones count as not there."""
    values = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(values, list | tuple) or not all(isinstance(text, str) for text in values):
        raise ClaimsRefused(f"{prefix}{_NOT_TEXTS}")
    return tuple(text for text in values if text)


def _text(claims: Object, claim: str, prefix: str) -> str:
    if claim not in claims:
        raise ClaimsRefused(f"{prefix}: claim not present")
    value = claims[claim]
    if not isinstance(value, str):
        raise ClaimsRefused(f"{prefix}: {_cannot(value, 'string')}")
    return value


def _cannot(value: Any, wanted: str) -> str:
    """Go's complaint about a JSON value of another type."""
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return f"json: cannot unmarshal {names.get(type(value), 'null')} into Go value of type {wanted}"
