"""What the two-variable macros build maps with. No expression can call it by name."""

from __future__ import annotations

from ..declarations import function, overload, table
from ..types import map_of, param

K, V = param("K"), param("V")
MAP_KV = map_of(K, V)

COMPREHENSIONS = table(
    function(
        "cel.@mapInsert",
        overload("@mapInsert_map_key_value", (MAP_KV, K, V), MAP_KV),
        overload("@mapInsert_map_map", (MAP_KV, MAP_KV), MAP_KV),
    ),
)
