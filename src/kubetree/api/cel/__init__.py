"""Kubernetes' expression language: CEL with the functions, types, costs and messages of v1.36.

`Environment(variables).compile(expression)` gives a `Program`; `schema_type` and `kind_type` say what types objects have.
"""

from kubetree.api.cel.environment import PER_CALL_LIMIT, Environment, Program
from kubetree.api.cel.errors import CompileError, CostExceeded, EvaluationError, Issue, ProgramError
from kubetree.api.cel.kind_types import kind_type
from kubetree.api.cel.schemas import schema_type
from kubetree.api.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
    list_of,
    map_of,
    optional_of,
)

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "PER_CALL_LIMIT",
    "STRING",
    "TIMESTAMP",
    "TYPE",
    "UINT",
    "CompileError",
    "CostExceeded",
    "Environment",
    "EvaluationError",
    "Issue",
    "Program",
    "ProgramError",
    "Type",
    "kind_type",
    "list_of",
    "map_of",
    "optional_of",
    "schema_type",
]
