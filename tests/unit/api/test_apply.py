"""Server-side apply and managedFields: who owns what after whose write."""

import copy
import json

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubetree.api import errors
from kubetree.api.apply import apply, custom_type, server_side_apply, track_update, type_of_kind
from kubetree.api.apply import field_sets as fs
from kubetree.api.conversion import convert
from kubetree.api.kind_table import kind
from kubetree.api.kinds import STATUS, Kind

POD, DEPLOYMENT, SERVICE, CONFIG_MAP = kind("v1", "Pod"), kind("apps/v1", "Deployment"), kind("v1", "Service"), kind("v1", "ConfigMap")
T1, T2, T3 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def config_map(labels=None, **data):
    metadata = {"name": "c", "namespace": "ns"} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **({"data": data} if data else {})}


def deployment(replicas=None, containers=(), **metadata):
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": list(containers)}}}
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "ns", **metadata}, "spec": spec}


def owners(obj):
    """{manager/operation: fieldsV1}"""
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


def paths(obj, owner):
    return {fs.path_text(p) for p in fs.paths(owners(obj).get(owner, {}))}


def applied(live, config, manager="a", force=False, now=T1, which=CONFIG_MAP, **kw):
    return apply(which, live, config, manager=manager, force=force, now=now, **kw)


def updated(live, new, manager="u", now=T2, which=CONFIG_MAP, subresource=""):
    new = copy.deepcopy(new)
    track_update(which, live, new, manager=manager, now=now, subresource=subresource)
    return new


# ownership by update


def test_a_create_owns_what_it_says_but_not_identity_and_status() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"run": "x"}, "creationTimestamp": T1},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}], "securityContext": {}},
        "status": {"phase": "Pending"},
    }
    track_update(POD, None, pod, manager="kubectl-run", now=T1)
    (entry,) = pod["metadata"]["managedFields"]
    assert {k: v for k, v in entry.items() if k != "fieldsV1"} == {
        "manager": "kubectl-run", "operation": "Update", "apiVersion": "v1", "time": T1, "fieldsType": "FieldsV1",
    }  # fmt: skip
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:run": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:image": {},
                    "f:resources": {},
                    "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                }
            },
            "f:securityContext": {},
        },
    }


def test_a_status_update_owns_status_only_and_says_so() -> None:
    live = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [{"name": "c"}]}}
    track_update(POD, None, live, manager="kubectl", now=T1)
    new = copy.deepcopy(live) | {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    new["spec"]["nodeName"] = "n"
    track_update(POD, live, new, manager="kubelet", now=T2, subresource="status")
    entry = new["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"], entry["time"]) == ("kubelet", "status", T2)
    times = {"f:lastProbeTime": {}, "f:lastTransitionTime": {}}
    conditions = {".": {}, 'k:{"type":"Ready"}': {".": {}, "f:type": {}, "f:status": {}, **times}}
    assert entry["fieldsV1"] == {"f:status": {"f:conditions": conditions}}


def test_who_changes_a_field_takes_it_and_only_changed_entries_get_a_new_time() -> None:
    live = updated(None, config_map(a="1", b="1"), "one", T1)
    new = updated(live, config_map(a="2", b="1") | {"metadata": live["metadata"] | {"uid": "u"}}, "two", T2)
    assert paths(new, "one/Update") == {".data", ".data.b"} and paths(new, "two/Update") == {".data.a"}
    assert [e["time"] for e in new["metadata"]["managedFields"]] == [T1, T2]
    same = updated(new, new, "three", T3)
    assert same["metadata"]["managedFields"] == new["metadata"]["managedFields"]


def test_a_removed_field_is_owned_by_nobody() -> None:
    live = updated(None, config_map(a="1", b="1"), "one", T1)
    new = updated(live, config_map(b="1"), "two", T2)
    assert owners(new) == {"one/Update": {"f:data": {".": {}, "f:b": {}}}}


