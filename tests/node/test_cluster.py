"""The main job, as a user does it: `kubetree up`, a healing and load-balanced service, cables pulled, `kubetree down`, nothing left."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, stream

from kubetree.cluster import pidfile
from kubetree.cluster.components import COMPONENTS
from kubetree.cluster.down import leftovers
from kubetree.cluster.layout import Layout
from programs import needs_kubectl

LAYOUT = Layout()
PAGE = "http://10.199.0.1:30080/"

pytestmark = [
    pytest.mark.node,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
]


def kubetree(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubetree.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if left := leftovers(LAYOUT):
        pytest.skip(f"a cluster of this machine's is in the way: {left[0]}")
    folder = tmp_path_factory.mktemp("cluster")
    source = str(Path(__file__).parents[2] / "src")
    environment = {"KUBECONFIG": str(folder / "config"), "PYTHONPATH": source}
    (folder / "resolv.conf").touch()
    try:
        up = kubetree("up", "--resolv-conf", str(folder / "resolv.conf"), **environment)
        assert up.returncode == 0, up.stdout + up.stderr + _logs()
        yield environment
    finally:
        kubetree("down", **environment)


def _logs() -> str:
    return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(LAYOUT.log.glob("*.log")))


def page(patience: float = 2) -> str:
    """What one request is answered with; empty when it is not in `patience` seconds."""
    try:
        with urllib.request.urlopen(PAGE, timeout=patience) as response:
            return str(response.read().decode().strip())
    except OSError:
        return ""


def eventually(check: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not after {seconds} s\n{_logs()}"
        time.sleep(0.1)


def answering(requests: int = 40) -> set[str]:
    return {page() for _ in range(requests)} - {""}


def kubectl(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["kubectl", *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def replica(environment: dict[str, str]) -> str:
    """One of the three that are there to stay."""
    core = client.CoreV1Api(config.new_client_from_config(environment["KUBECONFIG"]))
    names: list[str] = []

    def settled() -> bool:
        found = core.list_namespaced_pod("default", label_selector="app=web").items
        names[:] = [
            pod.metadata.name for pod in found if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
        ]
        return len(found) == len(names) == 3

    eventually(settled)
    return names[0]


def test_three_replicas_answer_in_turn(environment: dict[str, str]) -> None:
    eventually(lambda: len(answering()) == 3)


def test_a_second_up_is_harmless(environment: dict[str, str]) -> None:
    before = {component.name: pidfile.find(LAYOUT.pids, component.name) for component in COMPONENTS}
    up = kubetree("up", **environment)
    assert up.returncode == 0, up.stderr
    assert {component.name: pidfile.find(LAYOUT.pids, component.name) for component in COMPONENTS} == before


@needs_kubectl
def test_a_deleted_pod_comes_back_and_scaling_follows(environment: dict[str, str]) -> None:
    victim = replica(environment)
    kubectl(environment, "delete", "pod", victim, "--now")
    eventually(lambda: len(answering()) == 3 and f"hello from {victim}" not in answering())
    kubectl(environment, "scale", "rc", "web", "--replicas=5")
    eventually(lambda: len(answering(80)) == 5)
    kubectl(environment, "scale", "rc", "web", "--replicas=3")
    eventually(lambda: len(answering(80)) == 3)


@needs_kubectl
def test_names_resolve_and_exec_and_logs_work(environment: dict[str, str]) -> None:
    pod = replica(environment)
    assert "hello from web-" in kubectl(environment, "exec", pod, "--", "wget", "-qO-", "http://web")
    kubectl(environment, "exec", pod, "--", "sh", "-c", "echo said > /proc/1/fd/1")
    eventually(lambda: "said" in kubectl(environment, "logs", pod))


def test_the_python_client_executes_and_forwards(environment: dict[str, str]) -> None:
    core = client.CoreV1Api(config.new_client_from_config(environment["KUBECONFIG"]))
    pod = replica(environment)
    command = ["sh", "-c", "echo out; echo err >&2; read line; echo got $line; exit 3"]
    shell = stream.stream(
        core.connect_get_namespaced_pod_exec, pod, "default", command=command, stdin=True, stdout=True, stderr=True, _preload_content=False
    )
    shell.write_stdin("a line\n")
    shell.run_forever(timeout=60)
    assert (shell.read_stdout(), shell.read_stderr(), shell.returncode) == ("out\ngot a line\n", "err\n", 3)
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, pod, "default", ports="8080")
    connection = forward.socket(8080)
    connection.settimeout(60)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while part := connection.recv(4096):
        answer += part
    connection.close()
    assert f"hello from {pod}".encode() in answer


@pytest.mark.parametrize("name", [component.name for component in COMPONENTS] + ["supervisor"])
def test_a_killed_component_leaves_the_page_serving_and_comes_back(environment: dict[str, str], name: str) -> None:
    process = pidfile.find(LAYOUT.pids, name)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert page(20), "containers serve on while a component is gone"
    if name == "supervisor":
        assert kubetree("up", **environment).returncode == 0
    eventually(lambda: (found := pidfile.find(LAYOUT.pids, name)) is not None and found != process)
    assert page(20)


@needs_kubectl
def test_everything_killed_at_once_comes_back_with_nothing_lost(environment: dict[str, str]) -> None:
    kubectl(environment, "create", "configmap", "acknowledged", "--from-literal=a=b")
    for name in ["supervisor", *(component.name for component in COMPONENTS)]:
        if (process := pidfile.find(LAYOUT.pids, name)) is not None:
            os.kill(process.pid, signal.SIGKILL)
    assert page(20)
    assert kubetree("up", **environment).returncode == 0
    assert kubectl(environment, "get", "configmap", "acknowledged", "-o", "jsonpath={.data.a}") == "b"
    eventually(lambda: len(answering()) == 3)


def test_down_leaves_nothing(environment: dict[str, str]) -> None:
    down = kubetree("down", **environment)
    assert down.returncode == 0, down.stderr
    assert leftovers(LAYOUT) == []
    assert not Path(environment["KUBECONFIG"]).exists()
