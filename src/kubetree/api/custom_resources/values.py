"""Whether a value fits an OpenAPI v3 schema: a compiled yes or no for every write, and the words of kube-openapi where it is no.

`Values` is made once for a schema. `fits` is closures that answer true or false and make nothing; only when it says no, `faults` walks
again and tells what is wrong, as kube-openapi's validate does, oddities included: of several alternatives the one that fits best is told.
On an update, what was wrong before and has not changed is let through (ratcheting).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubetree.api.custom_resources.correlation import Correlated
from kubetree.api.custom_resources.formats import accepts, supported
from kubetree.api.custom_resources.readings import (
    all_different,
    equals_allowed,
    in_range,
    is_multiple,
    json_type,
    numbers_agree,
    type_passes,
)
from kubetree.api.go_regex import Regex, compiled
from kubetree.api.validation.errors import (
    INVALID,
    NOT_SUPPORTED,
    REQUIRED,
    TYPE_INVALID,
    FieldError,
    quote,
    too_long,
    too_many,
)  # fmt: skip

Schema = dict[str, Any]
Check = Callable[[Any], bool]


@dataclass(slots=True)
class _Result:
    """What was found, and how many checks were passed: by that the best of several alternatives is told."""

    errors: list[FieldError] = field(default_factory=list)
    matches: int = 0

    def merge(self, other: _Result) -> None:
        self.errors += other.errors
        self.matches += other.matches


class Values:
    """The compiled schema of one place. `types` are the accepted JSON types, none for any."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        either = bool(schema.get("x-kubernetes-int-or-string"))
        declared: str = schema.get("type") or ""
        self.types: tuple[str, ...] = ("integer", "string") if either else (declared,) if declared else ()
        form: str = schema.get("format") or ""
        self.format = form if form and supported("" if either else declared, form) else ""
        self.nullable = bool(schema.get("nullable"))
        self.properties = {name: Values(value) for name, value in (schema.get("properties") or {}).items()}
        items, more = schema.get("items"), schema.get("additionalProperties")
        self.items = Values(items) if isinstance(items, dict) else None
        self.closed = more is False
        self.additional = Values(more) if isinstance(more, dict) else None
        self.any_of = [Values(s) for s in schema.get("anyOf") or ()]
        self.one_of = [Values(s) for s in schema.get("oneOf") or ()]
        self.all_of = [Values(s) for s in schema.get("allOf") or ()]
        self.not_ = Values(schema["not"]) if schema.get("not") is not None else None
        self.required: tuple[str, ...] = tuple(schema.get("required") or ())
        self.enum: list[Any] | None = schema.get("enum") or None
        self.pattern: str = schema.get("pattern") or ""
        self.regex = _regex(self.pattern)
        self.fits: Check = self._compile()

    # yes or no

    def _compile(self) -> Check:
        every = self._common()
        by_type: dict[type, list[Check]] = {dict: self._object(), list: self._array(), str: self._string()}
        number = self._number()
        types, form, nullable = self.types, self.format, self.nullable
        tables: dict[type, tuple[Check, ...] | None] = {}
        for python, sample in ((dict, {}), (list, []), (str, ""), (bool, True), (int, 1)):
            passes = type_passes(types, form, sample)
            own = by_type.get(python, number if python is int else [])
            tables[python] = (*own, *every) if passes else None
        floats = (*number, *every)
        enum = self._enum_check()

        def fits(value: Any) -> bool:
            if value is None:
                return (not types or nullable) and (enum is None or enum(value))
            sort = value.__class__
            if sort is float:
                checks: tuple[Check, ...] | None = floats if type_passes(types, form, value) else None
            else:
                checks = tables[sort]
            if checks is None:
                return False
            for check in checks:  # noqa: SIM110 - a generator costs more than the checks
                if not check(value):
                    return False
            return True

        return fits

    def _enum_check(self) -> Check | None:
        if self.enum is None:
            return None
        values = self.enum
        if all(isinstance(v, str) for v in values):
            strings = frozenset(values)
            return lambda value: isinstance(value, str) and value in strings
        return lambda value: any(equals_allowed(value, v) for v in values)

    def _common(self) -> list[Check]:
        out: list[Check] = []
        if self.any_of:
            any_of = [v.fits for v in self.any_of]
            out.append(lambda value: any(fits(value) for fits in any_of))
        if self.one_of:
            one_of = [v.fits for v in self.one_of]
            out.append(lambda value: sum(1 for fits in one_of if fits(value)) == 1)
        out += [v.fits for v in self.all_of]
        if self.not_ is not None:
            refused = self.not_.fits
            out.append(lambda value: not refused(value))
        enum = self._enum_check()
        if enum is not None:
            out.append(enum)
        return out

    def _object(self) -> list[Check]:
        out: list[Check] = []
        least, most = self.schema.get("minProperties"), self.schema.get("maxProperties")
        if least is not None:
            out.append(lambda value: len(value) >= least)
        if most is not None:
            out.append(lambda value: len(value) <= most)
        if self.required:
            needed = self.required
            out.append(lambda value: all(name in value for name in needed))
        members = {name: v.fits for name, v in self.properties.items()}
        if self.closed:
            known = frozenset(members)
            out.append(lambda value: value.keys() <= known)
        if self.additional is not None:
            more = self.additional.fits
            out.append(lambda value: all(members.get(name, more)(item) for name, item in value.items()))
        elif members:

            def named_members(value: Any) -> bool:
                for name, item in value.items():
                    fits = members.get(name)
                    if fits is not None and not fits(item):
                        return False
                return True

            out.append(named_members)
        return out

    def _array(self) -> list[Check]:
        out: list[Check] = []
        least, most = self.schema.get("minItems"), self.schema.get("maxItems")
        if least is not None:
            out.append(lambda value: len(value) >= least)
        if most is not None:
            out.append(lambda value: len(value) <= most)
        if self.schema.get("uniqueItems"):
            out.append(all_different)
        if self.items is not None:
            fits = self.items.fits
            out.append(lambda value: all(map(fits, value)))
        return out

    def _string(self) -> list[Check]:
        out: list[Check] = []
        least, most, form, regex = self.schema.get("minLength"), self.schema.get("maxLength"), self.format, self.regex
        if most is not None:
            out.append(lambda value: len(value) <= most)
        if least is not None:
            out.append(lambda value: len(value) >= least)
        if self.pattern:
            out.append(lambda value: regex is not None and regex.found(value))
        if form and form not in _NUMERIC:
            out.append(lambda value: accepts(form, value))
        return out

    def _number(self) -> list[Check]:
        if not self._numeric:
            return []
        least, most = self._plain_range()
        return [lambda value: (value.__class__ is int and least <= value <= most) or not self._number_faults(value, "").errors]

    def _plain_range(self) -> tuple[int, int]:
        """Integers in here need no second look. May be smaller than what fits, or empty (1, 0)."""
        sort = self.types[0] if len(self.types) == 1 else ""
        form = self.format if sort in ("integer", "number") else ""
        limits = [self.schema.get(word) for word, _ in _LIMITS]
        if self.schema.get("multipleOf") is not None or not all(limit is None or in_range(limit, sort, form) for limit in limits):
            return 1, 0
        bound = 2**31 if form == "int32" else 2**53
        least, most = self.schema.get("minimum"), self.schema.get("maximum")
        return -bound if least is None else max(-bound, math.floor(least) + 1), bound - 1 if most is None else min(
            bound - 1, math.ceil(most) - 1
        )

    @property
    def _numeric(self) -> bool:
        names = ("minimum", "maximum", "multipleOf")
        return self.types == ("integer",) or self.format == "float" or any(self.schema.get(name) is not None for name in names)

    # what is wrong

    def faults(self, value: Any, path: str = "", correlated: Correlated | None = None) -> list[FieldError]:
        """`path` is where the value is, for the errors' fields; messages always begin at the root. With `correlated`, what has not changed
        from the old value is let through."""
        found = self._faults(value, "", correlated).errors
        if not path:
            return found
        return [FieldError(e.type, f"{path}.{e.field}" if e.field != _NOWHERE else path, e.value, e.detail) for e in found]

    def _faults(self, value: Any, path: str, correlated: Correlated | None) -> _Result:
        found = self._all_faults(value, path, correlated)
        if found.errors and correlated is not None and correlated.unchanged():
            return _Result([], found.matches)
        return found

    def _all_faults(self, value: Any, path: str, correlated: Correlated | None) -> _Result:
        out = _Result()
        if value is None:
            out.merge(self._type_faults(value, path))
            out.merge(self._enum_faults(value, path) or _Result())
            return out
        checks: list[_Result | None] = [self._type_faults(value, path) if self.types or self.format else None]
        checks.append(self._logic_faults(value, path))
        if isinstance(value, str):
            checks.append(self._string_faults(value, path))
            if self.format and self.format not in _NUMERIC and not accepts(self.format, value):
                checks.append(_Result([_mistyped(path, self.format, value)]))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            checks.append(self._number_faults(value, path))
        elif isinstance(value, list):
            checks.append(self._array_faults(value, path, correlated))
        checks.append(self._enum_faults(value, path))
        if isinstance(value, dict):
            checks.append(self._object_faults(value, path, correlated))
        for check in checks:
            if check is not None:
                out.merge(check)
                out.matches += 1
        out.matches += 1
        return out

    def _type_faults(self, value: Any, path: str) -> _Result:
        sort, form = json_type(value)
        if value is None:
            return _Result([], 1) if not self.types or self.nullable else _Result([_mistyped(path, ",".join(self.types), "null")])
        if type_passes(self.types, self.format, value):
            return _Result([], 1)
        scalar = sort not in ("string", "array")
        if scalar and self.format and not numbers_agree(self.types, sort, value) and sort not in self.types and form != self.format:
            return _Result([_mistyped(path, self.format, form)])
        return _Result([_mistyped(path, ",".join(self.types), sort)])

    def _logic_faults(self, value: Any, path: str) -> _Result:
        out = _Result()
        if self.any_of:
            results = [v._all_faults(value, path, None) for v in self.any_of]
            good = next((r for r in results if not r.errors), None)
            if good is None:
                out.errors.append(_composite(f"{quote(path)} must validate at least one schema (anyOf)"))
            out.merge(good or _best(results))
        if self.one_of:
            results = [v._all_faults(value, path, None) for v in self.one_of]
            valid = [r for r in results if not r.errors]
            if len(valid) == 1:
                out.merge(valid[0])
            else:
                how = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
                out.errors.append(_composite(f"{quote(path)} must validate one and only one schema (oneOf). {how}"))
                if not valid:
                    out.merge(_best(results))
        if self.all_of:
            results = [v._all_faults(value, path, None) for v in self.all_of]
            for result in results:
                out.merge(result)
            bad = sum(1 for r in results if r.errors)
            if bad:
                none = ". None validated" if bad == len(results) else ""
                out.errors.append(_composite(f"{quote(path)} must validate all the schemas (allOf){none}"))
        if self.not_ is not None and self.not_.fits(value):
            out.errors.append(_composite(f"{quote(path)} must not validate the schema (not)"))
        out.matches += 1
        return out

    def _string_faults(self, value: str, path: str) -> _Result | None:
        least, most = self.schema.get("minLength"), self.schema.get("maxLength")
        if most is not None and len(value) > most:
            return _Result([too_long(_field(path), most)])
        if least is not None and len(value) < least:
            return _Result([_invalid(path, value, f"{path} in body should be at least {least} chars long")])
        if self.pattern and (self.regex is None or not self.regex.found(value)):
            return _Result([_invalid(path, value, f"{path} in body should match '{self.pattern}'")])
        return None

    def _enum_faults(self, value: Any, path: str) -> _Result | None:
        if self.enum is None or any(equals_allowed(value, v) for v in self.enum):
            return None
        names = ", ".join(quote(v if isinstance(v, str) else _json(v)) for v in self.enum)
        return _Result([FieldError(NOT_SUPPORTED, _field(path), value, f"supported values: {names}")])

    def _number_faults(self, value: Any, path: str) -> _Result:
        out, sort = _Result([], 1), self.types[0] if len(self.types) == 1 else ""
        form = self.format if sort in ("integer", "number") else ""
        if not in_range(value, sort, form):
            out.errors.append(_composite(f"Checked value must be {_of_type(sort, form)} in {path}"))
        for word, shown in _LIMITS:
            limit = self.schema.get(word)
            if limit is None:
                continue
            native = in_range(limit, sort, form)
            if not native:
                out.errors.append(_composite(f"{shown} value must be {_of_type(sort, form)} in {path}"))
            seen = value if native else float(value)
            limit = int(limit) if native and isinstance(value, int) else limit
            problem = self._beyond(word, seen, limit)
            if problem:
                out.errors.append(_invalid(path, seen if not problem.startswith("factor") else limit, problem.replace("{}", path)))
        return out

    def _beyond(self, word: str, value: Any, limit: Any) -> str:
        """What is wrong with a number that lies beyond a limit; `{}` stands for its path."""
        if word == "multipleOf":
            if limit <= 0:
                return f"factor MultipleOf declared for {{}} must be positive: {_number_text(limit)}"
            return "" if is_multiple(value, limit) else f"{{}} in body should be a multiple of {_number_text(limit)}"
        exclusive = bool(self.schema.get("exclusive" + word.capitalize()))
        if word == "minimum":
            beyond, phrase = (value <= limit if exclusive else value < limit), "greater"
        else:
            beyond, phrase = (value >= limit if exclusive else value > limit), "less"
        than = f"{phrase} than" if exclusive else f"{phrase} than or equal to"
        return f"{{}} in body should be {than} {_number_text(limit)}" if beyond else ""

    def _array_faults(self, value: list[Any], path: str, correlated: Correlated | None) -> _Result:
        out, size = _Result(), len(value)
        if self.items is not None:
            for i, item in enumerate(value):
                inner = correlated.index(i) if correlated is not None else None
                out.merge(self.items._faults(item, f"{path}[{i}]", inner))
        least, most = self.schema.get("minItems"), self.schema.get("maxItems")
        if least is not None and size < least:
            out.errors.append(_invalid(path, size, f"{path} in body should have at least {least} items"))
        if most is not None and size > most:
            out.errors.append(too_many(_field(path), size, most))
        if self.schema.get("uniqueItems") and not all_different(value):
            out.errors.append(_invalid(path, "", f"{path} in body shouldn't contain duplicates"))
        out.matches += 1
        return out

    def _object_faults(self, value: dict[str, Any], path: str, correlated: Correlated | None) -> _Result:
        out, size = _Result(), len(value)
        least, most = self.schema.get("minProperties"), self.schema.get("maxProperties")
        if least is not None and size < least:
            out.errors.append(_invalid(path, size, f"{path} in body should have at least {least} properties"))
        if most is not None and size > most:
            out.errors.append(too_many(_field(path), size, most))
        for name in value:
            if self.closed and name not in self.properties:
                out.errors.append(_invalid(path, name, f"{path}.{name} in body is a forbidden property"))
        for name, item in value.items():
            if self.additional is not None and name not in self.properties:
                out.merge(self.additional._faults(item, f"{path}.{name}", _key(correlated, name, path)))
        for name, inner in self.properties.items():
            if name in value:
                out.merge(inner._faults(value[name], f"{path}.{name}" if path else name, _key(correlated, name, path)))
        for name in self.required:
            if name not in value:
                out.errors.append(FieldError(REQUIRED, f"{path}.{name}" if path else name, ""))
        return out


