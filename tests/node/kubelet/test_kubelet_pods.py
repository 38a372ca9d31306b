"""Pods from the API in real containers: what a user sees in status, events and inside."""

from __future__ import annotations

import base64
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubelet_cluster import NODE, POD, Cluster
from kubelet_machine import BUSYBOX, pod, until
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.kubelet.log_rotation import LogRotation

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]


async def output(pods: Cluster, name: str) -> str:
    """What the container `main` of an ended pod printed."""
    files = sorted(pods.machine.logs.glob(f"default_{name}_*/main/*.log"))
    return "".join(line.split(" ", 3)[3] for file in files for line in file.read_text().splitlines(keepends=True))


async def run_to_end(pods: Cluster, made: Object, phase: str = "Succeeded") -> Object:
    made["spec"].setdefault("restartPolicy", "Never")
    await pods.create(made)
    return await pods.phase(made["metadata"]["name"], phase)


async def test_the_node_is_registered(pods: Cluster) -> None:
    async def ready() -> Object | None:
        found = await pods.client.get(NODE, "node-a")
        return found if {c["type"]: c["status"] for c in found["status"]["conditions"]}["Ready"] == "True" else None

    node: Object = await until(ready, "the node says that it is ready")
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-a"
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")

    async def leased() -> Object | None:
        with contextlib.suppress(errors.NotFound):
            return await pods.client.get(kind("coordination.k8s.io/v1", "Lease"), "node-a", "kube-node-lease")
        return None

    assert (await until(leased, "it has its lease"))["spec"]["holderIdentity"] == "node-a"


async def test_a_pod_runs_and_is_deleted(pods: Cluster) -> None:
    await pods.create(pod("life", "trap 'exit 0' TERM; while true; do sleep 0.05; done"))
    running = await pods.phase("life", "Running")
    status = running["status"]
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert status["podIP"] == status["podIPs"][0]["ip"] and status["hostIP"] == "127.0.0.1"
    assert status["qosClass"] == "BestEffort"
    (container,) = status["containerStatuses"]
    assert container["ready"] and container["started"] and container["containerID"].startswith("containerd://")
    for reason in ("Pulled", "Created", "Started"):
        await pods.event("life", reason)
    await pods.client.delete(POD, "life", "default")
    await pods.gone("life")
    await pods.event("life", "Killing", "Stopping container main")


async def test_exit_codes_make_the_phase(pods: Cluster) -> None:
    failed = await run_to_end(pods, pod("fails", "echo -n sorry > /dev/termination-log; exit 3"), "Failed")
    terminated = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"], terminated["message"]) == (3, "Error", "sorry")
    assert {c["type"]: c.get("reason") for c in failed["status"]["conditions"]}["Ready"] == "PodFailed"
    succeeded = await run_to_end(pods, pod("succeeds", "true"))
    assert {c["type"]: c.get("reason") for c in succeeded["status"]["conditions"]}["Initialized"] == "PodCompleted"


async def test_a_crashing_container_backs_off(pods: Cluster) -> None:
    await pods.create(pod("crashes", "exit 1"))
    waiting = await pods.waiting("crashes", "CrashLoopBackOff")
    uid = (await pods.get("crashes") or {})["metadata"]["uid"]
    assert waiting["message"] == f"back-off 10s restarting failed container=main pod=crashes_default({uid})"
    status = (await pods.status("crashes"))["containerStatuses"][0]
    assert status["restartCount"] == 1 and status["lastState"]["terminated"]["exitCode"] == 1
    assert (await pods.status("crashes"))["phase"] == "Running"
    await pods.event("crashes", "BackOff", "Back-off restarting failed container main in pod crashes_default")


async def test_images_that_are_not_there(pods: Cluster) -> None:
    made = pod("never", "true")
    made["spec"]["containers"][0] |= {"image": "nowhere.invalid/none:1", "imagePullPolicy": "Never"}
    await pods.create(made)
    waiting = await pods.waiting("never", "ErrImageNeverPull")
    assert waiting["message"] == 'Container image "nowhere.invalid/none:1" is not present with pull policy of Never'
    made = pod("bad-name", "true")
    made["spec"]["containers"][0]["image"] = "Upper/Case"
    await pods.create(made)
    assert "repository name must be lowercase" in (await pods.waiting("bad-name", "InvalidImageName"))["message"]