def test_an_empty_list_of_managed_fields_clears_them() -> None:
    live = updated(None, config_map(a="1"), "one", T1)
    new = config_map(a="2")
    new["metadata"]["managedFields"] = []
    track_update(CONFIG_MAP, live, new, manager="two", now=T2)
    assert "managedFields" not in new["metadata"]
    later = updated(new, config_map(a="3"), "two", T3)
    assert "managedFields" not in later["metadata"], "an object without managers gets none"


def test_broken_managed_fields_in_a_request_leave_the_standing_ones() -> None:
    live = updated(None, config_map(a="1"), "one", T1)
    new = config_map(a="1")
    new["metadata"]["managedFields"] = [{"manager": "x", "operation": "Steal"}]
    track_update(CONFIG_MAP, live, new, manager="two", now=T2)
    assert owners(new) == owners(live)


def test_an_eleventh_updater_makes_the_oldest_ancient() -> None:
    obj = None
    for i in range(12):
        new = config_map(**{f"k{j}": "v" for j in range(i + 1)})
        if obj:
            new["metadata"]["managedFields"] = obj["metadata"]["managedFields"]
        obj = updated(obj, new, f"m{i}", f"2026-01-01T00:00:{i:02}Z")
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == 10
    (ancient,) = (e for e in entries if e["manager"] == "ancient-changes")
    assert set(ancient["fieldsV1"]["f:data"]) == {".", "f:k0", "f:k1", "f:k2"}


# apply


def test_apply_creates_and_owns_exactly_its_configuration() -> None:
    new = applied(None, config_map({"x": "y"}, a="1"))
    assert new["data"] == {"a": "1"}
    assert owners(new) == {"a/Apply": {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}}
    assert new["metadata"]["managedFields"][0]["time"] == T1


def test_what_is_no_longer_applied_goes_unless_others_own_it() -> None:
    one = applied(None, config_map(a="1", b="1", c="1"), "one")
    two = applied(one, config_map(b="1"), "two", now=T2)
    less = applied(two, config_map(a="1"), "one", now=T3)
    assert less["data"] == {"a": "1", "b": "1"}
    assert paths(less, "one/Apply") == {".data.a"} and paths(less, "two/Apply") == {".data.b"}
    none = applied(less, config_map(), "one", now=T3)
    assert none["data"] == {"b": "1"} and "one/Apply" not in owners(none)


def test_a_different_value_conflicts_unless_forced() -> None:
    one = applied(None, config_map(a="1", b="1"), "one")
    with pytest.raises(errors.Conflict) as conflict:
        applied(one, config_map(a="2"), "two")
    assert conflict.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert [c.to_dict() for c in conflict.value.causes] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    forced = applied(one, config_map(a="2"), "two", force=True, now=T2)
    assert forced["data"] == {"a": "2", "b": "1"}
    assert paths(forced, "one/Apply") == {".data.b"} and paths(forced, "two/Apply") == {".data.a"}


def test_equal_values_are_shared_without_conflict() -> None:
    one = applied(None, config_map(a="1"), "one")
    both = applied(one, config_map(a="1"), "two", now=T2)
    assert paths(both, "one/Apply") == paths(both, "two/Apply") == {".data.a"}


def test_conflicts_with_an_updater_name_its_version_and_subresource() -> None:
    live = updated(None, deployment(1, [{"name": "c", "image": "1"}]), "kubectl-create", T1, DEPLOYMENT)
    new = copy.deepcopy(live)
    new["spec"]["replicas"] = 5
    track_update(DEPLOYMENT, live, new, manager="scaler", now=T2, subresource="scale")
    with pytest.raises(errors.Conflict) as conflict:
        applied(new, deployment(3, [{"name": "c", "image": "2"}]), "me", which=DEPLOYMENT)
    assert conflict.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-create" using apps/v1:\n'
        '- .spec.template.spec.containers[name="c"].image\n'
        'conflicts with "scaler" with subresource "scale" using apps/v1:\n'
        "- .spec.replicas"
    )


