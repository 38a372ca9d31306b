"""The scale subresource of a custom resource: where its replicas and its selector are, by simple paths."""

from __future__ import annotations

from functools import cache
from typing import Any

from kubetree.api.custom_resources.columns import Columns, age_column, go_text
from kubetree.api.validation.errors import Errors, invalid

Object = dict[str, Any]
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_MOST = 2**31 - 1
_ABSENT = object()


@cache
def scale_columns() -> Columns:
    """What a Table shows of the Scale of a custom resource."""
    desired = {"name": "Desired", "type": "integer", "description": "Number of desired replicas", "jsonPath": ".spec.replicas"}
    actual = {"name": "Available", "type": "integer", "description": "Number of actual replicas", "jsonPath": ".status.replicas"}
    return Columns([desired, actual, age_column()])


class ScalePaths:
    """`spec.versions[*].subresources.scale`."""

    def __init__(self, scale: Object) -> None:
        self.spec: str = scale.get("specReplicasPath") or ""
        self.status: str = scale.get("statusReplicasPath") or ""
        self.selector: str = scale.get("labelSelectorPath") or ""

    def scale_of(self, obj: Object, absent: int | None = None) -> Object:
        """autoscaling/v1 Scale. Raises ValueError when replicas are no number, and when there are none unless `absent` stands for them."""
        wanted = self._integer(obj, self.spec)
        if wanted is None:
            wanted = absent
        if wanted is None:
            raise ValueError(f"the spec replicas field {quoted(self.spec)} does not exist")
        found = self._integer(obj, self.status) or 0
        selector = _at(obj, self.selector) if self.selector else _ABSENT
        metadata = {k: obj["metadata"][k] for k in _KEPT if k in obj["metadata"]}
        status: Object = {"replicas": found}
        if isinstance(selector, str) and selector:
            status["selector"] = selector
        spec = {"replicas": wanted} if wanted else {}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}

    def set_replicas(self, obj: Object, replicas: int) -> None:
        """In place. Raises ValueError when something that is no object is in the way."""
        *parents, last = self.spec.removeprefix(".").split(".")
        at: Any = obj
        for name in parents:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise ValueError(f"value cannot be set because {self.spec} is not a map[string]interface{{}}")
        at[last] = replicas

    def _integer(self, obj: Object, path: str) -> int | None:
        value = _at(obj, path)
        if value is _ABSENT:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(_accessor(path, value, "int64"))
        return value

    def validate_spec(self, errs: Errors, obj: Object) -> None:
        self._replicas(errs, obj, self.spec)

    def validate_status(self, errs: Errors, obj: Object) -> None:
        self._replicas(errs, obj, self.status)
        if self.selector:
            value = _at(obj, self.selector)
            if value is not _ABSENT and not isinstance(value, str):
                errs.append(invalid(self.selector, "", _accessor(self.selector, value, "string")))

    def _replicas(self, errs: Errors, obj: Object, path: str) -> None:
        try:
            value = self._integer(obj, path) or 0
        except ValueError as error:
            errs.append(invalid(path, 0, str(error)))
            return
        if value < 0:
            errs.append(invalid(path, value, "should be a non-negative integer"))
        elif value > _MOST:
            errs.append(invalid(path, value, f"should be less than or equal to {_MOST}"))


def quoted(path: str) -> str:
    return f'"{path}"'


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.removeprefix(".").split("."):
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


_GO_TYPES = {str: "string", int: "int64", float: "float64", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}


def _accessor(path: str, value: Any, wanted: str) -> str:
    found = _GO_TYPES.get(type(value), "<nil>")
    return f"{path} accessor error: {go_text(value)} is of the type {found}, expected {wanted}"
