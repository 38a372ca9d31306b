"""Plugins that go by --admission-control-config-file, and the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from admission_requests import cluster_object, creating, pod, run, updating
from kubetree.api.errors import ApiError, Forbidden, TooManyRequests
from kubetree.apiserver.admission.build import PLUGINS, build_admission, enabled_plugins
from kubetree.apiserver.admission.configuration import Configuration, read_configuration
from kubetree.apiserver.admission.event_rate_limit import EventRateLimit
from kubetree.apiserver.admission.image_policy import ImagePolicyWebhook, Settings
from kubetree.apiserver.admission.node_declared_features import NodeDeclaredFeatureValidator
from kubetree.apiserver.admission.pod_node_selector import PodNodeSelector
from kubetree.apiserver.admission.pod_security import PodSecurity, settings
from kubetree.apiserver.admission.pod_toleration_restriction import DEFAULTS, WHITELIST, PodTolerationRestriction, covers, merged
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.admission.resource_quota import ResourceQuota
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.build import Authorization
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.webhooks import WebhookClient, of_client_config
from listed_objects import ListedObjects
from webhook_servers import webhook_server

Object = dict[str, Any]


def written(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_the_order_is_upstreams() -> None:
    names = [row.plugin.name for row in PLUGINS]
    assert names[-6:] == [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
        "AlwaysDeny",
    ]
    on = [row.plugin.name for row in enabled_plugins((), ())]
    assert {"NodeDeclaredFeatureValidator", "PodSecurity", "MutatingAdmissionWebhook"} <= set(on)
    assert enabled_plugins(("PodGroupProtection",), ("JobValidation",)) == enabled_plugins((), ())
    with pytest.raises(ValueError, match='enable-admission-plugins plugin "Nonsense" is unknown'):
        enabled_plugins(("Nonsense",), ())


def test_the_file_holds_configurations_or_names_files(tmp_path: Path) -> None:
    written(tmp_path / "quota.yaml", {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration"})
    plugins = [
        {"name": "PodSecurity", "configuration": {"apiVersion": "x/v1", "kind": "Y"}},
        {"name": "ResourceQuota", "path": "quota.yaml"},
    ]
    file = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}
    found = read_configuration(written(tmp_path / "file.yaml", file))
    assert found.of("ResourceQuota")["kind"] == "ResourceQuotaConfiguration"
    assert found.of("Priority") == {}
    with pytest.raises(ValueError, match="no kind is registered for x/v1, Kind=Y"):
        found.typed("PodSecurity", "pod-security.admission.config.k8s.io", "PodSecurityConfiguration")
    legacy = read_configuration(written(tmp_path / "old.yaml", {"podNodeSelectorPluginConfig": {"ns": "a=b"}}))
    assert legacy.of("PodNodeSelector")["podNodeSelectorPluginConfig"] == {"ns": "a=b"}
    for document in ("a: b", {"apiVersion": "v1", "kind": "Pod"}, "[1]", "{"):
        with pytest.raises(ValueError):
            read_configuration(written(tmp_path / "bad.yaml", document))
    with pytest.raises(ValueError, match="unable to read admission control configuration"):
        read_configuration(tmp_path / "none.yaml")


def test_a_server_does_not_start_on_configuration_that_is_none(tmp_path: Path) -> None:
    listed = ListedObjects()
    plugin = {
        "name": "EventRateLimit",
        "configuration": {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration"},
    }
    file = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": [plugin]}
    config = Config(enable_admission_plugins=("EventRateLimit",), admission_control_config_file=written(tmp_path / "f.yaml", file))
    with pytest.raises(ValueError, match="limits: Invalid value"):
        build_admission(config, listed.cached(), listed, Authorization(None, None))  # type: ignore[arg-type]


def namespace(name: str = "ns", **annotations: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}


class TestPodSecurity:
    GIVEN = {
        "defaults": {"enforce": "baseline", "enforce-version": "v1.30"},
        "exemptions": {"usernames": ["root"], "runtimeClasses": ["kata"], "namespaces": ["free"]},
    }

    def plugin(self) -> PodSecurity:
        listed = ListedObjects(namespace(), namespace("free"))
        return PodSecurity(listed.cached(), listed, settings(self.GIVEN))

    async def test_defaults_hold_where_a_namespace_says_nothing(self) -> None:
        insecure = {"containers": [{"name": "c", "image": "i"}], "hostNetwork": True}
        with pytest.raises(Forbidden, match=r'violates PodSecurity "baseline:v1\.30"'):
            await run(self.plugin(), creating(pod(spec=insecure)))

    @pytest.mark.parametrize(
        ("changes", "why"),
        [({"namespace": "free"}, "namespace"), ({"user": User("root")}, "user"), ({"runtime": "kata"}, "runtimeClass")],
    )
    async def test_the_exempt_are_noted_and_let_through(self, changes: Object, why: str) -> None:
        insecure: Object = {"containers": [{"name": "c", "image": "i"}], "hostNetwork": True}
        if "runtime" in changes:
            insecure["runtimeClassName"] = changes["runtime"]
        request = creating(
            pod(namespace=changes.get("namespace", "ns"), spec=insecure), **{k: v for k, v in changes.items() if k == "user"}
        )
        await run(self.plugin(), request)
        assert request.annotations["pod-security.kubernetes.io/exempt"] == why

    async def test_labels_on_an_exempt_namespace_are_warned_of(self) -> None:
        labelled = cluster_object("v1", "Namespace", "free")
        labelled["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
        request = creating(labelled)
        await run(self.plugin(), request)
        (warning,) = request.warnings
        assert warning == 'namespace "free" is exempt from Pod Security, and the policy (enforce=restricted:v1.30) will be ignored'

    def test_levels_must_be_levels(self) -> None:
        with pytest.raises(ValueError, match="must be one of privileged, baseline, restricted"):
            settings({"defaults": {"warn": "none"}})


class TestTolerations:
    async def test_a_namespaces_defaults_come_before_the_clusters(self) -> None:
        listed = ListedObjects(namespace(**{DEFAULTS: '[{"key": "a", "operator": "Exists"}]'}), namespace("other"))
        plugin = PodTolerationRestriction(listed.cached(), listed, [{"key": "b", "operator": "Exists"}])
        assert (await run(plugin, creating(pod())))["spec"]["tolerations"] == [{"key": "a", "operator": "Exists"}]
        assert (await run(plugin, creating(pod(namespace="other"))))["spec"]["tolerations"] == [{"key": "b", "operator": "Exists"}]

    async def test_only_what_the_whitelist_covers_is_let_in(self) -> None:
        listed = ListedObjects(namespace(**{WHITELIST: '[{"key": "a", "operator": "Exists"}]'}))
        plugin = PodTolerationRestriction(listed.cached(), listed)
        spec: Object = {"containers": [], "tolerations": [{"key": "a", "operator": "Equal", "value": "x"}]}
        await run(plugin, creating(pod(spec=spec)))
        spec["tolerations"].append({"key": "b", "operator": "Exists"})
        with pytest.raises(ApiError, match="conflict with its namespace whitelist"):
            await run(plugin, creating(pod(spec=spec)))

    def test_what_another_covers_is_dropped(self) -> None:
        everything, some = {"operator": "Exists"}, {"key": "a", "operator": "Equal", "value": "1", "effect": "NoSchedule"}
        assert merged([some, everything, some]) == [everything]
        assert merged([some, some]) == [some]
        timed = {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
        assert not covers(timed, {**timed, "tolerationSeconds": 20})
        assert covers(timed, {**timed, "tolerationSeconds": 5})
        assert not covers(some, {"key": "a", "operator": "Exists", "effect": "NoSchedule"})


class _Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_events_are_limited_by_namespace() -> None:
    clock = _Seconds()
    plugin = EventRateLimit([{"type": "Namespace", "qps": 1, "burst": 2}], clock)

    def event(where: str) -> AdmissionRequest:
        return creating({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": where}})

    for _ in range(2):
        await run(plugin, event("a"))
    with pytest.raises(TooManyRequests, match="limit reached on type Namespace for key a"):
        await run(plugin, event("a"))
    await run(plugin, event("b"))
    clock.now = 1.0
    await run(plugin, event("a"))


async def test_an_image_server_is_asked_once_for_the_same_images() -> None:
    asked = []

    def answer(review: Object) -> Object:
        asked.append(review["spec"])
        bad = any("bad" in c["image"] for c in review["spec"]["containers"])
        return {**review, "status": {"allowed": not bad, "reason": "bad image" if bad else ""}}

    clock = _Seconds()
    async with webhook_server() as server:
        client = WebhookClient(None)  # type: ignore[arg-type]
        plugin = ImagePolicyWebhook(Settings(of_client_config(server.on("/", answer)), 10, 0, 0, False), client, clock)
        try:
            for _ in range(2):
                await run(plugin, creating(pod(annotations={"x.image-policy.k8s.io/a": "b", "c": "d"})))
            assert asked == [{"containers": [{"image": "i"}], "annotations": {"x.image-policy.k8s.io/a": "b"}, "namespace": "ns"}]
            with pytest.raises(Forbidden, match="image policy webhook backend denied one or more images: bad image"):
                await run(plugin, creating(pod(spec={"containers": [{"name": "c", "image": "bad"}]})))
        finally:
            await client.close()
    settings = Settings(of_client_config({"url": "https://127.0.0.1:9/"}), 10, 0, 0, True)
    client = WebhookClient(None)  # type: ignore[arg-type]
    request = creating(pod())
    await run(ImagePolicyWebhook(settings, client, clock), request)
    await client.close()
    assert request.annotations["imagepolicywebhook.image-policy.k8s.io/failed-open"] == "true"


async def test_a_namespace_may_use_only_the_labels_that_it_is_given() -> None:
    listed = ListedObjects(namespace())
    plugin = PodNodeSelector(listed.cached(), listed, {"clusterDefaultNodeSelector": "zone=a", "ns": "zone=a,disk=ssd"})
    assert (await run(plugin, creating(pod())))["spec"]["nodeSelector"] == {"zone": "a"}
    with pytest.raises(Forbidden, match="pod node label selector labels conflict with its namespace whitelist"):
        await run(plugin, creating(pod(spec={"containers": [], "nodeSelector": {"gpu": "yes"}})))


async def test_what_is_limited_by_default_needs_a_quota() -> None:
    listed = ListedObjects()
    limited = [{"resource": "pods", "matchContains": ["requests.cpu"]}]
    plugin = ResourceQuota(listed.cached(), listed, lambda: None, limited)  # type: ignore[arg-type,return-value]
    hungry: Object = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}
    await run(plugin, creating(pod()))
    with pytest.raises(Forbidden, match=r"insufficient quota to consume: requests\.cpu"):
        await run(plugin, creating(pod(spec=hungry)))
    scoped = [{"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}]
    plugin = ResourceQuota(listed.cached(), listed, lambda: None, scoped)  # type: ignore[arg-type,return-value]
    with pytest.raises(ApiError, match=r"insufficient quota to match these scopes: \[\{PriorityClass In \[high\]\}\]"):
        await run(plugin, creating(pod(spec={**hungry, "priorityClassName": "high"})))


async def test_a_node_must_say_that_it_can_follow_a_change() -> None:
    node = cluster_object("v1", "Node", "n", status={"declaredFeatures": []})
    plugin = NodeDeclaredFeatureValidator(ListedObjects(node).cached())
    old = pod(spec={"nodeName": "n", "containers": []})
    new = pod(spec={"nodeName": "n", "containers": [], "resources": {"requests": {"cpu": "1"}}})
    feature = "InPlacePodLevelResourcesVerticalScaling"
    with pytest.raises(Forbidden, match=f'pod update requires features {feature} which are not available on node "n"'):
        await run(plugin, updating(new, old, subresource="resize"))
    node["status"]["declaredFeatures"] = [feature]
    await run(plugin, updating(new, old, subresource="resize"))


def test_no_file_configures_nothing() -> None:
    assert read_configuration(None) == Configuration()