def test_an_update_to_an_applied_field_takes_it_from_the_applier() -> None:
    one = applied(None, config_map(a="1"), "one")
    new = copy.deepcopy(one)
    new["data"]["a"] = "2"
    track_update(CONFIG_MAP, one, new, manager="edit", now=T2)
    assert owners(new) == {"edit/Update": {"f:data": {"f:a": {}}}}


def test_list_items_are_owned_by_their_keys_and_merge() -> None:
    one = applied(None, deployment(1, [{"name": "c", "image": "1", "env": [{"name": "A", "value": "1"}]}]), "one", which=DEPLOYMENT)
    config = deployment(None, [{"name": "c", "env": [{"name": "B", "value": "2"}]}, {"name": "side", "image": "s"}])
    two = applied(one, config, "two", which=DEPLOYMENT, now=T2)
    containers = two["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["c", "side"]
    assert {e["name"] for e in containers[0]["env"]} == {"A", "B"} and containers[0]["image"] == "1"
    without_side = applied(two, deployment(None, [{"name": "c"}]), "two", which=DEPLOYMENT, now=T3)
    containers = without_side["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["c"] and containers[0]["env"] == [{"name": "A", "value": "1"}]


def test_atomic_lists_and_maps_are_owned_whole() -> None:
    one = applied(None, deployment(1, [{"name": "c", "args": ["a"]}]), "one", which=DEPLOYMENT)
    assert '.spec.template.spec.containers[name="c"].args' in paths(one, "one/Apply") and ".spec.selector" in paths(one, "one/Apply")
    with pytest.raises(errors.Conflict, match=r"\.args"):
        applied(one, deployment(None, [{"name": "c", "args": ["a", "b"]}]), "two", which=DEPLOYMENT)


def test_sets_of_scalars() -> None:
    def config(*finalizers):
        return config_map() | {"metadata": {"name": "c", "finalizers": list(finalizers)}}

    one = applied(None, config("x/a", "x/b"), "one")
    assert paths(one, "one/Apply") == {'.metadata.finalizers[="x/a"]', '.metadata.finalizers[="x/b"]'}
    two = applied(one, config("x/b", "x/c"), "two", now=T2)
    assert set(two["metadata"]["finalizers"]) == {"x/a", "x/b", "x/c"}
    assert applied(two, config(), "one", now=T3)["metadata"]["finalizers"] == ["x/b", "x/c"]


def test_ports_of_a_service_are_told_apart_by_port_and_protocol() -> None:
    def service(*ports):
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports)}}

    one = applied(None, service({"port": 53, "protocol": "UDP", "name": "u"}), "one", which=SERVICE)
    two = applied(one, service({"port": 53, "name": "t"}), "two", which=SERVICE, now=T2)
    assert len(two["spec"]["ports"]) == 2
    assert '.spec.ports[port=53,protocol="TCP"].name' in paths(two, "two/Apply")


def test_applying_the_same_again_changes_nothing() -> None:
    one = applied(None, config_map({"x": "y"}, a="1"), now=T1)
    assert applied(one, config_map({"x": "y"}, a="1"), now=T3) == one


def test_what_was_there_before_the_first_apply_has_an_owner() -> None:
    live = config_map(a="1", b="1")
    with pytest.raises(errors.Conflict, match='conflict with "before-first-apply" using v1'):
        applied(live, config_map(a="2"))
    new = applied(live, config_map(a="1"), now=T2)
    assert paths(new, "before-first-apply/Update") == {".data", ".data.a", ".data.b"}


def test_kubectl_takes_over_from_client_side_apply() -> None:
    last = config_map(a="1", b="1")
    live = config_map(a="1", b="edited")
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(last)}
    live = updated(None, live, "kubectl-client-side-apply", T1)
    new = applied(live, config_map(a="2"), "kubectl", now=T2)
    assert new["data"]["a"] == "2"
    annotation = json.loads(new["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
    assert annotation["data"] == {"a": "2"}
    with pytest.raises(errors.Conflict, match=r"\.data\.b"):
        applied(live, config_map(b="2"), "kubectl")
    with pytest.raises(errors.Conflict, match=r"\.data\.a"):
        applied(live, config_map(a="2"), "someone")


def test_status_is_nobodys_by_applying_to_the_main_resource() -> None:
    config = deployment(1) | {"status": {"replicas": 3}}
    assert not any(path.startswith(".status") for path in paths(applied(None, config, which=DEPLOYMENT), "a/Apply"))
    status = applied(deployment(1), deployment(1) | {"status": {"replicas": 3}}, which=DEPLOYMENT, subresource="status")
    entry = next(e for e in status["metadata"]["managedFields"] if e["operation"] == "Apply")
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}} and entry["subresource"] == "status"


