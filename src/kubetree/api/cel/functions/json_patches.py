"""What only mutating policies have: `jsonpatch.escapeKey`."""

from __future__ import annotations

from ..declarations import function, overload, table
from ..types import STRING

JSON_PATCHES = table(
    function(
        "jsonpatch.escapeKey",
        overload("string_jsonpatch_escapeKey_string", (STRING,), STRING, lambda key: key.replace("~", "~0").replace("/", "~1")),
    ),
)
