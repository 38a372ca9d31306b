"""An expression and what became of it: a program, or why it is none, worded as apiserver's admission/plugin/cel does."""

from __future__ import annotations

from dataclasses import dataclass

from kubetree.api.cel import CompileError, Environment, Program, ProgramError, Type


@dataclass(frozen=True, slots=True)
class Compiled:
    """`program` None: `error` says why, and `internal` that upstream blames itself for it."""

    expression: str
    program: Program | None
    error: str = ""
    internal: bool = False

    @property
    def type(self) -> Type | None:
        return self.program.result_type if self.program is not None else None


def compiled(environment: Environment, expression: str, *expected: Type) -> Compiled:
    """`expected`: what the result must be exactly one of; none for anything."""
    try:
        program = environment.compile(expression)
    except ProgramError as error:
        return Compiled(expression, None, f"program instantiation failed: {error}", internal=True)
    except CompileError as error:
        return Compiled(expression, None, f"compilation failed: {error}")
    if expected and program.result_type not in expected:
        given = _shown(program.result_type)
        if len(expected) == 1:
            return Compiled(expression, None, f"must evaluate to {_shown(expected[0])} but got {given}")
        return Compiled(expression, None, f"must evaluate to one of [{' '.join(map(_shown, expected))}] but got {given}")
    return Compiled(expression, program)


def _shown(t: Type) -> str:
    """As cel-go's Type.String has it, which is not how its checker words types."""
    return f"{t.name}({', '.join(map(_shown, t.params))})" if t.params else t.name
