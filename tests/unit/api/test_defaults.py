"""What a client leaves out is filled in as upstream does."""

import copy
from typing import Any

import pytest

from kubetree.api.defaults import apply_defaults
from kubetree.api.defaults.images import pull_policy
from kubetree.api.kind_table import kind


def defaulted(api_version: str, name: str, **parts: Any) -> dict[str, Any]:
    obj = {"apiVersion": api_version, "kind": name, "metadata": {"name": "x"}, **parts}
    apply_defaults(kind(api_version, name), obj)
    return obj


def pod_spec(**parts: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "nginx:1", **parts}]}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.2", "IfNotPresent"),
        ("localhost:5000/a/b", "Always"),
        ("localhost:5000/a/b:v1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("Not A Reference", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_pods_requests_follow_its_limits_in_canonical_form() -> None:
    pod = defaulted("v1", "Pod", spec=pod_spec(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "100m"}}))
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}}


def test_a_templates_requests_do_not_follow_its_limits() -> None:
    deployment = defaulted("apps/v1", "Deployment", spec={"template": {"spec": pod_spec(resources={"limits": {"cpu": "1"}})}})
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert "enableServiceLinks" not in deployment["spec"]["template"]["spec"]


def test_a_pod_gets_every_default_of_its_spec() -> None:
    spec = defaulted("v1", "Pod", spec=pod_spec() | {"volumes": [{"name": "v"}], "serviceAccount": "robot"})["spec"]
    assert spec["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert spec["serviceAccountName"] == "robot"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert (spec["dnsPolicy"], spec["restartPolicy"], spec["schedulerName"]) == ("ClusterFirst", "Always", "default-scheduler")
    assert spec["containers"][0]["terminationMessagePath"] == "/dev/termination-log"


def test_host_network_takes_container_ports_on_the_host() -> None:
    pod = defaulted("v1", "Pod", spec=pod_spec(ports=[{"containerPort": 80}]) | {"hostNetwork": True})
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    template = {"spec": pod_spec(ports=[{"containerPort": 80}]) | {"hostNetwork": True}}
    for version, owner in (("apps/v1", "DaemonSet"), ("apps/v1", "Deployment"), ("batch/v1", "Job")):  # their pods get it, the template not
        made = defaulted(version, owner, spec={"template": copy.deepcopy(template)})
        assert made["spec"]["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_pod_level_requests_come_from_the_containers() -> None:
    spec = pod_spec(resources={"requests": {"cpu": "100m"}}) | {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    assert defaulted("v1", "Pod", spec=spec)["spec"]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_a_service_of_each_type() -> None:
    spec = defaulted("v1", "Service", spec={"ports": [{"port": 80}]})["spec"]
    assert spec == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
    }
    spec = defaulted("v1", "Service", spec={"type": "LoadBalancer", "sessionAffinity": "ClientIP"})["spec"]
    assert spec["externalTrafficPolicy"] == "Cluster"
    assert spec["allocateLoadBalancerNodePorts"] is True
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_workloads() -> None:
    spec = defaulted("apps/v1", "Deployment", spec={"template": {"spec": pod_spec()}})["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    spec = defaulted("batch/v1", "Job", spec={"template": {"spec": pod_spec()}, "backoffLimitPerIndex": 1})["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 2147483647)
    rc = defaulted("v1", "ReplicationController", spec={"template": {"metadata": {"labels": {"a": "b"}}, "spec": pod_spec()}})
    assert rc["spec"]["selector"] == rc["metadata"]["labels"] == {"a": "b"}


def test_string_data_of_a_secret_becomes_data() -> None:
    secret = defaulted("v1", "Secret", stringData={"a": "hi"}, data={"b": "eA=="})
    assert secret["data"] == {"a": "aGk=", "b": "eA=="}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_limit_range_defaults_follow_max_and_min() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    limits = defaulted("v1", "LimitRange", spec={"limits": [item]})["spec"]["limits"][0]
    assert limits["default"] == {"cpu": "2"}
    assert limits["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_an_autoscaler_scales_by_cpu() -> None:
    spec = defaulted("autoscaling/v2", "HorizontalPodAutoscaler", spec={"behavior": {"scaleUp": {"selectPolicy": "Min"}}})["spec"]
    assert spec["metrics"][0]["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert spec["behavior"]["scaleUp"]["selectPolicy"] == "Min"
    assert spec["behavior"]["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
