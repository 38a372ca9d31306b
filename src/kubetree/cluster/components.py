"""The processes of a cluster on this machine, as data: what each is called, and the arguments it is started with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubetree.cluster.layout import CGROUP, Layout, Settings

Arguments = Callable[[Layout, Settings], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Component:
    """A process. `module` has `add_arguments` and `run`; without one, `arguments` is a command line of the system's."""

    name: str
    module: str
    arguments: Arguments


def _apiserver(layout: Layout, settings: Settings) -> Sequence[str]:
    pki = layout.pki
    return [
        f"--bind-address={settings.node_ip}",
        f"--advertise-address={settings.node_ip}",
        f"--secure-port={settings.api_port}",
        f"--storage={settings.store or f'sqlite:///{layout.database}'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-cluster-ip-range={settings.service_cidr}",
        f"--service-account-issuer=https://kubernetes.default.svc.{settings.cluster_domain}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--enable-bootstrap-token-auth",
        "--enable-admission-plugins=NodeRestriction",
        *([f"--runtime-config={settings.runtime_config}"] if settings.runtime_config else []),
        *_feature_gates(settings),
    ]


def _feature_gates(settings: Settings) -> Sequence[str]:
    return [f"--feature-gates={settings.feature_gates}"] if settings.feature_gates else []


def _controller_manager(layout: Layout, settings: Settings) -> Sequence[str]:
    pki = layout.pki
    return [
        f"--kubeconfig={layout.kubeconfig('controller-manager')}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--cluster-cidr={settings.cluster_cidr}",
        f"--service-cluster-ip-range={settings.service_cidr}",
        "--allocate-node-cidrs",
        "--use-service-account-credentials",
        "--bind-address=127.0.0.1",
        *_feature_gates(settings),
    ]


def _scheduler(layout: Layout, settings: Settings) -> Sequence[str]:
    return [f"--kubeconfig={layout.kubeconfig('scheduler')}", "--bind-address=127.0.0.1"]


def _kubelet(layout: Layout, settings: Settings) -> Sequence[str]:
    return [
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--hostname-override={settings.node_name}",
        f"--node-ip={settings.node_ip}",
        f"--address={settings.node_ip}",
        f"--root-dir={layout.kubelet}",
        f"--pod-manifest-path={layout.manifests}",
        f"--pod-log-dir={layout.pod_logs}",
        f"--container-runtime-endpoint=unix://{layout.containerd_socket}",
        f"--cgroup-root=/{CGROUP}",
        f"--cluster-dns={settings.dns_ip}",
        f"--cluster-domain={settings.cluster_domain}",
        f"--resolv-conf={settings.resolv_conf}",
        f"--tls-cert-file={layout.pki / 'kubelet.crt'}",
        f"--tls-private-key-file={layout.pki / 'kubelet.key'}",
        f"--client-ca-file={layout.pki / 'ca.crt'}",
    ]


def _proxy(layout: Layout, settings: Settings) -> Sequence[str]:
    return [
        f"--kubeconfig={layout.kubeconfig('proxy')}",
        f"--hostname-override={settings.node_name}",
        f"--cluster-cidr={settings.cluster_cidr}",
        f"--service-cidr={settings.service_cidr}",
        "--nodeport-addresses=0.0.0.0/0",
        "--localhost-nodeports",
        f"--healthz-bind-address={settings.node_ip}:10256",
    ]


def _network(layout: Layout, settings: Settings) -> Sequence[str]:
    return [
        f"--kubeconfig={layout.kubeconfig('network')}",
        f"--hostname-override={settings.node_name}",
        f"--cluster-cidr={settings.cluster_cidr}",
        f"--service-cidr={settings.service_cidr}",
        f"--cni-conf-dir={layout.cni}",
        f"--cni-state-dir={layout.cni_state}",
        f"--cluster-dns={settings.dns_ip}",
        f"--cluster-domain={settings.cluster_domain}",
        f"--resolv-conf={settings.resolv_conf}",
    ]


def _containerd(layout: Layout, settings: Settings) -> Sequence[str]:
    return ["containerd", "--config", str(layout.containerd / "config.toml")]


COMPONENTS: tuple[Component, ...] = (
    Component("containerd", "", _containerd),
    Component("apiserver", "kubetree.apiserver.main", _apiserver),
    Component("controller-manager", "kubetree.controllers.main", _controller_manager),
    Component("scheduler", "kubetree.scheduler.main", _scheduler),
    Component("network", "kubetree.network.main", _network),
    Component("proxy", "kubetree.proxy.main", _proxy),
    Component("kubelet", "kubetree.kubelet.main", _kubelet),
)
"""In the order of starting; ending goes the other way."""