@pytest.mark.parametrize(
    ("config", "error", "why"),
    [
        (config_map() | {"kind": "Secret"}, errors.BadRequest, "invalid object type: /v1, Kind=Secret"),
        (config_map() | {"metadata": {"managedFields": []}}, errors.BadRequest, "metadata.managedFields must be nil"),
        (config_map() | {"bogus": 1}, errors.ApiError, r"failed to create typed patch object \(ns/c; /v1, Kind=ConfigMap\): .bogus: field not declared in schema"),
        (config_map(a=1), errors.ApiError, r"\.data\.a: expected string, got &value.valueUnstructured\{Value:1\}"),
        (config_map(a={"b": [None], "a": 1.5}), errors.ApiError, r'Value:map\[string\]interface \{\}\{"a":1.5, "b":\[\]interface \{\}\{interface \{\}\(nil\)\}\}\}'),
        (config_map() | {"data": []}, errors.ApiError, r"\.data: expected map"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(config, error, why) -> None:
    with pytest.raises(error, match=why):
        applied(None, config)


def test_items_with_the_same_keys_are_refused() -> None:
    with pytest.raises(errors.ApiError, match=r'duplicate entries for key \[name="c"\]'):
        applied(None, deployment(1, [{"name": "c"}, {"name": "c"}]), which=DEPLOYMENT)


def test_an_item_that_leaves_its_key_out_has_the_keys_zero_value() -> None:
    """OpenAPI says so; that a container needs a name is for validation."""
    new = applied(None, deployment(1, [{"image": "x"}]), which=DEPLOYMENT)
    assert '.spec.template.spec.containers[name=""].image' in paths(new, "a/Apply")


# custom resources

THING = Kind("example.com", "v1", "Thing", "things", subresources=(STATUS,))


def thing(**spec):
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


def test_custom_resources_without_a_schema_own_every_map_entry() -> None:
    one = applied(None, thing(a={"b": 1}, l=[1]), which=THING)
    assert paths(one, "a/Apply") == {".spec", ".spec.a", ".spec.a.b", ".spec.l"}
    two = applied(one, thing(a={"c": 1}), "b", which=THING)
    assert two["spec"]["a"] == {"b": 1, "c": 1}
    with pytest.raises(errors.Conflict):
        applied(one, thing(l=[1, 2]), "b", which=THING)


def test_custom_resources_follow_their_schema() -> None:
    items = {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}
    ports = {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"ports": ports}}, "status": {"type": "object"}}}
    kw = {"which": THING, "type": custom_type(schema)}
    one = applied(None, thing(ports=[{"id": "a", "n": 1}]), "one", **kw)
    two = applied(one, thing(ports=[{"id": "b", "n": 2}]), "two", **kw)
    assert two["spec"]["ports"] == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
    with pytest.raises(errors.ApiError, match=r"\.spec\.bogus: field not declared in schema"):
        applied(None, thing(bogus=1), **kw)


def test_what_a_new_schema_makes_atomic_is_owned_whole() -> None:
    def schema(**more):
        settings = {"type": "object", "additionalProperties": {"type": "string"}, **more}
        return custom_type({"type": "object", "properties": {"spec": {"type": "object", "properties": {"m": settings}}}})

    granular, atomic = schema(), schema(**{"x-kubernetes-map-type": "atomic"})
    one = applied(None, thing(m={"a": "1"}), "one", which=THING, type=granular)
    assert paths(one, "one/Apply") == {".spec.m.a"}
    with pytest.raises(errors.Conflict, match=r"\.spec\.m$"):
        applied(one, thing(m={"b": "1"}), "two", which=THING, type=atomic)
    assert applied(one, thing(m={"b": "1"}), "two", which=THING, type=granular)["spec"]["m"] == {"a": "1", "b": "1"}


