from __future__ import annotations

from typing import Any

from kubetree.controllers import policy_status
from kubetree.controllers.plan import Patch
from kubetree.controllers.snapshot import ObjectSnapshot

Object = dict[str, Any]


def policy(*validations: Object, rule: Object | None = None, **spec: Any) -> Object:
    rules = [rule or {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}]
    given = {"matchConstraints": {"resourceRules": rules}, "validations": list(validations), **spec}
    metadata = {"name": "p", "generation": 2}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": given}


def status(*objects: Object) -> Object:
    snapshot = ObjectSnapshot(list(objects))
    (patch,) = policy_status.reconcile(snapshot, ("", "p"), None).actions  # type: ignore[arg-type]
    assert isinstance(patch, Patch)
    assert isinstance(patch.patch, dict)
    assert patch.force
    found: Object = patch.patch["status"]
    return found


def test_a_field_that_the_kind_does_not_have_is_warned_of() -> None:
    found = status(
        policy({"expression": "object.spec.replicas > 1"}, {"expression": "object.foo > 1", "messageExpression": "object.spec.x"})
    )
    assert found["observedGeneration"] == 2
    first, second = found["typeChecking"]["expressionWarnings"]
    assert first == {
        "fieldRef": "spec.validations[1].expression",
        "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'foo'\n | object.foo > 1\n | ......^\n",
    }
    assert second["fieldRef"] == "spec.validations[1].messageExpression"


def test_what_was_checked_is_not_checked_again_and_wildcards_are_not_checked_at_all() -> None:
    done = {**policy({"expression": "object.foo > 1"}), "status": {"observedGeneration": 2}}
    assert policy_status.reconcile(ObjectSnapshot([done]), ("", "p"), None).actions == ()  # type: ignore[arg-type]
    anything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    assert status(policy({"expression": "object.foo > 1"}, rule=anything)) == {"observedGeneration": 2, "typeChecking": {}}


def test_variables_and_parameters_have_types_and_so_do_custom_kinds() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"max": {"type": "integer"}}}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "limits.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Limit", "plural": "limits"},
            "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    checked = policy(
        {"expression": "variables.n <= params.spec.max"},
        {"expression": "variables.n <= params.spec.most"},
        variables=[{"name": "n", "expression": "object.spec.replicas"}],
        paramKind={"apiVersion": "example.com/v1", "kind": "Limit"},
    )
    (warning,) = status(checked, definition)["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[1].expression"
    assert "undefined field 'most'" in warning["warning"]


def test_what_only_running_would_refuse_is_not_warned_of_and_variables_forget_the_types_of_objects() -> None:
    checked = policy(
        {"expression": "int('x') > 1"},
        {"expression": "variables.spec.nope == 1"},
        variables=[{"name": "spec", "expression": "object.spec"}],
    )
    assert status(checked) == {"observedGeneration": 2, "typeChecking": {}}
