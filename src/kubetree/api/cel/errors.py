"""What goes wrong with an expression, worded as cel-go words it: clients and tests match these sentences.

A `CompileError` is the whole list of issues of one expression. An `EvaluationError` is the value of a failed operation:
`&&`, `||`, `all` and `exists` may absorb it. A `CostExceeded` is absorbed by nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

ABSORBED_LIMIT = "operation cancelled: actual cost limit exceeded"
MOST_ISSUES = 100
LONGEST_SNIPPET = 16384


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of an expression. `line` counts from 1, `column` from 0, in code points; `line` is -1 when it has no place."""

    message: str
    line: int
    column: int


class CompileError(Exception):
    """An expression that does not parse, does not type-check or fails a validator. `str()` is cel-go's display of all issues."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = tuple(sorted(issues[:MOST_ISSUES], key=lambda issue: (issue.line, issue.column)))
        self.source = source
        lines = [display(issue, source) for issue in self.issues]
        if len(issues) > MOST_ISSUES:
            lines.append(f"{len(issues) - MOST_ISSUES} more errors were truncated")
        super().__init__("\n".join(lines))


class ProgramError(CompileError):
    """An expression that checks, and yet cannot be planned: a constant conversion that fails, a bad constant pattern.

    Upstream reports it as "program instantiation failed: ..."; `str()` is the bare message.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.source = ""
        self.issues = (Issue(message, -1, -1),)


class EvaluationError(Exception):
    """A failed operation: 'no such key: x', 'division by zero', 'no such overload', ..."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.cost = 0


class CostExceeded(EvaluationError):
    """The evaluation cost more than it was allowed."""

    def __init__(self) -> None:
        super().__init__(ABSORBED_LIMIT)


def display(issue: Issue, source: str) -> str:
    """'ERROR: <input>:1:6: message', and below it the line with a mark under the place."""
    text = f"ERROR: <input>:{issue.line}:{issue.column + 1}: {issue.message}"
    lines = source.split("\n")
    if not source or not 1 <= issue.line <= len(lines):
        return text
    snippet = lines[issue.line - 1].replace("\t", " ")
    if len(snippet.encode("utf-8", "surrogatepass")) > LONGEST_SNIPPET:
        return text
    before = snippet[: issue.column]
    dots = "".join("．" if ord(c) > 0x7F else "." for c in before)
    at = snippet[issue.column : issue.column + 1]
    mark = "＾" if at and ord(at) > 0x7F else "^"
    return f"{text}\n | {snippet}\n | {dots}{mark}"
