"""What `kubectl get` shows of a custom resource: its name and the columns of its definition. Follows apiextensions' tableconvertor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from kubetree.api.custom_resources.json_path import compile_path
from kubetree.api.printers.text import since
from kubetree.api.schema import definitions as d

Object = dict[str, Any]
Cell = Callable[[Any, datetime], Any]


def _described(field: str) -> str:
    text: str = d.definitions()[d.OBJECT_META]["properties"][field].get("description") or ""
    return text


def age_column() -> Object:
    return {"name": "Age", "type": "date", "description": _described("creationTimestamp"), "jsonPath": ".metadata.creationTimestamp"}


class Columns:
    """`definitions` are metav1.TableColumnDefinitions, the name's first. A column whose path is none makes all but the name go."""

    def __init__(self, columns: list[Object] | None) -> None:
        if not columns:
            columns = [age_column()]
        self.definitions: list[Object] = [
            {"name": "Name", "type": "string", "format": "name", "description": _described("name"), "priority": 0}
        ]
        self._cells: list[tuple[Callable[[Any], list[Any]], Cell]] = []
        for column in columns:
            path = column.get("jsonPath") or ""
            try:
                find = compile_path(path)
            except ValueError:
                return
            self._cells.append((find, _CELLS.get(column.get("type") or "", _nothing)))
            self.definitions.append(
                {
                    "name": column.get("name") or "",
                    "type": column.get("type") or "",
                    "format": column.get("format") or "",
                    "description": column.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
                    "priority": column.get("priority") or 0,
                }
            )

    def cells(self, obj: Mapping[str, Any], now: datetime) -> list[Any]:
        """One row; null where a path finds nothing or something of another type."""
        out: list[Any] = [obj["metadata"].get("name") or ""]
        for find, cell in self._cells:
            found = find(obj)
            out.append(cell(found[0], now) if found else None)
        return out


def go_text(value: Any) -> str:
    """A scalar as Go prints it with %v, anything else as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if isinstance(value, float):
        return repr(value) if 1e-4 <= abs(value) < 1e21 or value == 0 else f"{value:e}"
    return "<nil>" if value is None else str(value)


def _nothing(value: Any, now: datetime) -> Any:
    return None


def _string(value: Any, now: datetime) -> Any:
    return None if value is None else go_text(value)


def _integer(value: Any, now: datetime) -> Any:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number(value: Any, now: datetime) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _boolean(value: Any, now: datetime) -> Any:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> Any:
    if not isinstance(value, str):
        return None
    try:
        return since(value, now)
    except ValueError:
        return "<invalid>"


_CELLS: dict[str, Cell] = {"string": _string, "integer": _integer, "number": _number, "boolean": _boolean, "date": _date}
