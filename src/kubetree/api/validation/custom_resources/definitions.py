"""CustomResourceDefinition: group, names, versions, conversion, columns, subresources.

What all versions have in common upstream moves to the top level before it looks, and so field paths tell of `spec.validation`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from kubetree.api.custom_resources.field_paths import field_path
from kubetree.api.objects import has_condition
from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.custom_resources.schemas import schema
from kubetree.api.validation.errors import Errors, Object, duplicate, forbidden, invalid, one_of, quote, required, too_many
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_1035_label, dns_subdomain
from kubetree.api.validation.webhooks import ca_bundle_problem, webhook_service, webhook_url

Thing = dict[str, Any]
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_MOST_SELECTABLE = 8
_APPROVED = "api-approved.kubernetes.io"
_APPROVAL = "see https://github.com/kubernetes/enhancements/pull/1111"
_PER_VERSION = (
    ("schema", "validation"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
)


def create(errs: Errors, obj: Thing) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    if name and name != f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}":
        errs.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    _spec(errs, spec, keep_unknown=False)
    _stored(errs, obj)
    _approval(errs, obj, None)


def update(errs: Errors, new: Thing, old: Thing) -> None:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    names, old_names = spec.get("names") or {}, before.get("names") or {}
    if not semantic_equal(spec, before):
        _spec(errs, spec, keep_unknown=bool(before.get("preserveUnknownFields")), unchanged=_unchanged_schemas(spec, before))
        if has_condition(old, "Established") and not distrusted(before):
            _ca_bundle(errs, spec)
    if has_condition(old, "Established"):
        immutable(errs, spec.get("scope"), before.get("scope"), "spec.scope")
        immutable(errs, names.get("kind"), old_names.get("kind"), "spec.names.kind")
    immutable(errs, spec.get("group"), before.get("group"), "spec.group")
    immutable(errs, names.get("plural"), old_names.get("plural"), "spec.names.plural")
    _stored(errs, new)
    _approval(errs, new, old)


def status(errs: Errors, new: Thing, old: Thing) -> None:
    _names(errs, (new.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")


def _unchanged_schemas(spec: Object, before: Object) -> frozenset[str]:
    """The versions whose schema is what it was."""
    old = {version.get("name"): version.get("schema") for version in before.get("versions") or ()}
    new = {version.get("name"): version.get("schema") for version in spec.get("versions") or ()}
    return frozenset(name for name, found in new.items() if name in old and semantic_equal(found, old[name]))


def _spec(errs: Errors, spec: Object, *, keep_unknown: bool, unchanged: frozenset[str] = frozenset()) -> None:
    group, scope, versions = spec.get("group") or "", spec.get("scope") or "", spec.get("versions") or []
    if not group:
        errs.append(required("spec.group"))
    elif bad := dns_subdomain(group):
        errs.append(invalid("spec.group", group, ",".join(bad)))
    elif "." not in group:
        errs.append(invalid("spec.group", group, "should be a domain with at least one dot"))
    one_of(errs, scope, ("Cluster", "Namespaced"), "spec.scope")
    common = _common(versions)
    _schemas_present(errs, versions, "schema" in common)
    if spec.get("preserveUnknownFields") and _has_defaults([v.get("schema") for v in versions]):
        errs.append(invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema"))
    status_enabled = [(v.get("subresources") or {}).get("status") is not None for v in versions]
    for i, version in enumerate(versions):
        at, name = f"spec.versions[{i}]", version.get("name") or ""
        if bad := dns_1035_label(name):
            errs.append(invalid(f"{at}.name", name, ",".join(bad)))
        _deprecation(errs, version, at)
        own = {field: version.get(field) for field, _ in _PER_VERSION if field not in common}
        _parts(errs, own, at, "schema", status_enabled[i], version.get("schema"), unchanged=name in unchanged)
    names_seen = [v.get("name") for v in versions]
    own_parts = [{k: v for k, v in version.items() if k not in common} for version in versions]
    shown = go_struct("apiextensions.CustomResourceDefinitionVersion", own_parts if spec.get("versions") is not None else None)
    if len(set(names_seen)) != len(names_seen):
        errs.append(invalid("spec.versions", shown, "must contain unique version names"))
    if sum(bool(v.get("storage")) for v in versions) != 1:
        errs.append(invalid("spec.versions", shown, "must have exactly one version marked as storage version"))
    first = names_seen[0] if names_seen else ""
    if first and (bad := dns_1035_label(first)):
        errs.append(invalid("spec.version", first, ",".join(bad)))  # of the oldest form, where the first version stood alone
    names = spec.get("names") or {}
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            errs.append(required(f"spec.names.{field}"))
    _names(errs, names, "spec.names")
    alike = all(version.get("name") in unchanged for version in versions)
    _parts(errs, common, "spec", "validation", any(status_enabled), common.get("schema"), unchanged=alike)
    _conversion(errs, spec.get("conversion"), bool(spec.get("preserveUnknownFields")))
    if spec.get("preserveUnknownFields") and not keep_unknown:
        detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errs.append(invalid("spec.preserveUnknownFields", True, detail))


def _common(versions: list[Thing]) -> Thing:
    """What every version has alike."""
    if not versions:
        return {}
    first = versions[0]
    return {
        field: first[field]
        for field, _ in _PER_VERSION
        if first.get(field) is not None and all(semantic_equal(v.get(field), first[field]) for v in versions[1:])
    }


def _schemas_present(errs: Errors, versions: list[Thing], common: bool) -> None:
    if common and (versions[0]["schema"] or {}).get("openAPIV3Schema") is not None:
        return
    for i, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None or common:
            errs.append(required(f"spec.versions[{i}].schema.openAPIV3Schema"))


def _has_defaults(node: Any) -> bool:
    if isinstance(node, list):
        return any(_has_defaults(item) for item in node)
    if not isinstance(node, dict):
        return False
    return "default" in node or any(_has_defaults(value) for value in node.values())


def _deprecation(errs: Errors, version: Object, path: str) -> None:
    text = version.get("deprecationWarning")
    if text is None:
        return
    at, problems = f"{path}.deprecationWarning", []
    if not version.get("deprecated"):
        errs.append(invalid(at, text, "can only be set for deprecated versions"))
        return
    if len(text.encode()) > 256:
        problems.append("must be <= 256 characters long")
    if not text:
        problems.append("must not be an empty string")
    for i, character in enumerate(text):
        if not character.isprintable():
            index = len(text[:i].encode())
            problems.append(f"must only contain printable UTF-8 characters; non-printable character found at index {index}")
            break
    errs.extend(invalid(at, text, problem) for problem in problems)


def _parts(errs: Errors, parts: Object, path: str, word: str, has_status: bool, found: Object | None, *, unchanged: bool = False) -> None:
    """Schema, subresources, columns and selectable fields of a version or of all versions."""
    root = (found or {}).get("openAPIV3Schema")
    if (parts.get("schema") or {}).get("openAPIV3Schema") is not None:
        schema(errs, parts["schema"]["openAPIV3Schema"], f"{path}.{word}.openAPIV3Schema", has_status=has_status, unchanged=unchanged)
    scale = (parts.get("subresources") or {}).get("scale")
    if scale is not None:
        _scale(errs, scale, f"{path}.subresources")
    for i, column in enumerate(parts.get("additionalPrinterColumns") or ()):
        _column(errs, column, f"{path}.additionalPrinterColumns[{i}]")
    fields = parts.get("selectableFields")
    if fields:
        _selectable(errs, fields, root or {}, f"{path}.selectableFields")


def _json_path(errs: Errors, text: str, path: str) -> bool:
    if text.startswith("."):
        return True
    errs.append(invalid(path, text, "must be a simple json path starting with ."))
    return False


def _scale(errs: Errors, scale: Object, path: str) -> None:
    for field, prefix in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        text, at = scale.get(field) or "", f"{path}.scale.{field}"
        if not text:
            errs.append(required(at))
        elif _json_path(errs, text, at) and not text.startswith(prefix):
            errs.append(invalid(at, text, f"should be a json path under {prefix[:-1]}"))
    text, at = scale.get("labelSelectorPath") or "", f"{path}.scale.labelSelectorPath"
    if text and _json_path(errs, text, at) and not text.startswith((".spec.", ".status.")):
        errs.append(invalid(at, text, "should be a json path under either .spec or .status"))


def _column(errs: Errors, column: Object, path: str) -> None:
    sort, form, where = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    if not column.get("name"):
        errs.append(required(f"{path}.name"))
    if not sort:
        errs.append(required(f"{path}.type", f"must be one of {','.join(_COLUMN_TYPES)}"))
    elif sort not in _COLUMN_TYPES:
        errs.append(invalid(f"{path}.type", sort, f"must be one of {','.join(_COLUMN_TYPES)}"))
    if form and form not in _COLUMN_FORMATS:
        errs.append(invalid(f"{path}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
    if not where:
        errs.append(required(f"{path}.JSONPath"))
    else:
        _json_path(errs, where, f"{path}.JSONPath")


def _selectable(errs: Errors, fields: list[Object], root: Object, path: str) -> None:
    seen: set[str] = set()
    for i, field in enumerate(fields):
        text, at = field.get("jsonPath") or "", f"{path}[{i}].jsonPath"
        if not text:
            errs.append(required(at))
            continue
        found, problem = _follow(text, root)
        if problem:
            errs.append(invalid(at, text, f"is an invalid path: {problem}"))
            continue
        if text.split(".")[1] == "metadata":
            errs.append(invalid(at, text, "must not point to fields in metadata"))
        if found.get("type") not in ("string", "boolean", "integer"):
            detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            errs.append(invalid(at, text, detail))
        if text in seen:
            errs.append(duplicate(at, text))
        seen.add(text)
    if len(seen) > _MOST_SELECTABLE:
        errs.append(too_many(path, len(seen), _MOST_SELECTABLE))


def _follow(text: str, root: Object) -> tuple[Object, str]:
    """The schema of a field, or why there is none."""
    try:
        return field_path(text, dict(root), brackets=False)[1], ""
    except ValueError as error:
        return {}, str(error)


def _names(errs: Errors, names: Object, path: str) -> None:
    for field in ("plural", "singular"):
        value = names.get(field)
        if value and (bad := dns_1035_label(value)):
            errs.append(invalid(f"{path}.{field}", value, ",".join(bad)))
    for field in ("kind", "listKind"):
        value = names.get(field)
        if value and (bad := dns_1035_label(value.lower())):
            errs.append(invalid(f"{path}.{field}", value, f"may have mixed case, but should otherwise match: {','.join(bad)}"))
    for i, value in enumerate(names.get("shortNames") or ()):
        if bad := dns_1035_label(value):
            errs.append(invalid(f"{path}.shortNames[{i}]", value, ",".join(bad)))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        errs.append(invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same"))
    for i, value in enumerate(names.get("categories") or ()):
        if bad := dns_1035_label(value):
            errs.append(invalid(f"{path}.categories[{i}]", value, ",".join(bad)))


def _conversion(errs: Errors, conversion: Object | None, unknown: bool) -> None:
    if conversion is None:
        return
    path, strategy, hook = "spec.conversion", conversion.get("strategy") or "", conversion.get("webhook")
    if unknown and strategy != "None":
        errs.append(invalid(f"{path}.strategy", strategy, "must be None if spec.preserveUnknownFields is true"))
    one_of(errs, strategy, ("None", "Webhook"), f"{path}.strategy")
    config, versions = (hook or {}).get("clientConfig"), (hook or {}).get("conversionReviewVersions") or []
    if strategy != "Webhook":
        detail = "should not be set when strategy is not set to Webhook"
        if config is not None:
            errs.append(forbidden(f"{path}.webhookClientConfig", detail))
        if versions:
            errs.append(forbidden(f"{path}.conversionReviewVersions", detail))
        return
    if config is None:
        errs.append(required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    elif (config.get("url") is None) == (config.get("service") is None):
        errs.append(required(f"{path}.webhookClientConfig", "exactly one of url or service is required"))
    elif config.get("url") is not None:
        webhook_url(errs, config["url"], f"{path}.webhookClientConfig.url")
    else:
        webhook_service(errs, config["service"], f"{path}.webhookClientConfig.service")
    _review_versions(errs, versions, f"{path}.conversionReviewVersions")


def distrusted(spec: Object) -> str:
    """Why no conversion webhook can be called by the `caBundle` of a definition; '' when there is nothing wrong with it."""
    config = ((spec.get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {}
    return ca_bundle_problem(config.get("caBundle") or "")


def _ca_bundle(errs: Errors, spec: Object) -> None:
    """Until a definition is established its bundle may be anything, so that it can be filled in later."""
    conversion = spec.get("conversion") or {}
    problem = distrusted(spec) if conversion.get("strategy") == "Webhook" else ""
    if problem:
        errs.append(invalid("spec.conversion.webhookClientConfig.caBundle", conversion["webhook"]["clientConfig"]["caBundle"], problem))


def _review_versions(errs: Errors, versions: list[str], path: str) -> None:
    if not versions:
        errs.append(required(path))
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errs.append(invalid(f"{path}[{i}]", version, "duplicate version"))
            continue
        errs.extend(invalid(f"{path}[{i}]", version, message) for message in dns_1035_label(version))
    if not {"v1", "v1beta1"} & set(versions):
        errs.append(invalid(path, versions, "must include at least one of v1, v1beta1"))


def _stored(errs: Errors, obj: Thing) -> None:
    """Versions that objects may be stored in must stay until nothing is stored in them."""
    stored: list[str] = (obj.get("status") or {}).get("storedVersions") or []
    versions = (obj.get("spec") or {}).get("versions") or ()
    if not stored:
        errs.append(invalid("status.storedVersions", None, "must have at least one stored version"))
        return
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            errs.append(invalid("status.storedVersions", stored, f"must have the storage version {version.get('name')}"))
    served = {version.get("name") for version in versions}
    for i, name in enumerate(stored):
        if name not in served:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage "
                f"migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )
            errs.append(invalid(f"status.storedVersions[{i}]", name, detail))


def is_protected(group: str) -> bool:
    """Whether a group belongs to the Kubernetes project."""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def approval_state(obj: Thing) -> tuple[str, str]:
    """("missing", "bypassed", "approved" or "invalid", why) by the annotation that protected groups must have."""
    text = (obj["metadata"].get("annotations") or {}).get(_APPROVED) or ""
    if not text:
        return "missing", f"protected groups must have approval annotation {quote(_APPROVED)}, {_APPROVAL}"
    if text.startswith("unapproved"):
        return "bypassed", f"not approved: {quote(text)}"
    url = urlsplit(text)
    if url.scheme and url.netloc:
        return "approved", f"approved in {text}"
    wanted = 'with either a URL or a reason starting with "unapproved"'
    return "invalid", f"protected groups must have approval annotation {quote(_APPROVED)} {wanted}, {_APPROVAL}"


def _approval(errs: Errors, new: Thing, old: Thing | None) -> None:
    """Groups of the project itself are not for everyone."""
    group = (new.get("spec") or {}).get("group") or ""
    if not is_protected(group):
        return
    state, reason = approval_state(new)
    if old is not None and approval_state(old)[0] == state:
        return
    path = f"metadata.annotations[{_APPROVED}]"
    if state == "missing":
        errs.append(required(path, reason))
    elif state == "invalid":
        errs.append(invalid(path, new["metadata"]["annotations"][_APPROVED], reason))
