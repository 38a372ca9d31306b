"""Micro-benchmarks of Kubernetes' expressions: compiling a rule, evaluating it on an object. Prints microseconds a call.

PYTHONPATH=src python benchmarks/bench_cel.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kubetree.api.cel import DYN, Environment, schema_type

SPEC: dict[str, Any] = {
    "replicas": {"type": "integer"},
    "minReplicas": {"type": "integer"},
    "maxReplicas": {"type": "integer"},
    "name": {"type": "string", "maxLength": 50},
    "since": {"type": "string", "format": "date-time"},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}}},
}
SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": SPEC}}}
OBJECT = {
    "spec": {
        "replicas": 3,
        "minReplicas": 1,
        "maxReplicas": 10,
        "name": "my-name",
        "since": "2020-01-01T00:00:00Z",
        "labels": {"a": "b", "c": "d"},
        "ports": [{"port": 80 + i, "name": f"p{i}"} for i in range(5)],
    }
}
RULES = (
    "self.spec.replicas <= 10",
    "self.spec.minReplicas <= self.spec.replicas && self.spec.replicas <= self.spec.maxReplicas",
    "self.spec.name == oldSelf.spec.name",
    "has(self.spec.name) && self.spec.name != ''",
    "self.spec.name in ['my-name', 'your-name']",
    "self.spec.name.matches('^[a-z-]+$')",
    "self.spec.since > timestamp('2019-01-01T00:00:00Z')",
    "self.spec.ports.all(p, p.port > 0 && p.port < 65536)",
    "self.spec.ports.all(p, self.spec.ports.exists_one(q, q.name == p.name))",
)
POLICIES = (
    "object.spec.replicas <= params.most",
    "!has(object.spec.nope) || object.spec.nope.startsWith('x')",
    "object.spec.ports.map(p, p.port).max() < 100",
)


def microseconds(work: Callable[[], object], count: int) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(count):
            work()
        best = min(best, time.process_time() - start)
    return best / count * 1e6


def main() -> None:
    t = schema_type(SCHEMA, resource_root=True)
    assert t is not None
    rules = Environment({"self": t, "oldSelf": t})
    policies = Environment({"object": DYN, "params": DYN})
    print(f"{microseconds(lambda: rules.compile(RULES[1]), 500):8.2f}  compile  {RULES[1]}")
    for environment, expressions, variables in (
        (rules, RULES, {"self": OBJECT, "oldSelf": OBJECT}),
        (policies, POLICIES, {"object": OBJECT, "params": {"most": 5}}),
    ):
        for expression in expressions:
            program = environment.compile(expression)
            print(f"{microseconds(lambda p=program, v=variables: p.evaluate(v), 20_000):8.2f}  evaluate {expression}")  # type: ignore[misc]


if __name__ == "__main__":
    main()