def test_versions_of_a_custom_resource_share_ownership() -> None:
    """A manager that goes on at another version still owns, and prunes, what it applied before."""
    later = Kind("example.com", "v2", "Thing", "things")
    one = applied(None, thing(a=1, b=1), "one", which=THING)
    two = applied(one | {"apiVersion": "example.com/v2"}, thing(a=1) | {"apiVersion": "example.com/v2"}, "one", which=later, now=T2)
    assert two["spec"] == {"a": 1} and two["metadata"]["managedFields"][0]["apiVersion"] == "example.com/v2"


def test_versions_of_a_built_in_kind_are_compared_each_in_its_own_terms() -> None:
    v1, v2 = kind("autoscaling/v1", "HorizontalPodAutoscaler"), kind("autoscaling/v2", "HorizontalPodAutoscaler")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    config = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec}
    live = convert(applied(None, config, "one", which=v1), "autoscaling/v2")
    new = copy.deepcopy(live)
    new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] = 70
    track_update(v2, live, new, manager="two", now=T2)
    assert ".spec.targetCPUUtilizationPercentage" not in paths(new, "one/Apply") and ".spec.maxReplicas" in paths(new, "one/Apply")
    assert ".spec.metrics" in paths(new, "two/Update")


def test_managers_of_versions_that_are_no_more_are_forgotten() -> None:
    live = updated(None, config_map({"x": "y"}, a="1"), "one", T1)
    live["metadata"]["managedFields"].append(live["metadata"]["managedFields"][0] | {"apiVersion": "v0", "manager": "old"})
    new = updated(live, config_map({"x": "y"}, a="2") | {"metadata": copy.deepcopy(live["metadata"])}, "two", T2)
    assert {owner.partition("/")[0] for owner in owners(new)} == {"one", "two"}


def test_the_order_of_a_list_is_the_appliers_with_others_in_between() -> None:
    def names(*wanted):
        return deployment(None, [{"name": name, "image": "i"} for name in wanted])

    live = applied(None, names("a", "b", "c"), "one", which=DEPLOYMENT)
    new = applied(live, names("c", "x", "a"), "two", which=DEPLOYMENT)
    assert [c["name"] for c in new["spec"]["template"]["spec"]["containers"]] == ["b", "c", "x", "a"]


# properties

VALUES = st.sampled_from(["1", "2", "3"])
DATA = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), DATA), min_size=1, max_size=8))
def test_an_applied_object_is_what_its_appliers_last_said(steps) -> None:
    live, last = None, {}
    for manager, data in steps:
        live = applied(live, config_map(**data), manager, force=True, now=T1)
        for other in last:
            if other != manager:
                last[other] = {k: v for k, v in last[other].items() if k not in data or data[k] == v}
        last[manager] = dict(data)
    wanted = {}
    for data in last.values():
        wanted |= data
    assert (live.get("data") or {}) == wanted
    for manager, data in last.items():
        assert paths(live, f"{manager}/Apply") == {f".data.{k}" for k in data}


@given(DATA, DATA, DATA)
def test_unforced_apply_either_conflicts_or_harms_nobody(first, second, third) -> None:
    live = applied(None, config_map(**first), "one")
    live = updated(live, config_map(**(first | third)) | {"metadata": live["metadata"]}, "edit")
    try:
        new = applied(live, config_map(**second), "two", now=T3)
    except errors.Conflict:
        assert any((first | third).get(k, v) != v for k, v in second.items())
        return
    assert new.get("data", {}) == first | third | second
    for owner in ("one/Apply", "edit/Update"):
        assert paths(new, owner) == paths(live, owner)


