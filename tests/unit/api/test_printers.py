"""Tables say what kubectl's users are used to read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubetree.api.kind_table import EVERY_ROW, kind
from kubetree.api.kinds import Kind
from kubetree.api.printers import cells, columns, in_order, row_conditions
from kubetree.api.schema.definitions import definitions

NOW = datetime(2026, 1, 1, 1, 0, 0, tzinfo=UTC)
POD = kind("v1", "Pod")
Object = dict[str, Any]


def row(api_version: str, name: str, obj: Object) -> dict[str, Any]:
    """Cells by column name."""
    obj.setdefault("metadata", {})
    obj["metadata"] = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"} | obj["metadata"]
    row_kind = kind(api_version, name)
    return dict(zip((c["name"] for c in columns(row_kind)), cells(row_kind, obj, NOW), strict=True))


def pod(phase: str, *containers: Object, init: tuple[Object, ...] = (), spec: Object | None = None, **status: Any) -> Object:
    statuses = [{"name": f"c{i}", **c} for i, c in enumerate(containers)]
    inits = [{"name": f"i{i}", **c} for i, c in enumerate(init)]
    return {
        "spec": {"containers": [{}] * len(containers), "initContainers": [{"name": f"i{i}"} for i in range(len(init))]} | (spec or {}),
        "status": {"phase": phase, "containerStatuses": statuses, "initContainerStatuses": inits} | status,
    }


RUNNING: Object = {"ready": True, "state": {"running": {}}}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def done(code: int, **more: Any) -> Object:
    return {"state": {"terminated": {"exitCode": code} | more}}


def waits(reason: str) -> Object:
    return {"state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("obj", "ready", "status", "restarts"),
    [
        (pod("Pending"), "0/0", "Pending", "0"),
        (pod("Pending", waits("ContainerCreating")), "0/1", "ContainerCreating", "0"),
        (pod("Running", RUNNING), "1/1", "Running", "0"),
        (pod("Running", RUNNING | {"restartCount": 2}), "1/1", "Running", "2"),
        (
            pod("Running", waits("CrashLoopBackOff") | {"restartCount": 3, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}}),
            "0/1",
            "CrashLoopBackOff",
            "3 (5m ago)",
        ),
        (pod("Pending", waits("PodInitializing"), init=(waits("PodInitializing"), {})), "0/1", "Init:0/2", "0"),
        (pod("Pending", waits("x"), init=(done(0), {})), "0/1", "Init:1/2", "0"),
        (pod("Pending", waits("x"), init=(done(7) | {"restartCount": 1},)), "0/1", "Init:ExitCode:7", "1"),
        (pod("Pending", waits("x"), init=(waits("CrashLoopBackOff"),)), "0/1", "Init:CrashLoopBackOff", "0"),
        (pod("Succeeded", done(0, reason="Completed")), "0/1", "Completed", "0"),
        (pod("Failed", done(1)), "0/1", "ExitCode:1", "0"),
        (pod("Failed", done(137, signal=9)), "0/1", "Signal:9", "0"),
        (pod("Failed", reason="Evicted"), "0/0", "Evicted", "0"),
        (pod("Running", RUNNING, done(0, reason="Completed"), **READY), "1/2", "Running", "0"),
        (pod("Running", done(0, reason="Completed"), RUNNING, **READY), "1/2", "Running", "0"),
        (pod("Running", done(0, reason="Completed"), RUNNING), "1/2", "NotReady", "0"),
        (pod("Running", done(0, reason="Completed"), done(1, reason="Error")), "0/2", "Error", "0"),
        (pod("Running", RUNNING) | {"metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"}}, "1/1", "Terminating", "0"),
        (
            pod("Running", RUNNING, reason="NodeLost") | {"metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"}},
            "1/1",
            "Unknown",
            "0",
        ),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
            "0/0",
            "SchedulingGated",
            "0",
        ),
        (
            pod("Running", RUNNING, init=(RUNNING | {"started": True},), spec={"initContainers": [{"name": "i0", "restartPolicy": "Always"}]}),
            "2/2",
            "Running",
            "0",
        ),
    ],
)  # fmt: skip
def test_pod_states(obj: Object, ready: str, status: str, restarts: str) -> None:
    found = row("v1", "Pod", obj)
    assert (found["Ready"], found["Status"], found["Restarts"]) == (ready, status, restarts)


NAME = definitions()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["name"]["description"]


def test_wide_columns_have_priority_one() -> None:
    wide = [c["name"] for c in columns(POD) if c["priority"]]
    assert wide == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert columns(POD)[0] == {"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0}


def test_a_finished_pods_row_says_so() -> None:
    assert row_conditions(POD, pod("Succeeded")) == [
        {"type": "Completed", "status": "True", "reason": "Succeeded", "message": "The pod has completed successfully."}
    ]
    assert row_conditions(POD, pod("Running")) == []


def test_nodes() -> None:
    found = row(
        "v1",
        "Node",
        {
            "metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0", "kernelVersion": "6.1", "architecture": "amd64"},
            },
        },
    )
    assert found["Status"] == "NotReady,SchedulingDisabled"
    assert found["Roles"] == "control-plane,edge"
    assert (found["Internal-IP"], found["External-IP"], found["Kernel-Version"]) == ("10.0.0.1", "<none>", "6.1 (amd64)")
    assert found["Age"] == "60m"


def test_services() -> None:
    ports = [{"port": 80, "nodePort": 30000, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    found = row(
        "v1", "Service", {"spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "ports": ports, "selector": {"b": "c", "a": "b"}}}
    )
    assert found["External-IP"] == "<pending>"
    assert found["Port(s)"] == "80:30000/TCP,53/UDP"
    assert found["Selector"] == "a=b,b=c"


def test_workloads() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}
    found = row(
        "apps/v1",
        "Deployment",
        {"spec": {"replicas": 3, "template": template, "selector": {"matchLabels": {"a": "b"}}}, "status": {"readyReplicas": 2}},
    )
    assert (found["Ready"], found["Containers"], found["Images"], found["Selector"]) == ("2/3", "a,b", "x,y", "a=b")
    status = {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:30Z"}
    found = row(
        "batch/v1", "Job", {"spec": {"completions": 1}, "status": status | {"conditions": [{"type": "Complete", "status": "True"}]}}
    )
    assert (found["Status"], found["Completions"], found["Duration"]) == ("Complete", "1/1", "30s")


def test_autoscalers_of_both_versions_read_the_same() -> None:
    new = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 5,
            "minReplicas": 1,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    }
    old = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 5,
            "minReplicas": 1,
            "targetCPUUtilizationPercentage": 50,
        },
    }
    expected = row("autoscaling/v2", "HorizontalPodAutoscaler", new)
    assert expected["Targets"] == "cpu: <unknown>/50%"
    assert row("autoscaling/v1", "HorizontalPodAutoscaler", old) == expected


@pytest.mark.parametrize("row_kind", EVERY_ROW, ids=lambda k: f"{k.api_version}.{k.kind}")
def test_every_kind_prints_an_almost_empty_object(row_kind: Kind) -> None:
    obj = {"apiVersion": row_kind.api_version, "kind": row_kind.kind, "metadata": {"name": "x"}}
    unnamed = row_kind.kind == "IPAddress"  # upstream gives its age without a column for it
    assert len(cells(row_kind, obj, NOW)) == len(columns(row_kind)) + unnamed


def test_kinds_without_a_printer_show_when_they_were_created() -> None:
    assert row("rbac.authorization.k8s.io/v1", "Role", {}) == {"Name": "x", "Created At": "2026-01-01T00:00:00Z"}


def test_flow_schemas_stand_in_the_order_in_which_they_are_tried() -> None:
    def schema(name: str, precedence: int) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}}

    found = in_order(kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"), [schema("a", 9), schema("c", 1), schema("b", 1)])
    assert [obj["metadata"]["name"] for obj in found] == ["b", "c", "a"]