def _key(correlated: Correlated | None, name: str, path: str) -> Correlated | None:
    """Changes of apiVersion and kind are not seen, since old and new have been converted to one version."""
    return None if correlated is None or (not path and name in ("kind", "apiVersion")) else correlated.key(name)


_NOWHERE = "<nil>"
_LIMITS = (("multipleOf", "MultipleOf"), ("minimum", "Minimum boundary"), ("maximum", "Maximum boundary"))
_NUMERIC = frozenset({"int32", "int64", "float", "double"})


def _field(path: str) -> str:
    return path.removeprefix(".") or _NOWHERE


def _invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(INVALID, _field(path), "" if value is None else value, detail)


def _composite(text: str) -> FieldError:
    return FieldError(INVALID, _NOWHERE, "", text)


def _mistyped(path: str, wanted: str, found: str) -> FieldError:
    return FieldError(TYPE_INVALID, _field(path), found, f"{path} in body must be of type {wanted}: {quote(found)}")


def _best(results: list[_Result]) -> _Result:
    return max(results, key=lambda r: r.matches)


def _regex(pattern: str) -> Regex | None:
    try:
        return compiled(pattern) if pattern else None
    except ValueError:
        return None


def _of_type(sort: str, form: str) -> str:
    return f"of type {sort} with format {form}" if form else f"of type {sort} (default format)"


def _number_text(value: Any) -> str:
    """As Go's %v prints a float64."""
    number = float(value)
    if number.is_integer() and abs(number) < 1e21:
        return str(int(number))
    return repr(number)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