@st.composite
def sets(draw):
    found = draw(st.lists(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":"1"}', 'v:"x"']), min_size=1, max_size=3).map(tuple), max_size=6))
    tree: fs.Node = {}
    for path in found:
        child = fs.LEAF
        for key in reversed(path):
            child = {key: child}
        tree = fs.union(tree, child)
    return tree, set(found)


@given(sets(), sets())
def test_field_sets_are_sets_of_paths(one, other) -> None:
    (a, pa), (b, pb) = one, other
    assert set(fs.paths(a)) == pa
    assert set(fs.paths(fs.union(a, b))) == pa | pb
    assert set(fs.paths(fs.difference(a, b))) == pa - pb
    assert set(fs.paths(fs.intersection(a, b))) == pa & pb
    assert set(fs.paths(fs.recursive_difference(a, b))) == {p for p in pa if not any(p[: len(q)] == q for q in pb)}
    assert fs.union(a, a) == a and fs.difference(a, a) == {} and fs.intersection(a, a) == a
    assert all(fs.has(a, p) for p in pa)


@given(DATA, DATA)
def test_an_update_owns_exactly_what_it_changed(old, new) -> None:
    live = updated(None, config_map({"x": "y"}, **old), "one", T1)
    changed = updated(live, config_map({"x": "y"}, **new) | {"metadata": live["metadata"]}, "two", T2)
    assert {p for p in paths(changed, "two/Update") if p.startswith(".data.")} == {f".data.{k}" for k, v in new.items() if old.get(k) != v}
    assert {p for p in paths(changed, "one/Update") if p.startswith(".data.")} == {f".data.{k}" for k, v in old.items() if new.get(k) == v}


NAMES = st.sampled_from(["a", "b", "c"])
ENV = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3, unique_by=lambda e: e[0]).map(
    lambda es: [{"name": n, "value": v} for n, v in es]
)
CONTAINERS = st.lists(
    st.tuples(NAMES, st.none() | VALUES, st.none() | ENV, st.none() | st.lists(VALUES, max_size=2)),
    min_size=1,
    max_size=3,
    unique_by=lambda c: c[0],
).map(lambda cs: [{k: v for k, v in zip(("name", "image", "env", "args"), c, strict=True) if v is not None} for c in cs])
STEPS = st.lists(st.tuples(st.sampled_from(["apply", "update"]), st.sampled_from(["one", "two"]), st.none() | st.integers(0, 2), CONTAINERS), min_size=1, max_size=6)  # fmt: skip


LAST_ENTRY_GOES = [
    ("update", "one", None, [{"name": "a", "env": [{"name": "b", "value": "1"}]}]),
    ("apply", "one", None, [{"name": "a", "env": [{"name": "a", "value": "1"}]}]),
    ("update", "one", None, [{"name": "a", "env": [{"name": "a", "value": "1"}]}]),
    ("apply", "one", None, [{"name": "a"}]),
]


@given(STEPS)
@example(LAST_ENTRY_GOES)
def test_owners_own_only_what_is_there_and_appliers_get_what_they_said(steps) -> None:
    """Whatever appliers and updaters do to nested lists: owned fields exist, the configuration holds, and saying it again changes nothing."""
    of_type, live = type_of_kind(DEPLOYMENT), None
    for operation, manager, replicas, containers in steps:
        config = deployment(replicas, containers)
        if operation == "update":
            new = copy.deepcopy(config)
            track_update(DEPLOYMENT, live, new, manager=manager, now=T1)
            live = new
            assert not live["metadata"].get("managedFields") or all(e["fieldsV1"] for e in live["metadata"]["managedFields"])
        else:
            live = applied(live, config, manager, force=True, which=DEPLOYMENT)
            mentioned = fs.difference(
                of_type.to_set(config) or {}, {"f:metadata": {"f:name": {}, "f:namespace": {}}, "f:apiVersion": {}, "f:kind": {}}
            )
            assert of_type.merge(live, config) == live
            assert set(fs.paths(owners(live).get(f"{manager}/Apply", {}))) == set(fs.paths(mentioned))
            again = applied(live, config, manager, force=True, which=DEPLOYMENT, now=T3)
            assert again == live
        there = set(fs.paths(of_type.added(live)))
        for owner, fields in owners(live).items():
            missing = set(fs.paths(fields)) - there
            assert not missing, (owner, sorted(map(fs.path_text, missing)))


@given(STEPS)
@example(LAST_ENTRY_GOES)
def test_who_says_at_least_what_he_said_before_prunes_nothing(steps) -> None:
    """The short way of most applies comes to the same as the long one."""
    live = None
    for operation, manager, replicas, containers in steps:
        config = deployment(replicas, containers)
        if operation == "update":
            new = copy.deepcopy(config)
            track_update(DEPLOYMENT, live, new, manager=manager, now=T1)
            live = new
            continue
        short = applied(live, config, manager, force=True, which=DEPLOYMENT, now=T2)
        with pytest.MonkeyPatch.context() as never:
            never.setattr(server_side_apply._Apply, "_says_it_all", lambda self, last, managed: False)
            assert applied(live, config, manager, force=True, which=DEPLOYMENT, now=T2) == short
        live = short


def test_a_null_that_is_applied_is_a_change_of_the_value() -> None:
    service = kind("v1", "Service")
    live = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"type": "NodePort"}}
    track_update(service, None, live, manager="other", now="2026-01-01T00:00:00Z")
    applied = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"type": None}}
    with pytest.raises(errors.Conflict):
        apply(service, live, applied, manager="me", force=False, now="2026-01-01T00:00:00Z")
    forced = apply(service, live, applied, manager="me", force=True, now="2026-01-01T00:00:00Z")
    assert "type" not in (forced.get("spec") or {})