async def test_a_command_that_is_not_there(pods: Cluster) -> None:
    made = pod("no-command", "true", restartPolicy="Never")
    made["spec"]["containers"][0]["command"] = ["/no/such/program"]
    await pods.create(made)
    failed = await pods.phase("no-command", "Failed")
    terminated = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["exitCode"] in (127, 128) and terminated["reason"] == "StartError"


async def test_init_containers_go_first_one_by_one(pods: Cluster) -> None:
    made = pod("inits", "cat /shared/order", volumes=[{"name": "shared", "emptyDir": {}}])
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    step = {"image": BUSYBOX, "volumeMounts": mounts}
    made["spec"]["initContainers"] = [
        {"name": "one", "command": ["sh", "-c", "echo one >> /shared/order"], **step},
        {"name": "two", "command": ["sh", "-c", "echo two >> /shared/order"], **step},
    ]
    made["spec"]["containers"][0]["volumeMounts"] = mounts
    ended = await run_to_end(pods, made)
    assert await output(pods, "inits") == "one\ntwo\n"
    assert [s["ready"] for s in ended["status"]["initContainerStatuses"]] == [True, True]


async def test_a_sidecar_starts_before_and_ends_after(pods: Cluster) -> None:
    made = pod("sidecar", "cat /shared/side", volumes=[{"name": "shared", "emptyDir": {}}])
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    command = "echo ready > /shared/side; trap 'exit 0' TERM; while true; do sleep 0.05; done"
    probe = {"exec": {"command": ["test", "-e", "/shared/side"]}, "periodSeconds": 1}
    made["spec"]["initContainers"] = [
        {
            "name": "side",
            "image": BUSYBOX,
            "command": ["sh", "-c", command],
            "restartPolicy": "Always",
            "volumeMounts": mounts,
            "startupProbe": probe,
        }
    ]
    made["spec"]["containers"][0]["volumeMounts"] = mounts
    ended = await run_to_end(pods, made)
    assert await output(pods, "sidecar") == "ready\n"
    assert ended["status"]["phase"] == "Succeeded"


async def test_variables_from_everywhere(pods: Cluster) -> None:
    await pods.client.create(
        kind("v1", "ConfigMap"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"COLOUR": "green"}},
        "default",
    )
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": {"PIN": base64.b64encode(b"1234").decode()}}
    await pods.client.create(kind("v1", "Secret"), secret, "default")
    made = pod("variables", "echo $GREETING $COLOUR $PIN $NAME $CPU $X_COLOUR $LITERAL")
    made["spec"]["containers"][0] |= {
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"prefix": "X_", "configMapRef": {"name": "settings"}}],
        "env": [
            {"name": "PIN", "valueFrom": {"secretKeyRef": {"name": "key", "key": "PIN"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "GREETING", "value": "hello-$(NAME)"},
            {"name": "LITERAL", "value": "$$(NAME)-$(NOTHING)"},
        ],
    }
    await run_to_end(pods, made)
    assert await output(pods, "variables") == "hello-variables green 1234 variables 100 green $(NAME)-$(NOTHING)\n"


async def test_a_missing_config_map_holds_the_container_up(pods: Cluster) -> None:
    made = pod("lacks", "true", restartPolicy="Never")
    made["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "later"}}]
    await pods.create(made)
    assert (await pods.waiting("lacks", "CreateContainerConfigError"))["message"] == 'configmap "later" not found'
    await pods.event("lacks", "Failed", 'Error: configmap "later" not found')


async def test_a_missing_volume_source_holds_the_pod_up_until_it_comes(pods: Cluster) -> None:
    made = pod("volume-lacks", "cat /config/a", volumes=[{"name": "config", "configMap": {"name": "comes"}}])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]
    made["spec"]["restartPolicy"] = "Never"
    await pods.create(made)
    message = await pods.event("volume-lacks", "FailedMount")
    assert message == 'MountVolume.SetUp failed for volume "config" : configmap "comes" not found'
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "comes"}, "data": {"a": "here\n"}}
    await pods.client.create(kind("v1", "ConfigMap"), config_map, "default")
    await pods.phase("volume-lacks", "Succeeded")
    assert await output(pods, "volume-lacks") == "here\n"


