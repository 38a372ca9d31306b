"""Smaller pure parts: back-off, admission, images, static pods, node status, credentials, atomic files, CRI tables, flags."""

from __future__ import annotations

import argparse
import base64
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from kubetree.cluster import containerd, images
from kubetree.kubelet import admission, cri_config, image_credentials, image_manager, main, node_status, pod_events, specs, static_pods
from kubetree.kubelet.backoff import Backoff
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.cri.messages import MESSAGES, METHODS, request_type, response_type
from kubetree.kubelet.environment import ConfigError
from kubetree.kubelet.machine import Machine
from kubetree.kubelet.server.authorization import certificate_caller, subresources
from kubetree.kubelet.volumes import atomic_writer, subpath
from kubetree.kubelet.volumes.atomic_writer import Content
from kubetree.kubelet.volumes.plugin import VolumeError

Object = dict[str, Any]


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_backoff_doubles_up_to_its_limit_and_is_forgotten() -> None:
    backoff = Backoff(10, 300)
    assert backoff.remaining("k", 0, 0) == 0
    delays = []
    now = 0.0
    for _ in range(7):
        backoff.next("k", now, now)
        delays.append(backoff.delay("k"))
        now += delays[-1]
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert backoff.remaining("k", now, now + 100) == 200
    assert backoff.remaining("k", now + 700, now + 700) == 0, "after twice the longest delay it counts as well"


class TestAdmission:
    ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "3"}

    def test_resources(self) -> None:
        big = pod()
        big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}}
        assert admission.admit(big, [], self.ALLOCATABLE, None) is None
        reason, message = admission.admit(big, [big], self.ALLOCATABLE, None) or ("", "")
        assert (reason, message) == ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000")
        assert (admission.admit(pod(), [pod()] * 3, self.ALLOCATABLE, None) or ("",))[0] == "OutOfpods"

    def test_labels(self) -> None:
        node: Object = {"metadata": {"name": "n", "labels": {"zone": "a"}}, "spec": {}}
        assert admission.admit(pod(nodeSelector={"zone": "a"}), [], self.ALLOCATABLE, node) is None
        assert (admission.admit(pod(nodeSelector={"zone": "b"}), [], self.ALLOCATABLE, node) or ("",))[0] == "NodeAffinity"
        terms = [{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}]
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
        assert (admission.admit(pod(affinity=affinity), [], self.ALLOCATABLE, node) or ("",))[0] == "NodeAffinity"

    def test_ports(self) -> None:
        taken = pod()
        taken["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
        assert (admission.admit(taken, [taken], self.ALLOCATABLE, None) or ("",))[0] == "NodePorts"

    def test_sysctls(self) -> None:
        safe, unsafe = ({"sysctls": [{"name": name, "value": "1"}]} for name in ("net/ipv4/tcp_syncookies", "kernel.msgmax"))
        assert admission.admit(pod(securityContext=safe), [], self.ALLOCATABLE, None) is None
        refusal = admission.admit(pod(securityContext=unsafe), [], self.ALLOCATABLE, None)
        assert refusal == ("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted')
        assert admission.admit(pod(securityContext=safe, hostNetwork=True), [], self.ALLOCATABLE, None)

    def test_taints(self) -> None:
        node: Object = {
            "metadata": {"name": "n"},
            "spec": {"taints": [{"key": "k", "effect": "NoExecute"}, {"key": "x", "effect": "NoSchedule"}]},
        }
        assert (admission.admit(pod(), [], self.ALLOCATABLE, node) or ("",))[0] == "TaintToleration"
        assert admission.admit(pod(tolerations=[{"key": "k", "operator": "Exists"}]), [], self.ALLOCATABLE, node) is None


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("busybox", "busybox:latest"),
        ("a/b:1", "a/b:1"),
        ("host:5000/a", "host:5000/a:latest"),
        ("a@sha256:" + "0" * 64, "a@sha256:" + "0" * 64),
    ],
)
def test_default_tags(name: str, result: str) -> None:
    assert image_manager.with_default_tag(name) == result


