"""Whole objects inside of custom resources (`x-kubernetes-embedded-resource`): their metadata is ObjectMeta, like the outer one's."""

from __future__ import annotations

from typing import Any

from kubetree.api.custom_resources.pruning import Report
from kubetree.api.custom_resources.structure import Node
from kubetree.api.schema.decode import object_meta, stored_object_meta
from kubetree.api.validation.errors import Errors, invalid, render, required
from kubetree.api.validation.metadata import object_meta as validate_object_meta
from kubetree.api.validation.names import dns_1035_label, path_segment


def coerce_embedded(value: Any, node: Node, report: Report, path: str = "", *, drop: bool = False) -> None:
    """Brings embedded metadata to ObjectMeta's form in place; unknown fields go, with a report.

    Raises ValueError for fields of a wrong type, or leaves those out where `drop` says so (objects from the store).
    """
    if not node.below_embedded:
        return
    if isinstance(value, dict):
        if node.embedded:
            _coerce(value, report, path, drop)
        for name, item in value.items():
            child = node.child(name)
            if child is not None and child.below_embedded:
                coerce_embedded(item, child, report, f"{path}.{name}" if path else name, drop=drop)
    elif isinstance(value, list) and node.items is not None:
        for i, item in enumerate(value):
            coerce_embedded(item, node.items, report, f"{path}[{i}]", drop=drop)


def _coerce(value: dict[str, Any], report: Report, path: str, drop: bool) -> None:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            if not drop:
                raise _refused(f"{path}.{name}", value[name], "must be a string")
            del value[name]
    if "metadata" not in value:
        return
    if drop:
        value["metadata"] = stored_object_meta(value["metadata"])
    else:
        found, unknown, wrong = object_meta(value["metadata"], f"{path}.metadata")
        if wrong:
            raise _refused(f"{path}.metadata", value["metadata"], wrong)
        for name in unknown:
            report(name)
        value["metadata"] = found


def _refused(path: str, value: Any, detail: str) -> ValueError:
    return ValueError(f"{path}: Invalid value: {render(value)}: {detail}")


def validate_embedded(errs: Errors, value: Any, node: Node, path: str = "") -> None:
    """Embedded objects must say what they are, and have metadata that could be an object's."""
    if not node.below_embedded:
        return
    if isinstance(value, dict):
        if node.embedded:
            _validate(errs, value, path)
        for name, item in value.items():
            child = node.properties.get(name)
            if child is not None:
                if child.below_embedded:
                    validate_embedded(errs, item, child, f"{path}.{name}" if path else name)
            elif isinstance(node.additional, Node) and node.additional.below_embedded:
                validate_embedded(errs, item, node.additional, f"{path}[{name}]")
    elif isinstance(value, list) and node.items is not None:
        for i, item in enumerate(value):
            validate_embedded(errs, item, node.items, f"{path}[{i}]")


def _validate(errs: Errors, value: dict[str, Any], path: str) -> None:
    for name in ("apiVersion", "kind"):
        at = f"{path}.{name}"
        if name not in value:
            errs.append(required(at))
            continue
        text = value[name]
        if not isinstance(text, str):
            errs.append(invalid(at, text, "must be a string"))
        elif not text:
            errs.append(invalid(at, text, "must not be empty"))
        elif name == "apiVersion" and text.count("/") > 1:
            errs.append(invalid(at, text, f"unexpected GroupVersion string: {text}"))
        elif name == "kind" and (bad := dns_1035_label(text.lower())):
            errs.append(invalid(at, text, "may have mixed case, but should otherwise match: " + ",".join(bad)))
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = metadata if metadata.get("name") else {**metadata, "name": "fakename"}
        validate_object_meta(errs, named, bool(metadata.get("namespace")), path_segment, f"{path}.metadata")