async def test_volumes_of_every_kind(pods: Cluster) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": {"one": "1\n", "two": "2\n"}}
    await pods.client.create(kind("v1", "ConfigMap"), config_map, "default")
    host = pods.machine.base / "host-directory"
    made = pod(
        "volumes",
        "cat /cm/one /sub/two.txt /down/labels; echo; stat -f -c %T /memory; stat -c %a /cm/..data/one; ls -d /host; readlink /cm/one; touch /ro/x 2>&1 || true",
        volumes=[
            {"name": "cm", "configMap": {"name": "files", "defaultMode": 0o440}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "host", "hostPath": {"path": str(host), "type": "DirectoryOrCreate"}},
            {"name": "all", "projected": {"sources": [{"configMap": {"name": "files", "items": [{"key": "two", "path": "deep/2"}]}}]}},
        ],
    )
    made["metadata"]["labels"] = {"app": "x"}
    made["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "cm", "mountPath": "/cm"},
        {"name": "cm", "mountPath": "/sub/two.txt", "subPath": "two"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "down", "mountPath": "/down"},
        {"name": "host", "mountPath": "/host"},
        {"name": "host", "mountPath": "/ro", "readOnly": True},
        {"name": "all", "mountPath": "/all"},
    ]
    await run_to_end(pods, made)
    text = await output(pods, "volumes")
    assert text.splitlines()[:7] == ["1", "2", 'app="x"', "tmpfs", "440", "/host", "..data/one"]
    assert "Read-only file system" in text
    assert host.is_dir() and not (host / "x").exists()


async def test_probes_gate_readiness_and_restart(pods: Cluster) -> None:
    made = pod("probed", "sleep 1000", terminationGracePeriodSeconds=1)
    probe = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30}
    made["spec"]["containers"][0] |= {
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, **probe},
        "livenessProbe": {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, **probe},
    }
    await pods.create(made)

    async def shows(**wanted: Any) -> bool:
        status = ((await pods.status("probed")).get("containerStatuses") or [{}])[0]
        return wanted.items() <= status.items()

    await pods.phase("probed", "Running")
    await pods.event("probed", "Unhealthy", "Readiness probe failed: ")
    assert await shows(ready=False, restartCount=0)
    await execute(pods, "probed", "touch", "/tmp/ready")
    await until(lambda: shows(ready=True), "the readiness probe makes it ready")
    await execute(pods, "probed", "rm", "/tmp/ready")
    await until(lambda: shows(ready=False), "the readiness probe takes that back")
    assert await shows(restartCount=0)
    await execute(pods, "probed", "touch", "/tmp/sick")
    await until(lambda: shows(restartCount=1), "the liveness probe restarts it")
    await pods.event("probed", "Killing", "Container main failed liveness probe, will be restarted")


