"""What admission counts, under upstream's metric names: plain dicts, rendered when scraped. Follows admission/metrics.

How long each plugin takes is measured for every write, so the chain holds the rows of that histogram and adds to them itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubetree.apiserver.metrics.exposition import Counter, Distribution

_WEBHOOK_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
SHORT = 0.005
"""Seconds: what is no longer than that is in the first bucket of `plugins`."""
_STEP_BUCKETS = (SHORT, 0.025, 0.1, 0.5, 1.0, 2.5)
_CONDITION_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)
_POLICY_BUCKETS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_MOST_CODE = 600


_PREFIX = "apiserver_admission_"


class AdmissionMetrics:
    def __init__(self) -> None:
        self._called = Counter(
            _PREFIX + "webhook_request_total",
            "[ALPHA] Admission webhook request total, identified by name and broken out for each admission type (validating or admit) and "
            "operation. Additional labels specify whether the request was rejected or not and an HTTP status code.",
            *("name", "type", "operation", "code", "rejected"),
        )
        self._durations = Distribution(
            _PREFIX + "webhook_admission_duration_seconds",
            "[STABLE] Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API "
            "resource and type (validate or admit).",
            _WEBHOOK_BUCKETS,
            *("name", "type", "operation", "rejected"),
        )
        self._rejections = Counter(
            _PREFIX + "webhook_rejection_count",
            "[ALPHA] Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) "
            "and operation.",
            *("name", "type", "operation", "error_type", "rejection_code"),
        )
        self._failed_open = Counter(
            _PREFIX + "webhook_fail_open_count",
            "[ALPHA] Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).",
            *("name", "type"),
        )
        self._condition_errors = Counter(
            _PREFIX + "match_condition_evaluation_errors_total",
            "[ALPHA] Admission match condition evaluation errors count, identified by name of resource containing the match condition.",
            *("name", "kind", "type", "operation"),
        )
        self._exclusions = Counter(
            _PREFIX + "match_condition_exclusions_total",
            "[ALPHA] Admission match condition evaluation exclusions count, identified by name of resource containing the match condition.",
            *("name", "kind", "type", "operation"),
        )
        self._condition_times = Distribution(
            _PREFIX + "match_condition_evaluation_seconds",
            "[ALPHA] Admission match condition evaluation time in seconds, identified by name.",
            _CONDITION_BUCKETS,
            *("name", "kind", "type", "operation"),
        )
        self._steps = Distribution(
            _PREFIX + "step_admission_duration_seconds",
            "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type "
            "(validate or admit).",
            _STEP_BUCKETS,
            *("type", "operation", "rejected"),
        )
        self.plugins = Distribution(
            _PREFIX + "controller_admission_duration_seconds",
            "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API "
            "resource and type (validate or admit).",
            _STEP_BUCKETS,
            *("name", "type", "operation", "rejected"),
        )
        self._policies = {
            step: (
                Counter(
                    f"apiserver_{step}_admission_policy_check_total",
                    f"[{level}] {step.capitalize()} admission policy check total, labeled by policy and further identified by binding and "
                    f"{'enforcement action taken' if step == 'validating' else 'error type'}.",
                    *("policy", "policy_binding", "error_type", *(("enforcement_action",) if step == "validating" else ())),
                ),
                Distribution(
                    f"apiserver_{step}_admission_policy_check_duration_seconds",
                    f"[{level}] {step.capitalize()} admission latency for individual expressions in seconds, labeled by policy.",
                    _POLICY_BUCKETS,
                    *("policy", "policy_binding", "error_type", *(("enforcement_action",) if step == "validating" else ())),
                ),
            )
            for step, level in (("validating", "BETA"), ("mutating", "ALPHA"))
        }

    def called(self, name: str, step: str, operation: str, code: int, rejected: bool, seconds: float) -> None:
        """A webhook was asked. `step` is admit or validating; `code` 0: it was not even reached."""
        refused = str(rejected).lower()
        self._called.add(name, step, operation, str(min(code, _MOST_CODE)), refused)
        self._durations.add(seconds, name, step, operation, refused)

    def rejected(self, name: str, step: str, operation: str, error_type: str, code: int) -> None:
        self._rejections.add(name, step, operation, error_type, str(min(code, _MOST_CODE)))

    def failed_open(self, name: str, step: str) -> None:
        self._failed_open.add(name, step)

    def excluded(self, name: str, kind: str, step: str, operation: str) -> None:
        """matchConditions said that a webhook or policy is not concerned."""
        self._exclusions.add(name, kind, step, operation)

    def condition_failed(self, name: str, kind: str, step: str, operation: str) -> None:
        self._condition_errors.add(name, kind, step, operation)

    def conditions_evaluated(self, seconds: float, name: str, kind: str, step: str, operation: str) -> None:
        self._condition_times.add(seconds, name, kind, step, operation)

    def step_taken(self, step: str, operation: str, rejected: bool, seconds: float) -> None:
        """`step` is admit or validate."""
        self._steps.add(seconds, step, operation, str(rejected).lower())

    def policy_checked(self, step: str, seconds: float, *labels: str) -> None:
        """`step` is validating or mutating; `labels` are policy, binding, error type and, of validating ones, the action."""
        count, times = self._policies[step]
        count.add(*labels)
        times.add(seconds, *labels)

    def render(self) -> Iterable[str]:
        yield from self.plugins.render()
        yield from self._steps.render()
        for metric in (self._called, self._durations, self._rejections, self._failed_open):
            yield from metric.render()
        for metric in (self._condition_errors, self._exclusions, self._condition_times):
            yield from metric.render()
        for count, times in self._policies.values():
            yield from count.render()
            yield from times.render()