def test_names_that_are_no_images() -> None:
    with pytest.raises(ValueError, match="repository name must be lowercase"):
        image_manager.with_default_tag("Upper")
    with pytest.raises(ValueError, match="invalid reference format"):
        image_manager.with_default_tag("a b")


def test_pull_credentials() -> None:
    def secret(server: str, password: str) -> Object:
        config = {"auths": {server: {"auth": base64.b64encode(f"me:{password}".encode()).decode()}}}
        return {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": base64.b64encode(orjson.dumps(config)).decode()}}

    secrets = [
        secret("https://reg.example:5000", "wide"),
        secret("reg.example:5000/team", "narrow"),
        secret("https://index.docker.io/v1/", "hub"),
    ]
    assert [c.password for c in image_credentials.find("reg.example:5000/team/app:1", secrets)] == ["narrow", "wide"]
    assert [c.password for c in image_credentials.find("busybox", secrets)] == ["hub"]
    assert image_credentials.find("other.example/app", secrets) == []


def test_static_pods() -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = static_pods.static_pod(manifest, "node-a", "/m/web.yaml", "now")
    assert made["metadata"]["name"] == "web-node-a" and made["metadata"]["namespace"] == "default"
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always", "defaults are applied"
    assert {"operator": "Exists", "effect": "NoExecute"} in made["spec"]["tolerations"]
    changed = static_pods.static_pod({**manifest, "spec": {"containers": [{"name": "c", "image": "j"}]}}, "node-a", "/m/web.yaml", "now")
    assert specs.uid(changed) != specs.uid(made)
    mirror = static_pods.mirror_pod(made, {"metadata": {"name": "node-a", "uid": "n"}})
    assert static_pods.mirrors(mirror, made) and not static_pods.mirrors(mirror, changed) and "uid" not in mirror["metadata"]
    assert mirror["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "n", "controller": True}]
    with pytest.raises(static_pods.ManifestError, match=r"spec\.containers\[0\]\.name: Invalid value"):
        static_pods.static_pod({**manifest, "spec": {"containers": [{"name": "C", "image": "i"}]}}, "node-a", "f", "now")
    with pytest.raises(static_pods.ManifestError, match="expected a v1 Pod"):
        static_pods.static_pod({"kind": "Deployment", "apiVersion": "apps/v1"}, "n", "f", "now")


def test_bad_manifests_do_not_hold_up_good_ones(tmp_path: Path) -> None:
    good = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    (tmp_path / "a.yaml").write_text("{")
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(good))
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    for number, odd in enumerate(
        ({"spec": {"containers": "x"}}, {"spec": {"containers": [1]}}, {"metadata": ["web"]}, {"metadata": {"name": "_"}})
    ):
        (tmp_path / f"odd{number}.yaml").write_text(yaml.safe_dump(good | odd))
    (tmp_path / ".hidden").write_text(yaml.safe_dump(good))
    assert [p["metadata"]["name"] for p in static_pods.read_manifests(tmp_path, "n", "now").values()] == ["web-n"]


MACHINE = Machine(4, 8 << 30, 100 << 30, "m", "s", "b", "6.1", "Debian", "amd64", 0)


class TestNodeStatus:
    CONFIG = KubeletConfig("n", system_reserved=(("cpu", "500m"),))

    def status(self, earlier: Object, now: str, **health: Any) -> Object:
        return node_status.node_status(
            self.CONFIG, MACHINE, ["192.0.2.1"], node_status.RuntimeInfo(), [], node_status.Health(**health), earlier, now
        )

    def test_allocatable_is_less_than_capacity(self) -> None:
        made = self.status({}, "1")
        assert made["capacity"]["cpu"] == "4" and made["allocatable"]["cpu"] == "3500m"
        assert made["capacity"]["memory"] == f"{8 << 20}Ki" and made["allocatable"]["memory"] == "8092Mi"

    def test_conditions_keep_their_transition_time(self) -> None:
        first = self.status({}, "1")
        second = self.status(first, "2")
        assert not node_status.differs(first, second) and second["conditions"][-1]["lastTransitionTime"] == "1"
        third = self.status(second, "3", not_ready=("the runtime is down",))
        assert node_status.differs(second, third)
        assert third["conditions"][-1] == {
            "type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "the runtime is down",
            "lastHeartbeatTime": "3", "lastTransitionTime": "3",
        }  # fmt: skip
        assert node_status.transitions(second, third) == ["NodeNotReady"]


def test_events_name_the_container() -> None:
    given = pod(initContainers=[{"name": "i"}])
    assert pod_events.field_path(given, "c") == "spec.containers{c}" and pod_events.field_path(given, "i") == "spec.initContainers{i}"


class TestContainerConfig:
    def config(self, given: Object, **fields: Any) -> Object:
        defaults: Object = {"image_ref": "sha", "user": cri_config.ImageUser(0), "restart_count": 0, "variables": {"A": "1"}, "mounts": []}
        return cri_config.container_config(given, given["spec"]["containers"][0], memory_capacity=1, cgroup_v2=False, **defaults | fields)

    def test_commands_are_expanded(self) -> None:
        given = pod()
        given["spec"]["containers"][0] |= {"command": ["echo", "$(A)$(B)"], "args": ["$$(A)"]}
        made = self.config(given)
        assert (made["command"], made["args"]) == (["echo", "1$(B)"], ["$(A)"])
        request_type("CreateContainer")(config=made)

    def test_the_containers_settings_win_over_the_pods(self) -> None:
        given = pod(securityContext={"runAsUser": 1, "fsGroup": 5, "seccompProfile": {"type": "RuntimeDefault"}})
        given["spec"]["containers"][0]["securityContext"] = {"runAsUser": 2, "privileged": True}
        security = self.config(given)["linux"]["security_context"]
        assert security["run_as_user"] == {"value": 2} and security["privileged"] and security["supplemental_groups"] == [5]
        assert security["seccomp"] == {"profile_type": 0}

    @pytest.mark.parametrize(
        ("context", "user", "message"),
        [
            ({"runAsNonRoot": True}, cri_config.ImageUser(0), "container has runAsNonRoot and image will run as root"),
            (
                {"runAsNonRoot": True},
                cri_config.ImageUser(None, "www"),
                r"image has non-numeric user \(www\), cannot verify user is non-root",
            ),
            ({"runAsNonRoot": True, "runAsUser": 0}, cri_config.ImageUser(7), "container's runAsUser breaks non-root policy"),
        ],
    )
    def test_non_root(self, context: Object, user: cri_config.ImageUser, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            self.config(pod(securityContext=context), user=user)
        self.config(pod(securityContext=context | {"runAsUser": 7}), user=user)

    def test_sandboxes(self) -> None:
        from kubetree.kubelet.dns import Resolver

        given = pod(hostPID=True, securityContext={"sysctls": [{"name": "net/ipv4/ip_forward", "value": "1"}]})
        given["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}]
        made = cri_config.sandbox_config(given, attempt=2, log_root="/l", resolver=Resolver(), cluster_domain="d", cgroup_root="/")
        assert made["linux"]["sysctls"] == {"net.ipv4.ip_forward": "1"} and made["log_directory"] == "/l/ns_p_u"
        assert made["port_mappings"] == [{"protocol": 1, "container_port": 80, "host_port": 8080, "host_ip": ""}]
        assert made["linux"]["security_context"]["namespace_options"]["pid"] == 2
        request_type("RunPodSandbox")(config=made)

    def test_signals_have_cris_numbers(self) -> None:
        numbers = cri_config.SIGNAL_NUMBERS
        assert (numbers["SIGABRT"], numbers["SIGTERM"], numbers["SIGRTMIN"], numbers["SIGRTMIN+15"]) == (1, 23, 35, 50)
        assert (numbers["SIGRTMAX-14"], numbers["SIGRTMAX-1"], numbers["SIGRTMAX"]) == (51, 64, 65)


def test_the_cri_table_is_whole() -> None:
    for method in METHODS:
        assert request_type(method)() is not None and response_type(method)() is not None
    message = MESSAGES["PodSandboxConfig"](labels={"a": "b"}, linux={"sysctls": {"x": "1"}}, port_mappings=[{"host_port": 1}])
    again = MESSAGES["PodSandboxConfig"].FromString(message.SerializeToString())
    assert again == message and again.labels["a"] == "b"


class TestAtomicWriter:
    def test_files_appear_and_change_together(self, tmp_path: Path) -> None:
        assert atomic_writer.write(tmp_path, {"a": Content(b"1", 0o400), "d/b": Content(b"2", 0o644)}, None)
        assert (
            (tmp_path / "a").read_bytes() == b"1" and os.readlink(tmp_path / "a") == "..data/a" and (tmp_path / "d/b").read_bytes() == b"2"
        )
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400
        before = os.readlink(tmp_path / "..data")
        assert not atomic_writer.write(tmp_path, {"a": Content(b"1", 0o400), "d/b": Content(b"2", 0o644)}, None), "nothing changed"
        assert os.readlink(tmp_path / "..data") == before
        assert atomic_writer.write(tmp_path, {"c": Content(b"3", 0o644)}, None)
        assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["c"]
        assert not (tmp_path / before).exists()

    @pytest.mark.parametrize("path", ["/a", "../a", "a/../../b", ""])
    def test_paths_that_lead_out(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(VolumeError, match="invalid path"):
            atomic_writer.write(tmp_path / "volume", {path: Content(b"1", 0o600)}, None)
        assert list(tmp_path.iterdir()) == []


def test_subpaths_that_lead_out() -> None:
    for path in ("/etc", "../x", "a/../../x"):
        with pytest.raises(VolumeError):
            subpath.check(path)


def test_who_asks_at_the_port() -> None:
    certificate = {"subject": ((("organizationName", "system:masters"),), (("commonName", "me"),))}
    caller = certificate_caller(certificate)
    assert caller is not None and caller.name == "me" and "system:masters" in caller.groups
    assert certificate_caller({}) is None
    assert (
        subresources("/stats/summary") == ("stats",) and subresources("/exec/ns/p/c") == ("proxy",) and subresources("/podsx") == ("proxy",)
    )


def test_flags_make_the_configuration(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    main.add_arguments(parser)
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.1\n")
    arguments = [
        "--hostname-override=n",
        "--node-ip=192.0.2.2,fd00::2",
        "--cluster-dns=10.96.0.10",
        f"--resolv-conf={resolv}",
        "--container-log-max-size=1Mi",
    ]
    config = main.configure(parser.parse_args([*arguments, "--node-labels=a=b,c=d", "--register-with-taints=k=v:NoSchedule"]))
    assert config.node_ips == ("192.0.2.2", "fd00::2") and config.dns.node.servers == ("192.0.2.1",) and config.log_max_size == 1 << 20
    assert config.node_labels == (("a", "b"), ("c", "d")) and node_status.taints(config) == [
        {"key": "k", "value": "v", "effect": "NoSchedule"}
    ]


def test_images_are_the_same_to_the_byte_each_time() -> None:
    files = {"/bin/x": b"1", "/y": images.File(link="/bin/x")}
    assert images.build_archive("a:1", files, {"Cmd": ["x"]}) == images.build_archive("a:1", files, {"Cmd": ["x"]})
    for architecture in ("amd64", "arm64"):
        assert images.pause_elf(architecture).startswith(b"\x7fELF\x02\x01\x01")


def test_containerd_configuration_is_toml(tmp_path: Path) -> None:
    import tomllib

    config = containerd.ContainerdConfig(
        tmp_path / "root", tmp_path / "state", tmp_path / "cni", Path("/cni"), "/usr/sbin/runc", restrict_oom_score_adj=True
    )
    parsed = tomllib.loads(containerd.render(config))
    cri = parsed["plugins"]["io.containerd.grpc.v1.cri"]
    assert parsed["version"] == 2 and parsed["grpc"]["address"] == str(config.socket) and cri["restrict_oom_score_adj"] is True
    assert cri["cni"] == {"bin_dir": "/cni", "conf_dir": str(tmp_path / "cni")}