def test_a_null_is_a_key_as_well() -> None:
    port = {"port": 80, "protocol": None}
    applied = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [port]}}
    new = apply(kind("v1", "Service"), None, applied, manager="me", force=False, now="2026-01-01T00:00:00Z")
    owned = new["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert list(owned) == ['k:{"port":80,"protocol":null}']


def test_a_map_that_lost_its_last_entry_stays_whose_it_was() -> None:
    made = updated(None, config_map({"l": "1"}, k="v"))
    taken = applied(made, config_map({"l": "2"}, k="w"), force=True)
    left = applied(taken, config_map())
    assert "data" not in left and "labels" not in left["metadata"]
    assert owners(left) == {"u/Update": {"f:data": {}, "f:metadata": {"f:labels": {}}}}


def test_fields_are_written_in_order() -> None:
    fields = {"f:spec": {"f:b": {}, ".": {}, "f:a": {}}, "f:metadata": {}}
    assert orjson.dumps(fs.ordered(fields)) == b'{"f:metadata":{},"f:spec":{".":{},"f:a":{},"f:b":{}}}'
    ports = {f'k:{{"containerPort":{port},"protocol":"TCP"}}': {} for port in (443, 8080, 80)}
    assert list(fs.ordered(ports)) == [f'k:{{"containerPort":{port},"protocol":"TCP"}}' for port in (80, 443, 8080)]
    assert list(fs.ordered({"v:10": {}, "v:9": {}, 'v:"a"': {}, ".": {}})) == [".", "v:9", "v:10", 'v:"a"']


def test_whoever_creates_and_whoever_changes_owns_fields_in_order() -> None:
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"b": "1", "a": "1"}}
    track_update(CONFIG_MAP, None, new, manager="m", now="")
    assert orjson.dumps(new["metadata"]["managedFields"][0]["fieldsV1"]) == b'{"f:data":{".":{},"f:a":{},"f:b":{}}}'
    changed = {**new, "metadata": dict(new["metadata"]), "data": {**new["data"], "0": "1"}}
    track_update(CONFIG_MAP, new, changed, manager="m", now="")
    assert orjson.dumps(changed["metadata"]["managedFields"][0]["fieldsV1"]) == b'{"f:data":{".":{},"f:0":{},"f:a":{},"f:b":{}}}'
