"""ObjectMeta, which every object has: names, labels, annotations, owners, finalizers, and what of it may never change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, quote, required, too_long
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.names import NameRule, dns_label, label_key, label_value, regex_message

IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"
ANNOTATIONS_LIMIT = 256 * 1024
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_CONDITION_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_match_reason = re.compile(_CONDITION_REASON).fullmatch


def labels(errs: Errors, values: Mapping[str, str] | None, path: str) -> None:
    """Keys and values of a set of labels."""
    for key, value in (values or {}).items():
        bad = label_key(key)
        if bad:
            each(errs, path, key, bad)
        bad = label_value(value)
        if bad:
            each(errs, path, value, bad)


def annotation_map(errs: Errors, values: Mapping[str, str] | None, path: str) -> None:
    """Keys of annotations, and the size of all together."""
    if not values:
        return
    size = 0
    for key, value in values.items():
        bad = label_key(key if key.islower() else key.lower())
        if bad:
            each(errs, path, key, bad)
        size += len(key) + len(value)
    if size > ANNOTATIONS_LIMIT // 4 and sum(len(k.encode()) + len(v.encode()) for k, v in values.items()) > ANNOTATIONS_LIMIT:
        errs.append(too_long(path, ANNOTATIONS_LIMIT))


def _owner_references(errs: Errors, owners: list[Object], path: str) -> None:
    controller = ""
    for owner in owners:
        version, kind = owner.get("apiVersion") or "", owner.get("kind") or ""
        if not version or version.endswith("/"):
            errs.append(invalid(f"{path}.apiVersion", version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                errs.append(invalid(f"{path}.{name}", "", "must not be empty"))
        if version == "v1" and kind == "Event":
            errs.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            name = f"{kind}/{owner.get('name')}"
            if controller:
                detail = f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {name}'
                errs.append(invalid(path, owners, detail))
            else:
                controller = name


def finalizer_name(errs: Errors, name: str, path: str) -> None:
    if "/" not in name and name not in STANDARD_FINALIZERS:
        errs.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))


def _finalizers(errs: Errors, names: list[str], path: str) -> None:
    for name in names:
        each(errs, path, name, label_key(name))
    if "orphan" in names and "foregroundDeletion" in names:
        errs.append(invalid(path, names, "finalizer orphan and foregroundDeletion cannot be both set"))


def field_manager(errs: Errors, name: str, path: str) -> None:
    """The name of who applies: also for the query parameter fieldManager."""
    if len(name) > 128:
        errs.append(too_long(path, 128))
    for position, char in enumerate("" if name.isprintable() else name):
        if not char.isprintable():
            errs.append(invalid(path, name, f"invalid character U+{ord(char):04X} (at position {position})"))


def _managed_fields(errs: Errors, entries: list[Object], path: str) -> None:
    for i, entry in enumerate(entries):
        at = f"{path}[{i}]"
        if entry.get("operation") not in ("Apply", "Update"):
            errs.append(invalid(f"{at}.operation", entry.get("operation") or "", "must be `Apply` or `Update`"))
        if entry.get("fieldsType") not in (None, "", "FieldsV1"):
            errs.append(invalid(f"{at}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        field_manager(errs, entry.get("manager") or "", f"{at}.manager")
        if len(entry.get("subresource") or "") > 256:
            errs.append(too_long(f"{at}.subresource", 256))


def _parts(errs: Errors, meta: Object, path: str) -> None:
    """What is checked on creation and on update alike."""
    if meta.get("labels"):
        labels(errs, meta["labels"], f"{path}.labels")
    if meta.get("annotations"):
        annotation_map(errs, meta["annotations"], f"{path}.annotations")
    if meta.get("ownerReferences"):
        _owner_references(errs, meta["ownerReferences"], f"{path}.ownerReferences")
    if meta.get("managedFields"):
        _managed_fields(errs, meta["managedFields"], f"{path}.managedFields")


def _masked(prefix: str) -> str:
    """A generateName may end in a dash, since more follows."""
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def object_meta(
    errs: Errors, meta: Object, namespaced: bool, rule: NameRule, path: str = "metadata", prefix_rule: NameRule | None = None
) -> None:
    """A new object's metadata; `rule` is the format of the kind's names, `prefix_rule` that of generateName where that is another."""
    prefix, name, namespace = meta.get("generateName"), meta.get("name"), meta.get("namespace")
    if prefix:
        each(errs, f"{path}.generateName", prefix, (prefix_rule or rule)(_masked(prefix)))
    if not name:
        errs.append(required(f"{path}.name", "name or generateName is required"))
    else:
        bad = rule(name)
        if bad:
            each(errs, f"{path}.name", name, bad)
    if namespaced:
        if not namespace:
            errs.append(required(f"{path}.namespace"))
        else:
            bad = dns_label(namespace)
            if bad:
                each(errs, f"{path}.namespace", namespace, bad)
    elif namespace:
        errs.append(forbidden(f"{path}.namespace", "not allowed on this type"))
    if (meta.get("generation") or 0) < 0:
        errs.append(invalid(f"{path}.generation", meta["generation"], NEGATIVE))
    _parts(errs, meta, path)
    finalizers = meta.get("finalizers")
    if finalizers:
        _finalizers(errs, finalizers, f"{path}.finalizers")


def builtin_finalizers(errs: Errors, meta: Object) -> None:
    """Finalizers of built-in kinds are qualified or standard; custom resources are free."""
    for i, name in enumerate(meta.get("finalizers") or ()):
        finalizer_name(errs, name, f"metadata.finalizers[{i}]")


_UNCHANGING = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def object_meta_update(errs: Errors, new: Object, old: Object, path: str = "metadata") -> None:
    """Whether metadata may become `new`. A missing resourceVersion must have been filled in or refused before."""
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if extra:
            shown = ", ".join(quote(name) for name in extra)
            detail = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
            errs.append(forbidden(f"{path}.finalizers", detail))
    if not new.get("resourceVersion"):
        errs.append(invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        errs.append(invalid(f"{path}.generation", new.get("generation") or 0, "must not be decremented"))
    for name in _UNCHANGING:
        if new.get(name) != old.get(name):
            value = new.get(name)
            if value is None and name in ("name", "namespace", "uid"):
                value = ""
            if name != "creationTimestamp" or old.get(name):
                errs.append(invalid(f"{path}.{name}", value, IMMUTABLE))
    _parts(errs, new, path)
    if new.get("finalizers"):
        _finalizers(errs, new["finalizers"], f"{path}.finalizers")


def immutable(errs: Errors, new: Any, old: Any, path: str, shown: Any = None, *, struct: str = "") -> None:
    """The field may not change; `shown` is the value to print where it is not `new`, `struct` the Go type to print it as."""
    if not semantic_equal(new, old):
        value = new if shown is None else shown
        errs.append(invalid(path, go_struct(struct, value) if struct else value, IMMUTABLE))


def nonnegative(errs: Errors, value: int | None, path: str) -> None:
    if value is not None and value < 0:
        errs.append(invalid(path, value, NEGATIVE))


def nonnegative_fields(errs: Errors, parent: Object, path: str, *names: str) -> None:
    for name in names:
        value = parent.get(name)
        if value is not None and value < 0:
            errs.append(invalid(f"{path}.{name}", value, NEGATIVE))


def label_name(errs: Errors, key: str, path: str) -> None:
    bad = label_key(key)
    if bad:
        each(errs, path, key, bad)


def label_selector(errs: Errors, selector: Object | None, path: str, *, any_value: bool = False) -> None:
    """metav1.LabelSelector; `any_value` lets values through that are no label values (kept for old objects)."""
    if not selector:
        return
    labels(errs, selector.get("matchLabels"), f"{path}.matchLabels")
    for i, requirement in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{i}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                errs.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                errs.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        else:
            errs.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
        label_name(errs, requirement.get("key") or "", f"{at}.key")
        if not any_value:
            for j, value in enumerate(values):
                each(errs, f"{at}.values[{j}]", value, label_value(value))


def conditions(errs: Errors, values: list[Object] | None, path: str) -> None:
    """A list of metav1.Condition."""
    seen: set[str] = set()
    for i, condition in enumerate(values or ()):
        at, kind = f"{path}[{i}]", condition.get("type") or ""
        if kind in seen:
            errs.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
        label_name(errs, kind, f"{at}.type")
        if condition.get("status") not in ("True", "False", "Unknown"):
            errs.append(not_supported(f"{at}.status", condition.get("status") or "", ("False", "True", "Unknown")))
        if (condition.get("observedGeneration") or 0) < 0:
            errs.append(invalid(f"{at}.observedGeneration", condition["observedGeneration"], "must be greater than or equal to zero"))
        if not condition.get("lastTransitionTime"):
            errs.append(required(f"{at}.lastTransitionTime"))
        reason = condition.get("reason") or ""
        if not reason:
            errs.append(required(f"{at}.reason"))
        else:
            if not _match_reason(reason):
                message = regex_message(
                    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters "
                    "or '_,:', and must end with an alphanumeric character or '_'",
                    _CONDITION_REASON, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB",
                )  # fmt: skip
                errs.append(invalid(f"{at}.reason", reason, message))
            if len(reason) > 1024:
                errs.append(too_long(f"{at}.reason", 1024))
        if len(condition.get("message") or "") > 32 * 1024:
            errs.append(too_long(f"{at}.message", 32 * 1024))