async def test_hooks_and_grace(pods: Cluster) -> None:
    host = pods.machine.base / "hooks"
    host.mkdir()
    made = pod("hooked", "trap 'echo term >> /host/log; exit 0' TERM; while true; do sleep 0.05; done")
    made["spec"]["volumes"] = [{"name": "host", "hostPath": {"path": str(host)}}]
    made["spec"]["containers"][0] |= {
        "volumeMounts": [{"name": "host", "mountPath": "/host"}],
        "lifecycle": {
            "postStart": {"exec": {"command": ["sh", "-c", "echo started >> /host/log"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stopping >> /host/log"]}},
        },
    }
    await pods.create(made)
    await pods.phase("hooked", "Running")
    await pods.client.delete(POD, "hooked", "default")
    await pods.gone("hooked")
    assert (host / "log").read_text().split() == ["started", "stopping", "term"]


async def test_names_and_resolver_inside(pods: Cluster) -> None:
    made = pod("inside", "hostname; cat /etc/resolv.conf; cat /etc/hosts", hostname="box", subdomain="sub")
    made["spec"]["hostAliases"] = [{"ip": "192.0.2.7", "hostnames": ["seven", "sept"]}]
    await run_to_end(pods, made)
    text = await output(pods, "inside")
    assert text.startswith("box\n")
    assert "nameserver 10.96.0.10\n" in text
    assert "search default.svc.cluster.local svc.cluster.local cluster.local example.org\n" in text
    assert "options ndots:5\n" in text
    assert "\tbox.sub.default.svc.cluster.local\tbox\n" in text and "192.0.2.7\tseven\tsept\n" in text


async def test_security_settings_hold_inside(pods: Cluster) -> None:
    made = pod("secured", "id -u; id -G; touch /x 2>&1; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status")
    made["spec"]["securityContext"] = {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [3000]}
    made["spec"]["containers"][0]["securityContext"] = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsGroup": 1001,
    }
    await run_to_end(pods, made)
    lines = (await output(pods, "secured")).splitlines()
    assert lines[0] == "1000" and set(lines[1].split()) == {"1001", "2000", "3000"}
    assert "Read-only file system" in lines[2]
    assert lines[3].split()[1] == "0000000000000000" and lines[4].split()[1] == "1"


async def test_non_root_is_checked(pods: Cluster) -> None:
    made = pod("must-not-be-root", "true", securityContext={"runAsNonRoot": True})
    await pods.create(made)
    message = (await pods.waiting("must-not-be-root", "CreateContainerConfigError"))["message"]
    assert message.startswith("container has runAsNonRoot and image will run as root (pod: ")


async def test_a_pod_that_does_not_fit_is_refused(pods: Cluster) -> None:
    made = pod("huge", "true")
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    await pods.create(made)
    status = (await pods.phase("huge", "Failed"))["status"]
    assert status["reason"] == "OutOfcpu"
    assert status["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: ")


async def test_limits_reach_the_cgroup(pods: Cluster) -> None:
    made = pod("limited", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true")
    made["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "500m", "memory": "64Mi"}}
    await run_to_end(pods, made)
    assert await output(pods, "limited") == f"{64 << 20}\n"


async def test_deadline(pods: Cluster) -> None:
    await pods.create(pod("late", "sleep 100", activeDeadlineSeconds=1, terminationGracePeriodSeconds=1))
    status = (await pods.phase("late", "Failed"))["status"]
    assert (status["reason"], status["message"]) == ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


async def test_a_static_pod_has_a_mirror(pods: Cluster) -> None:
    pods.machine.write_pod(pod("fixed", "trap 'exit 0' TERM; while true; do sleep 0.05; done"))
    mirror = await pods.phase("fixed-node-a", "Running")
    notes = mirror["metadata"]["annotations"]
    assert notes["kubernetes.io/config.mirror"] == notes["kubernetes.io/config.hash"] and notes["kubernetes.io/config.source"] == "file"
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    await pods.client.delete(POD, "fixed-node-a", "default", grace_period=0)

    async def made_again() -> bool:
        again = await pods.get("fixed-node-a")
        return again is not None and again["metadata"]["uid"] != mirror["metadata"]["uid"] and again["status"].get("phase") == "Running"

    await until(made_again, "the mirror comes back")
    pods.machine.delete_pod("fixed")
    await pods.gone("fixed-node-a")


async def test_a_new_kubelet_takes_running_pods_over(pods: Cluster) -> None:
    made = pod("kept", "trap 'exit 0' TERM; touch /tmp/ok; while true; do sleep 0.05; done")
    probe = {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1, "timeoutSeconds": 30}
    made["spec"]["containers"][0]["readinessProbe"] = probe
    await pods.create(made)

    async def ready() -> bool:
        return {c["type"]: c["status"] for c in (await pods.status("kept")).get("conditions") or ()}.get("Ready") == "True"

    await until(ready, "it is ready")
    before = (await pods.status("kept"))["containerStatuses"][0]["containerID"]
    await pods.stop_kubelet()
    await pods.create(pod("while-away", "true", restartPolicy="Never"))
    await pods.start_kubelet()
    await pods.phase("while-away", "Succeeded")
    assert await ready(), "readiness did not flap"
    assert (await pods.status("kept"))["containerStatuses"][0]["containerID"] == before


async def execute(pods: Cluster, name: str, *command: str, container: str = "main") -> str:
    status = await pods.status(name)
    every = [*status["containerStatuses"], *(status.get("ephemeralContainerStatuses") or [])]
    found = next(s for s in every if s["name"] == container)
    return await pods.machine.execute(found["containerID"].removeprefix("containerd://"), *command)


async def test_a_changed_config_map_shows_in_the_volume(pods: Cluster) -> None:
    what = kind("v1", "ConfigMap")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changes"}, "data": {"a": "before"}}
    await pods.client.create(what, config_map, "default")
    made = pod("watching", "trap 'exit 0' TERM; while true; do sleep 0.1; done", volumes=[{"name": "v", "configMap": {"name": "changes"}}])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    await pods.create(made)
    await pods.phase("watching", "Running")
    assert await execute(pods, "watching", "cat", "/v/a") == "before"
    await pods.client.patch(what, "changes", {"data": {"a": "after", "b": "new"}}, namespace="default", type="merge")

    async def shown() -> bool:
        return await execute(pods, "watching", "cat", "/v/a", "/v/b") == "afternew"

    await until(shown, "the new data is in the volume")


async def test_a_killed_sandbox_is_made_again(pods: Cluster) -> None:
    await pods.create(pod("housed", "trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    before = await pods.phase("housed", "Running")
    uid = before["metadata"]["uid"]
    assert pods.kubelet is not None
    sandbox = (await pods.kubelet.runtime.observe(uid)).sandboxes[0]
    await pods.kubelet.cri.call("StopPodSandbox", pod_sandbox_id=sandbox.id)

    async def back() -> bool:
        status = (await pods.status("housed"))["containerStatuses"][0]
        return status["ready"] and status["restartCount"] >= 1

    await until(back, "the pod runs in a new sandbox")
    await pods.event("housed", "SandboxChanged")


async def test_an_ephemeral_container_joins(pods: Cluster) -> None:
    await pods.create(pod("examined", "trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    await pods.phase("examined", "Running")
    debugger = {"name": "debug", "image": BUSYBOX, "command": ["sleep", "1000"], "targetContainerName": "main"}
    patch = {"spec": {"ephemeralContainers": [debugger]}}
    await pods.client.patch(POD, "examined", patch, namespace="default", type="strategic", subresource="ephemeralcontainers")

    async def running() -> bool:
        statuses = (await pods.status("examined")).get("ephemeralContainerStatuses") or [{}]
        return "running" in (statuses[0].get("state") or {})

    await until(running, "the debugger runs")
    processes = await execute(pods, "examined", "ps", container="debug")
    assert "while true" in processes, "it sees the processes of its target"


async def test_network_probes(pods: Cluster) -> None:
    begin = "mkdir /w; echo ok > /w/healthy; while [ ! -e /tmp/go ]; do sleep 0.1; done; exec httpd -f -p 8080 -h /w"
    made = pod("serves", begin, terminationGracePeriodSeconds=1)
    made["spec"]["containers"][0] |= {
        "ports": [{"name": "web", "containerPort": 8080}],
        "startupProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 1, "failureThreshold": 1000},
        "readinessProbe": {"httpGet": {"path": "/healthy", "port": "web"}, "periodSeconds": 1},
    }
    await pods.create(made)

    async def ready() -> bool:
        return bool(((await pods.status("serves")).get("containerStatuses") or [{}])[0].get("ready"))

    # The first dial may also time out: a fresh link takes up to a second to carry packets.
    assert (await pods.event("serves", "Unhealthy", "connect: connection refused")).startswith("Startup probe failed: dial tcp ")
    await execute(pods, "serves", "touch", "/tmp/go")
    await until(ready, "it is ready")
    await execute(pods, "serves", "rm", "/w/healthy")

    async def unready() -> bool:
        return not await ready()

    await until(unready, "it is not ready")
    await pods.event("serves", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")


async def test_running_out_of_memory(pods: Cluster) -> None:
    made = pod("hungry", "")
    made["spec"]["containers"][0] |= {
        "command": ["tail", "/dev/zero"],
        "resources": {"limits": {"memory": "16Mi"}},
    }
    await pods.create(made)

    async def killed() -> bool:
        status = ((await pods.status("hungry")).get("containerStatuses") or [{}])[0]
        ends = [(status.get(which) or {}).get("terminated") or {} for which in ("state", "lastState")]
        return ("OOMKilled", 137) in [(end.get("reason"), end.get("exitCode")) for end in ends]

    # The runtime hears of the exit and of the reason by different ways: when the exit comes first, the reason shows the next time only.
    await until(killed, "it says what ended it")


async def test_a_second_deletion_shortens_the_grace(pods: Cluster) -> None:
    await pods.create(pod("stubborn", "trap '' TERM; while true; do sleep 0.1; done", terminationGracePeriodSeconds=60))
    await pods.phase("stubborn", "Running")
    await pods.client.delete(POD, "stubborn", "default")
    await pods.event("stubborn", "Killing")
    await pods.client.delete(POD, "stubborn", "default", grace_period=1)
    await pods.gone("stubborn")


async def test_the_hosts_network(pods: Cluster) -> None:
    made = pod("on-host", "ip addr show lo | grep -c inet; cat /etc/hosts | head -1", hostNetwork=True, dnsPolicy="Default")
    ended = await run_to_end(pods, made)
    assert ended["status"]["podIP"] == "127.0.0.1"
    assert (await output(pods, "on-host")).splitlines()[1] == "# Kubernetes-managed hosts file (host network)."


async def test_a_log_is_rotated(pods: Cluster) -> None:
    await pods.create(pod("chatty", "trap 'exit 0' TERM; i=0; while true; do i=$((i+1)); echo line $i; sleep 0.01; done"))
    await pods.phase("chatty", "Running")
    assert pods.kubelet is not None
    uid = (await pods.get("chatty") or {})["metadata"]["uid"]
    path = Path(next(r for r in (await pods.kubelet.runtime.observe(uid)).containers).log_path)
    await until(lambda: path.stat().st_size > 500, "it has written")
    moments = iter(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(60))
    rotation = LogRotation(pods.kubelet.cri, pods.kubelet.runtime.running, 400, 3, lambda: next(moments))
    for _ in range(4):
        await until(lambda: path.exists() and path.stat().st_size > 500, "it goes on writing")
        await rotation.rotate_all()
    files = sorted(p.name for p in path.parent.iterdir())
    assert len([f for f in files if f.endswith(".gz")]) == 1 and len(files) <= 3
    await until(lambda: path.exists() and path.stat().st_size > 0, "the new file is written")


async def resized(pods: Cluster, name: str, cpu: str, memory: str) -> None:
    amounts = {"cpu": cpu, "memory": memory}
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}]}}
    await pods.client.patch(POD, name, patch, namespace="default", type="strategic", subresource="resize")


async def test_a_pod_is_resized_in_place(pods: Cluster) -> None:
    made = pod("grows", "trap 'exit 0' TERM; while true; do sleep 0.1; done")
    made["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "100m", "memory": "32Mi"}}
    await pods.create(made)
    before = (await pods.phase("grows", "Running"))["status"]["containerStatuses"][0]
    assert before["allocatedResources"] == {"cpu": "100m", "memory": "32Mi"}
    await resized(pods, "grows", "200m", "64Mi")

    async def done() -> bool:
        status = (await pods.status("grows"))["containerStatuses"][0]
        return status["resources"] == {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}

    await until(done, "the status shows it")
    limit = await execute(pods, "grows", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    quota = await execute(pods, "grows", "cat", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    assert (limit.strip(), quota.strip()) == (str(64 << 20), "20000")
    after = (await pods.status("grows"))["containerStatuses"][0]
    assert after["containerID"] == before["containerID"] and after["restartCount"] == 0
    await pods.event("grows", "ResizeCompleted", "Pod resize completed: ")
    assert pods.kubelet is not None
    room = int(pods.kubelet.context.facts.allocatable["cpu"]) * 1000
    holder = pod("holds", "sleep 1000", terminationGracePeriodSeconds=0)
    holder["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{room - 600}m"}}
    await pods.create(holder)
    await pods.phase("holds", "Running")
    await resized(pods, "grows", "700m", "64Mi")

    async def pending() -> str:
        conditions = {c["type"]: c for c in (await pods.status("grows"))["conditions"]}
        return str(conditions.get("PodResizePending", {}).get("reason", ""))

    await until(pending, "it says that it waits")
    assert await pending() == "Deferred"
    await pods.client.delete(POD, "holds", "default")

    async def grown() -> bool:
        return (await pods.status("grows"))["containerStatuses"][0]["resources"]["limits"]["cpu"] == "700m" and not await pending()

    await until(grown, "it grows once there is room")


async def test_a_probe_that_takes_too_long_fails(pods: Cluster) -> None:
    made = pod("slow-probe", "trap 'exit 0' TERM; while true; do sleep 0.1; done", terminationGracePeriodSeconds=1)
    probe = {"exec": {"command": ["sleep", "30"]}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
    made["spec"]["containers"][0]["livenessProbe"] = probe
    await pods.create(made)
    await pods.event("slow-probe", "Unhealthy", "Liveness probe failed: command timed out")
    await pods.event("slow-probe", "Killing", "failed liveness probe, will be restarted")


async def test_a_subpath_is_that_of_the_new_content_when_the_container_starts_again(pods: Cluster) -> None:
    what = kind("v1", "ConfigMap")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "renewed"}, "data": {"a": "one"}}
    await pods.client.create(what, config_map, "default")
    made = pod(
        "again", "cat /a; echo; while [ ! -e /tmp/stop ]; do sleep 0.05; done", volumes=[{"name": "v", "configMap": {"name": "renewed"}}]
    )
    made["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "v", "mountPath": "/a", "subPath": "a"},
        {"name": "v", "mountPath": "/v"},
    ]
    await pods.create(made)
    await pods.phase("again", "Running")
    await pods.client.patch(what, "renewed", {"data": {"a": "two"}}, namespace="default", type="merge")

    async def shown() -> bool:
        return await execute(pods, "again", "cat", "/v/a") == "two"

    await until(shown, "the volume is new")
    assert await execute(pods, "again", "cat", "/a") == "one", "a subpath does not follow"
    await execute(pods, "again", "touch", "/tmp/stop")

    async def both() -> bool:
        return (await output(pods, "again")) == "one\ntwo\n"

    await until(both, "the new container has the new content")


async def test_kernel_settings_of_a_pod(pods: Cluster) -> None:
    made = pod("tuned", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; sysctl -n kernel.shm_rmid_forced")
    settings = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "81"}, {"name": "kernel.shm_rmid_forced", "value": "1"}]
    made["spec"]["securityContext"] = {"sysctls": settings}
    await run_to_end(pods, made)
    assert await output(pods, "tuned") == "81\n1\n"
    made = pod("untunable", "true", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "10000"}]})
    await pods.create(made)
    status = (await pods.phase("untunable", "Failed"))["status"]
    assert (status["reason"], status["message"]) == (
        "SysctlForbidden",
        'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
    )


async def test_namespaces_of_the_host_and_of_the_pod(pods: Cluster) -> None:
    made = pod("host-pid", "cat /proc/1/comm; ps | wc -l", hostPID=True)
    await run_to_end(pods, made)
    own = Path("/proc/1/comm").read_text()
    assert (await output(pods, "host-pid")).startswith(own)
    made = pod("shared", "until ps | grep -q '[w]aits'; do sleep 0.1; done; ps; touch /v/seen", shareProcessNamespace=True)
    made["spec"] |= {"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}]}
    other = {"name": "other", "image": BUSYBOX, "command": ["sh", "-c", ": waits; until [ -e /v/seen ]; do sleep 0.1; done"]}
    made["spec"]["containers"].append(other)
    for container in made["spec"]["containers"]:
        container["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    await pods.create(made)
    await pods.phase("shared", "Succeeded")
    text = await output(pods, "shared")
    assert "/pause" in text and "waits" in text


async def test_an_empty_dir_belongs_to_the_group(pods: Cluster) -> None:
    made = pod("grouped", "stat -c '%a %g' /disk /memory; touch /disk/f; stat -c %g /disk/f", volumes=[{"name": "d", "emptyDir": {}}])
    made["spec"]["volumes"].append({"name": "m", "emptyDir": {"medium": "Memory"}})
    made["spec"]["securityContext"] = {"runAsUser": 1000, "fsGroup": 2000}
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "d", "mountPath": "/disk"}, {"name": "m", "mountPath": "/memory"}]
    await run_to_end(pods, made)
    assert (await output(pods, "grouped")).split("\n") == ["2777 2000", "2777 2000", "2000", ""]


async def test_eviction_for_a_volume_over_its_limit(pods: Cluster) -> None:
    made = pod("bloated", "head -c 3m /dev/zero > /v/f; sleep 1000", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    await pods.create(made)
    await pods.phase("bloated", "Running")

    async def failed() -> Object | None:
        assert pods.kubelet is not None
        await pods.kubelet._pressure.look()
        status = await pods.status("bloated")
        return status if status["phase"] == "Failed" else None

    status: Object = await until(failed, "it is evicted once the file is there")
    assert (status["reason"], status["message"]) == ("Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ')
