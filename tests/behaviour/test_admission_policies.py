"""What users see of validating and mutating admission policies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.api.kind_table import kind as row_of

pytestmark = pytest.mark.one_store

Object = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
API = "admissionregistration.k8s.io/v1"
RULE = {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}


async def put(http: Http, kind: str, name: str, **spec: Any) -> None:
    """Returns once the API server goes by it."""
    body = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
    reply = await http.post(f"{GROUP}/{PLURALS[kind]}", body)
    assert reply.status == 201, reply.text
    await http.known(row_of(API, kind), name)


async def validating(http: Http, *validations: Object, name: str = "p", binding: Object | None = None, **spec: Any) -> None:
    usual = {"matchConstraints": {"resourceRules": [RULE]}, "validations": list(validations)}
    await put(http, "ValidatingAdmissionPolicy", name, **{**usual, **spec})
    bound = {"policyName": name, "validationActions": ["Deny"], **(binding or {})}
    await put(http, "ValidatingAdmissionPolicyBinding", f"{name}-b", **bound)


async def mutating(http: Http, *mutations: Object, name: str = "m", binding: Object | None = None, **spec: Any) -> None:
    usual = {"matchConstraints": {"resourceRules": [RULE]}, "mutations": list(mutations), "reinvocationPolicy": "Never"}
    await put(http, "MutatingAdmissionPolicy", name, **{**usual, **spec})
    await put(http, "MutatingAdmissionPolicyBinding", f"{name}-b", **{"policyName": name, **(binding or {})})


def apply(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def test_a_validation_refuses_with_its_message_and_reason() -> None:
    async with running_server() as http:
        await validating(http, {"expression": "object.data.a == 'b'"})
        assert (await http.post(MAPS, config_map("x", a="b"))).status == 201
        reply = await http.post(MAPS, config_map("y", a="c"))
        assert reply.status == 422
        told = "ValidatingAdmissionPolicy 'p' with binding 'p-b' denied request: failed expression: object.data.a == 'b'"
        assert reply.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'configmaps "y" is forbidden: {told}',
            "reason": "Invalid",
            "details": {"name": "y", "kind": "configmaps", "causes": [{"message": told}]},
            "code": 422,
        }
        messages = {"message": "never", "messageExpression": "'no ' + object.data.a", "reason": "Forbidden"}
        await validating(http, {"expression": "false", **messages}, name="a")
        reply = await http.post(MAPS, config_map("y", a="c"))
        assert reply.status == 403
        assert reply.json["message"].endswith("ValidatingAdmissionPolicy 'a' with binding 'a-b' denied request: no c")


async def test_a_policy_without_a_binding_does_nothing() -> None:
    async with running_server() as http:
        constraints = {"resourceRules": [RULE]}
        await put(http, "ValidatingAdmissionPolicy", "p", matchConstraints=constraints, validations=[{"expression": "false"}])
        assert (await http.post(MAPS, config_map("x"))).status == 201


@pytest.mark.every_store
async def test_bindings_choose_what_is_done_and_where() -> None:
    async with running_server() as http:
        await validating(
            http,
            {"expression": "false", "message": "no"},
            binding={"validationActions": ["Warn", "Audit"], "matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}},
        )
        reply = await http.post(MAPS, config_map("x"))
        assert "Warning" not in reply.headers
        labelled = config_map("y")
        labelled["metadata"]["labels"] = {"a": "b"}
        reply = await http.post(MAPS, labelled)
        assert reply.status == 201
        assert reply.headers["Warning"] == "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': no\""


async def test_errors_of_evaluation_go_by_the_failure_policy() -> None:
    async with running_server() as http:
        await validating(http, {"expression": "object.data.missing == 'b'"}, failurePolicy="Ignore")
        assert (await http.post(MAPS, config_map("x", a="b"))).status == 201
        await validating(http, {"expression": "object.data.missing == 'b'"}, name="q")
        message = (await http.post(MAPS, config_map("y", a="b"))).json["message"]
        assert message.endswith("expression 'object.data.missing == 'b'' resulted in error: no such key: missing")


async def test_conditions_variables_request_and_namespace() -> None:
    async with running_server() as http:
        await validating(
            http,
            {"expression": "variables.long", "messageExpression": "'name of ' + request.name + ' in ' + namespaceObject.metadata.name"},
            matchConditions=[{"name": "not-free", "expression": "!has(object.data) || !has(object.data.free)"}],
            variables=[
                {"name": "size", "expression": "object.metadata.name.size()"},
                {"name": "long", "expression": "variables.size > 3 && request.operation == 'CREATE'"},
            ],
        )
        assert (await http.post(MAPS, config_map("long-one"))).status == 201
        assert (await http.post(MAPS, config_map("s", free="yes"))).status == 201
        assert (await http.post(MAPS, config_map("s2"))).json["message"].endswith("denied request: name of s2 in default")


@pytest.mark.every_store
async def test_parameters_come_by_name_by_labels_or_not_at_all() -> None:
    async with running_server() as http:
        for name, value, labels in (("one", "1", {"p": "q"}), ("two", "2", {"p": "q"})):
            obj = config_map(name, max=value)
            obj["metadata"]["labels"] = labels
            await http.post(MAPS, obj)
        check = {"expression": "int(object.data.n) <= int(params.data.max)", "messageExpression": "'at most ' + params.data.max"}
        kind = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
        excluded = {"resourceRules": [RULE], "excludeResourceRules": [{**RULE, "resourceNames": ["free"]}]}
        by_label = {"paramRef": {"selector": {"matchLabels": {"p": "q"}}, "parameterNotFoundAction": "Deny"}}
        await validating(http, check, binding=by_label, matchConstraints=excluded, **kind)
        assert (await http.post(MAPS, config_map("x", n="1"))).status == 201
        assert (await http.post(MAPS, config_map("y", n="2"))).json["message"].endswith("at most 1")
        assert (await http.post(MAPS, config_map("free", n="9"))).status == 201
        by_name = {"paramRef": {"name": "none", "namespace": "default", "parameterNotFoundAction": "Allow"}}
        await validating(http, check, name="allow", binding=by_name, **kind)
        assert (await http.post(MAPS, config_map("z", n="1"))).status == 201
        by_name["paramRef"]["parameterNotFoundAction"] = "Deny"
        await validating(http, check, name="deny", binding=by_name, **kind)
        message = (await http.post(MAPS, config_map("w", n="1"))).json["message"]
        assert message.endswith("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")


async def test_a_parameter_kind_that_is_not_served_is_a_fault_of_the_policy() -> None:
    async with running_server() as http:
        binding = {"paramRef": {"name": "x", "namespace": "default", "parameterNotFoundAction": "Allow"}}
        await validating(http, {"expression": "true"}, binding=binding, paramKind={"apiVersion": "example.com/v1", "kind": "Limit"})
        message = (await http.post(MAPS, config_map("x"))).json["message"]
        why = "failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
        assert message == f"configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: {why}"


async def test_policies_rule_over_webhooks() -> None:
    async with running_server() as http:
        rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
        await validating(http, {"expression": "false", "message": "no"}, matchConstraints={"resourceRules": [rule]})
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
            body = {"apiVersion": API, "kind": kind, "metadata": {"name": "w"}}
            assert (await http.post(f"{GROUP}/{kind.lower()}s", body)).status == 422


async def test_what_configures_admission_is_free_of_policies() -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    async with running_server() as http:
        await validating(http, {"expression": "false"}, matchConstraints={"resourceRules": [everything]})
        assert (await http.post(MAPS, config_map("x"))).status == 422
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        review["spec"] = {"nonResourceAttributes": {"path": "/", "verb": "get"}}  # type: ignore[assignment]
        assert (await http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)).status == 201
        assert (await http.delete(f"{GROUP}/validatingadmissionpolicies/p")).status == 200


async def test_a_configuration_is_applied_and_nothing_atomic_is_touched() -> None:
    pods = "/api/v1/namespaces/default/pods"
    rule = {"resourceRules": [{**RULE, "resources": ["pods"]}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    sidecar = "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 's', image: 'x', restartPolicy: 'Always'}]}}"
    async with running_server() as http:
        await mutating(http, apply(sidecar), matchConstraints=rule)
        reply = await http.post(pods, pod)
        assert reply.status == 201, reply.text
        (made,) = reply.json["spec"]["initContainers"]
        assert (made["name"], made["restartPolicy"], made["terminationMessagePolicy"]) == ("s", "Always", "File")
        touched = "Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: 'a'}]}}"
        await mutating(http, apply(touched), name="n", matchConstraints=rule)
        reply = await http.post(pods, {**pod, "metadata": {"name": "q"}})
        assert reply.status == 403
        told = "policy 'n' with binding 'n-b' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.tolerations"
        assert reply.json["message"] == told
        assert reply.json["reason"] == "Invalid"


@pytest.mark.parametrize(
    ("mutation", "told"),
    [
        (apply("Object{data: null}"), ".data: expected map, got &{NULL_VALUE}"),
        (apply("Object{immutable: null}"), ".immutable: expected boolean, got &{NULL_VALUE}"),
        (apply("Object{data: {'a': null}}"), ".data.a: expected string, got &value.valueUnstructured{Value:0}"),
        (apply("Object{metadata: Object.metadata{ownerReferences: null}}"), ".metadata.ownerReferences: expected list, got &{NULL_VALUE}"),
        (
            apply("Object{metadata: Object.metadata{generation: null}}"),
            ".metadata.generation: expected numeric (int or float), got structpb.NullValue",
        ),
        (patch("[JSONPatch{op: 'replace', path: '/data', value: Object{a: null}}]"), "proto: invalid type: structpb.NullValue"),
        (patch("[JSONPatch{op: 'replace', path: '/data', value: {'a': Object{b: [null]}}}]"), "proto: invalid type: structpb.NullValue"),
    ],
)
async def test_nulls_in_objects_that_expressions_build_fit_nowhere(mutation: Object, told: str) -> None:
    async with running_server() as http:
        await mutating(http, mutation)
        reply = await http.post(MAPS, config_map("x", a="b"))
        assert reply.status == 403 and reply.json["message"].endswith(told), reply.text


async def test_a_plain_null_may_be_a_value_of_a_json_patch() -> None:
    async with running_server() as http:
        await mutating(http, patch("[JSONPatch{op: 'replace', path: '/data', value: {'a': null}}]"))
        assert (await http.post(MAPS, config_map("x", a="b"))).json["data"] == {"a": ""}


async def test_a_json_patch_is_applied_in_order() -> None:
    async with running_server() as http:
        steps = (
            "[JSONPatch{op: 'add', path: '/metadata/labels', value: Object.metadata.labels{}},"
            " JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a.b/c'), value: object.data.a + variables.x}]"
        )
        await mutating(http, patch(steps), patch("[JSONPatch{op: 'add', path: '/data/two', value: object.metadata.labels['a.b/c']}]"),
                       variables=[{"name": "x", "expression": "'-x'"}])  # fmt: skip
        reply = await http.post(MAPS, config_map("x", a="1"))
        assert reply.status == 201, reply.text
        assert reply.json["metadata"]["labels"] == {"a.b/c": "1-x"}
        assert reply.json["data"] == {"a": "1", "two": "1-x"}


async def test_a_failing_test_leaves_the_object_as_it_is() -> None:
    async with running_server() as http:
        steps = "[JSONPatch{op: 'test', path: '/data/a', value: '2'}, JSONPatch{op: 'remove', path: '/data/a'}]"
        await mutating(http, patch(steps))
        assert (await http.post(MAPS, config_map("x", a="1"))).json["data"] == {"a": "1"}
        assert (await http.post(MAPS, config_map("y", a="2"))).json.get("data", {}) == {}


async def test_types_that_are_not_named_after_their_place_are_refused() -> None:
    async with running_server() as http:
        await mutating(http, apply("Object{metadata: Object.meta{}}"))
        message = (await http.post(MAPS, config_map("x"))).json["message"]
        assert 'type mismatch: unexpected type name "Object.meta", expected "Object.metadata"' in message


async def test_policies_that_ask_for_it_run_again() -> None:
    async with running_server() as http:
        count = "[JSONPatch{op: 'add', path: '/data/seen', value: has(object.data.later) ? 'later' : 'nothing'}]"
        await mutating(http, patch(count), name="a", reinvocationPolicy="IfNeeded")
        await mutating(http, patch("[JSONPatch{op: 'add', path: '/data/later', value: 'x'}]"), name="b")
        assert (await http.post(MAPS, config_map("x", a="1"))).json["data"] == {"a": "1", "seen": "later", "later": "x"}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("object.data.a", "must evaluate to bool but got dyn"),
        ("object.", "compilation failed: ERROR: <input>:1:8: Syntax error"),
        ("nothing == 1", "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')"),
    ],
)
async def test_expressions_that_do_not_compile_are_refused_when_written(expression: str, why: str) -> None:
    async with running_server() as http:
        spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": expression}]}
        body = {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": spec}
        reply = await http.post(f"{GROUP}/validatingadmissionpolicies", body)
        assert reply.status == 422, reply.text
        (cause,) = reply.json["details"]["causes"]
        assert cause["field"] == "spec.validations[0].expression"
        assert why in cause["message"]


async def test_expressions_may_ask_what_the_user_may_do() -> None:
    async with running_server() as http:
        asks = "authorizer.requestResource.check('create').allowed() && authorizer.path('/healthz').check('get').allowed()"
        await validating(http, {"expression": asks}, {"expression": "!authorizer.group('').resource('pods').check('get').allowed()"})
        message = (await http.post(MAPS, config_map("x"))).json["message"]
        assert message.endswith("failed expression: !authorizer.group('').resource('pods').check('get').allowed()")


async def test_what_expressions_cost_is_bounded() -> None:
    async with running_server() as http:
        inner = "object.data.map(e, a + b + c + d + e)"
        for name in "dcba":
            inner = f"object.data.map({name}, {inner})"
        await validating(http, {"expression": f"{inner}.size() > 100000"})
        message = (await http.post(MAPS, config_map("x", **{f"k{i}": "v" for i in range(30)}))).json["message"]
        assert "cost" in message


@pytest.mark.every_store
async def test_custom_kinds_are_matched_mutated_and_are_parameters() -> None:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}},
    }
    versions = [{"name": v, "served": True, "storage": v == "v1", "schema": {"openAPIV3Schema": schema}} for v in ("v1", "v2")]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "limits.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Limit", "plural": "limits"}, "versions": versions},
    }
    limits = "/apis/example.com/v2/namespaces/default/limits"
    rule = {"resourceRules": [{**RULE, "apiGroups": ["example.com"], "resources": ["limits"]}]}
    async with running_server() as http:
        assert (await http.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)).status == 201
        async with asyncio.timeout(30):
            while (await http.get(limits)).status != 200:
                await asyncio.sleep(0.01)
        await mutating(http, apply("Object{spec: Object.spec{s: 'set for ' + object.apiVersion}}"), matchConstraints=rule)
        made = await http.post(limits, {"apiVersion": "example.com/v2", "kind": "Limit", "metadata": {"name": "one"}, "spec": {"n": 1}})
        assert made.status == 201, made.text
        assert made.json["spec"] == {"n": 1, "s": "set for example.com/v1"}
        reference = {"paramRef": {"name": "one", "parameterNotFoundAction": "Deny"}}
        kind = {"apiVersion": "example.com/v2", "kind": "Limit"}
        check = {"expression": "object.data.size() <= params.spec.n", "messageExpression": "string(params.apiVersion)"}
        await validating(http, check, paramKind=kind, binding=reference)
        assert (await http.post(MAPS, config_map("x", a="1"))).status == 201
        assert (await http.post(MAPS, config_map("y", a="1", b="2"))).json["message"].endswith("denied request: example.com/v2")


async def test_who_configures_a_policy_must_be_able_to_read_its_parameters(tmp_path: Path) -> None:
    """The messages are upstream's, down to the words that it has the wrong way round."""
    tokens = tmp_path / "tokens"
    tokens.write_text('admin-token,admin,1,"system:masters"\nalice-token,alice,,"dev"\n')
    admin, alice = {"Authorization": "Bearer admin-token"}, {"Authorization": "Bearer alice-token"}
    group = "rbac.authorization.k8s.io"
    everything = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    role = {"rules": [everything, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    binding = {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "alice"},
        "subjects": [{"kind": "User", "name": "alice", "apiGroup": group}],
    }
    maps, secrets, lacking = ({"apiVersion": v, "kind": k} for v, k in (("v1", "ConfigMap"), ("v1", "Secret"), ("e.com/v1", "Foo")))
    who = "&{alice  [dev system:authenticated] map[]}"

    async with running_server(always_allow=False, token_auth_file=tokens) as http:
        for kind, spec in (("ClusterRole", role), ("ClusterRoleBinding", binding)):
            body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "alice"}, **spec}
            assert (await http.post(f"/apis/{group}/v1/{kind.lower()}s", body, **admin)).status == 201

        async def write(user: Object, kind: str, called: str, **spec: Any) -> str:
            body = {"apiVersion": API, "kind": kind, "metadata": {"name": called}, "spec": spec}
            reply = await http.post(f"{GROUP}/{PLURALS[kind]}", body, **user)
            assert (reply.status, reply.json.get("reason")) in ((201, None), (422, "Invalid")), reply.text
            return "" if reply.status == 201 else reply.json["details"]["causes"][0]["message"]

        async def policy(user: Object, name: str, param: Object | None, kind: str = "Validating") -> str:
            work = (
                {"validations": [{"expression": "true"}]}
                if kind == "Validating"
                else {"mutations": [patch("[JSONPatch{op: 'remove', path: '/data/a'}]")]}
            )
            spec = {"matchConstraints": {"resourceRules": [RULE]}, "paramKind": param, "reinvocationPolicy": "Never", **work}
            return await write(user, f"{kind}AdmissionPolicy", name, **{k: v for k, v in spec.items() if v is not None})

        async def bind(user: Object, called: str, to: str, kind: str = "Validating", **reference: Any) -> str:
            reference["parameterNotFoundAction"] = "Deny"
            spec = {"policyName": to, "paramRef": reference, **({"validationActions": ["Deny"]} if kind == "Validating" else {})}
            return await write(user, f"{kind}AdmissionPolicyBinding", called, **spec)

        must = f'Forbidden: user {who} must have "get" permission on all objects of the referenced paramKind'
        assert await policy(alice, "maps", maps) == f"{must} (kind=ConfigMap, apiVersion=v1)"
        assert await policy(alice, "lacking", lacking) == f"{must} (kind=Foo, apiVersion=e.com/v1)"
        for name, param in (("secrets", secrets), ("none", None)):
            assert await policy(alice, name, param) == ""
        for name, param in (("maps", maps), ("lacking", lacking)):
            assert await policy(admin, name, param) == ""
        assert await policy(admin, "maps", maps, "Mutating") == ""
        url = f"{GROUP}/{PLURALS['ValidatingAdmissionPolicy']}"
        assert (await http.patch(f"{url}/none", {"spec": {"paramKind": maps}}, **alice)).status == 422
        assert (await http.patch(f"{url}/maps", {"spec": {"failurePolicy": "Ignore"}}, **alice)).status == 200

        everywhere = f'and user {who} does not have "get" permission for all groups, versions and resources'
        assert await bind(alice, "a", "secrets", name="x") == ""
        assert await bind(alice, "b", "secrets", selector={}) == (
            f'Forbidden: user {who} does not have "list" permission on the object referenced by paramRef'
        )
        assert await bind(alice, "b", "maps", name="x", kind="Mutating") == (
            f'Forbidden: user get does not have "{who}" permission on the object referenced by paramRef'
        )
        assert await bind(alice, "b", "nope", name="x") == (
            f"Forbidden: unable to get policy nope to determine minimum required permissions {everywhere}"
        )
        assert await bind(alice, "b", "lacking", name="x") == (
            f"Forbidden: unable to resolve paramKind &{{e.com/v1 Foo}} to determine minimum required permissions {everywhere}"
        )
        assert await bind(admin, "b", "nope", name="x") == ""
