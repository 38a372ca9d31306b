"""Where a cluster on this machine keeps its things, and the numbers it is made with. All of it is data; nothing here touches the disk."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path below one of three roots: `data` outlives a `down --keep-data`, `run` does not outlive a reboot, `log` is text."""

    data: Path = Path("/var/lib/kubetree")
    run: Path = Path("/run/kubetree")
    log: Path = Path("/var/log/kubetree")

    @property
    def pki(self) -> Path:
        return self.data / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.data / "kubeconfigs"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.kubeconfigs / "admin.conf"

    def kubeconfig(self, component: str) -> Path:
        return self.kubeconfigs / f"{component}.conf"

    @property
    def database(self) -> Path:
        return self.data / "store" / "kubetree.db"

    @property
    def containerd(self) -> Path:
        return self.data / "containerd"

    @property
    def containerd_state(self) -> Path:
        return self.run / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.containerd_state / "containerd.sock"

    @property
    def cni(self) -> Path:
        return self.data / "cni"

    @property
    def cni_state(self) -> Path:
        return self.run / "cni"

    @property
    def kubelet(self) -> Path:
        return self.data / "kubelet"

    @property
    def manifests(self) -> Path:
        """Static pods: a pod's YAML put here runs without the API server."""
        return self.data / "manifests"

    @property
    def pod_logs(self) -> Path:
        return self.log / "pods"

    @property
    def pids(self) -> Path:
        return self.run / "pids"

    @property
    def settings(self) -> Path:
        """The settings of the cluster whose data is kept here, so that the next `up` goes on with the same."""
        return self.data / "settings.json"

    def log_file(self, process: str) -> Path:
        return self.log / f"{process}.log"


@dataclass(frozen=True, slots=True)
class Settings:
    """The addresses and names of a cluster.

    `node_network` is a bridge of this machine's own: node addresses do not change when the machine moves to another network,
    and nothing of the cluster is reachable from outside the machine.
    """

    name: str = "kubetree"
    node_name: str = "kubetree-1"
    node_network: str = "10.199.0.0/24"
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    cluster_domain: str = "cluster.local"
    api_port: int = 6443
    resolv_conf: str = "/etc/resolv.conf"
    store: str = ""
    """The store's URL; the SQLite database of the layout unless given."""
    runtime_config: str = ""
    feature_gates: str = ""
    """APIs and features that are off by default, as the flags of the API server have them: `api/beta=true`."""

    @property
    def node_ip(self) -> str:
        """The first address of the node network: the node that is this machine itself."""
        return str(ipaddress.ip_network(self.node_network)[1])

    @property
    def dns_ip(self) -> str:
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def kubernetes_ip(self) -> str:
        """The virtual IP of the service `kubernetes`."""
        return str(ipaddress.ip_network(self.service_cidr)[1])

    @property
    def server(self) -> str:
        return f"https://{self.node_ip}:{self.api_port}"


BRIDGE = "kubetree0"
CGROUP = "kubetree"
"""The cgroup, below the root of each hierarchy, that holds everything of the cluster."""
