"""A cluster in the running event loop: the real API server (in memory, unless told otherwise), controllers and scheduler, simulated nodes.

Nothing is faked on the wire: clients speak TLS to a port on loopback, with certificates, RBAC and admission as in any cluster. Only
the nodes are made up: see `SimulatedKubelet`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.options.config import Config, TLSFiles
from kubetree.apiserver.server import ApiServer
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import ClusterCertificates, KeyPair
from kubetree.cluster.kubeconfig import document
from kubetree.controllers.certificates.requests import SIGNERS
from kubetree.controllers.duties import duties
from kubetree.controllers.options import Options
from kubetree.controllers.runner import Duty, Runner
from kubetree.scheduler.scheduler import Scheduler
from kubetree.store import Store, open_store
from kubetree.testing.clock import JumpingClock
from kubetree.testing.kubelet import SimulatedKubelet
from kubetree.testing.kubelet_server import kubelet_server

if TYPE_CHECKING:
    from kubernetes.client import Configuration

Object = dict[str, Any]

NODE, POD, SERVICE_ACCOUNT = kind("v1", "Node"), kind("v1", "Pod"), kind("v1", "ServiceAccount")
JUMP = 10.0
"""`advance` goes in steps of this many seconds at most, so that nodes renew their leases on the way."""
PATIENCE = 30.0
"""Seconds that are waited for what a test says will come true, unless it says how long: a busy machine needs some, and only failures all."""


INSIDE = {
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "nodes": ("kubetree-testing-nodes", "system:masters"),
}
"""Users of the parts that run in this process, and their groups."""


class Cluster:
    """`async with Cluster(nodes=2) as cluster: ...`. Several may run beside each other.

    `nodes`: how many simulated nodes, or their names. `controllers`: names as kube-controller-manager's --controllers; () for none.
    `scheduler` False: pods stay where a test puts them. `servers`: API servers over one storage; controllers use the first, the
    scheduler and what the test is given the last. `config` holds more fields of the API server's Config: `storage`, `runtime_config`,
    `feature_gates` (which the controllers go by too) and others.
    """

    def __init__(
        self,
        *,
        nodes: int | Sequence[str] = 1,
        controllers: Sequence[str] = ("*",),
        scheduler: bool = True,
        clock: JumpingClock | None = None,
        servers: int = 1,
        **config: Any,
    ) -> None:
        names = [f"node-{n + 1}" for n in range(nodes)] if isinstance(nodes, int) else list(nodes)
        self.clock = clock or JumpingClock()
        self.kubelet = SimulatedKubelet(names)
        self._controllers, self._with_scheduler, self._config = tuple(controllers), scheduler, config
        self._stack = contextlib.AsyncExitStack()
        self._runners: list[Runner] = []
        self._store: Store | None = None
        self._count = servers
        self._servers: list[ApiServer] = []
        self._client: Client | None = None
        self._certificates: ClusterCertificates | None = None
        self._directory = Path()
        self._tokens = {name: secrets.token_urlsafe(24) for name in INSIDE}

    # -- life

    async def __aenter__(self) -> Cluster:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when nodes are ready and the namespace `default` has its service account, as far as the parts for it run."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kubetree-testing-")))
        self._certificates = ClusterCertificates.create(["127.0.0.1", "localhost"], datetime.now(UTC))
        self._certificates.write(self._directory)
        await self._start_servers()
        self._client = await self._stack.enter_async_context(Client(self.config))
        kubeconfig = document("kubetree-testing", self.url, self._ca, self._admin.certificate, self._admin.key)
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig))
        self.kubeconfig.chmod(0o600)
        authority = self._certificates.authority.pair
        options = Options(
            controllers=self._controllers,
            root_ca=self._ca.decode(),
            features=self.server.config.features,
            signing=dict.fromkeys(SIGNERS, lambda: (authority.certificate, authority.key)),
        )
        manager = duties(options)
        runner = Runner(await self._inside("controllers"), manager, clock=self.clock, separate_accounts=True)
        self._runners.append(runner)
        self._run(runner.run)
        await self._start_nodes()
        if self._with_scheduler:
            self._run(Scheduler(await self._inside("scheduler"), self.clock).run)
        await self._ready(manager)

    async def _start_servers(self) -> None:
        config = self._server_config()
        for _ in range(self._count):
            server = ApiServer(config, store=await self._shared_store(config), clock=self.clock.now)
            await server.start()
            self._stack.push_async_callback(server.stop)
            await server.listen_on(self._socket(len(self._servers)))
            self._servers.append(server)

    async def _shared_store(self, config: Config) -> Store | None:
        """What only one may open is opened once for all; else each server has its own connection."""
        if self._count == 1 or config.storage.startswith("etcd"):
            return None
        if self._store is None:
            self._store = await open_store(config.storage)
            self._stack.push_async_callback(self._store.close)
        return self._store

    def _server_config(self) -> Config:
        files = self._directory
        settings: dict[str, Any] = {
            "tls": TLSFiles(files / "apiserver.crt", files / "apiserver.key", files / "ca.crt"),
            "requestheader_client_ca": files / "front-proxy-ca.crt",
            "proxy_client_cert_file": files / "front-proxy-client.crt",
            "proxy_client_key_file": files / "front-proxy-client.key",
            "service_account_key_files": (files / "sa.pub",),
            "service_account_signing_key_file": files / "sa.key",
            "token_auth_file": self._write_tokens(),
            "compaction_interval": 0.0,
            "enable_aggregator_routing": True,
            "kubelet_preferred_address_types": ("InternalDNS",),
            "shutdown_grace": 0.05,
        }
        return Config(**{**settings, **self._config})

    async def _start_nodes(self) -> None:
        """Simulated nodes act as the administrator: one runner stands for all of them."""
        pair = self._directory / "apiserver.crt", self._directory / "apiserver.key"
        self.kubelet.port = await self._stack.enter_async_context(kubelet_server(*pair))
        runner = Runner(await self._inside("nodes"), self.kubelet.duties(), clock=self.clock)
        self.kubelet.on_behaviour_change(lambda: runner.add_all("simulated-kubelet"))
        self._runners.append(runner)
        self._run(runner.run)

    def _run(self, work: Callable[[], Any]) -> None:
        task = asyncio.get_running_loop().create_task(work())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)

    async def _inside(self, name: str) -> Client:
        """A client for a part in this process: by a socket and a token, which spares it a TLS handshake for each watch."""
        socket = self._socket(self._count - 1 if name == "scheduler" else 0)
        return await self._stack.enter_async_context(Client(ClientConfig(f"unix://{socket}", token=self._tokens[name])))

    def _socket(self, server: int) -> Path:
        return self._directory / f"apiserver-{server}.sock"

    def _write_tokens(self) -> Path:
        """The token file that the API server knows the parts in this process by."""
        path = self._directory / "tokens.csv"
        path.touch(mode=0o600)
        path.write_text("".join(f'{self._tokens[name]},{user},{name},"{groups}"\n' for name, (user, groups) in INSIDE.items()))
        return path

    async def _ready(self, manager: Sequence[Duty]) -> None:
        names = {duty.name for duty in manager}
        async with asyncio.timeout(PATIENCE):
            while not await self._nodes_ready("node-lifecycle-controller" in names):
                await asyncio.sleep(0.005)
            while "serviceaccount-controller" in names and not await self._exists():
                await asyncio.sleep(0.005)

    async def _nodes_ready(self, untainted: bool) -> bool:
        nodes = (await self.client.list(NODE))["items"]
        ready = [n for n in nodes if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"].get("conditions") or ())]
        usable = [n for n in ready if not (untainted and n["spec"].get("taints"))]
        return len(usable) >= len(self.kubelet.nodes)

    async def _exists(self) -> bool:
        try:
            await self.client.get(SERVICE_ACCOUNT, "default", "default")
        except errors.NotFound:
            return False
        return True

    # -- reaching it

    @property
    def url(self) -> str:
        """https://127.0.0.1:<port>"""
        return self.server.url

    @property
    def client(self) -> Client:
        """A client of the administrator's."""
        if self._client is None:
            raise RuntimeError("the cluster has not been started")
        return self._client

    @property
    def server(self) -> ApiServer:
        """The API server that the test talks to."""
        if not self._servers:
            raise RuntimeError("the cluster has not been started")
        return self._servers[-1]

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the administrator's, for kubectl, Helm and clients in other languages; gone when the cluster stops."""
        return self._directory / "kubeconfig"

    @property
    def config(self) -> ClientConfig:
        """What a kubetree Client needs to be the administrator."""
        return ClientConfig(self.url, ca=self._ca, client_cert=self._admin.certificate, client_key=self._admin.key)

    def config_of(self, user: str, *groups: str) -> ClientConfig:
        """What a kubetree Client needs to be `user`, authenticated by a certificate."""
        assert self._certificates is not None
        pair = self._certificates.authority.client(user, datetime.now(UTC), groups=groups, lifetime=timedelta(days=1))
        return ClientConfig(self.url, ca=self._ca, client_cert=pair.certificate, client_key=pair.key)

    def kubernetes_configuration(self) -> Configuration:
        """A Configuration for the `kubernetes` package: `ApiClient(cluster.kubernetes_configuration())`."""
        from kubernetes.client import Configuration

        configuration = Configuration()
        configuration.host = self.url
        configuration.ssl_ca_cert = str(self._directory / "ca.crt")
        configuration.cert_file = str(self._directory / "admin.crt")
        configuration.key_file = str(self._directory / "admin.key")
        return configuration

    @property
    def _ca(self) -> bytes:
        assert self._certificates is not None
        return self._certificates.authority.certificate

    @property
    def _admin(self) -> KeyPair:
        assert self._certificates is not None
        return self._certificates.admin

    # -- time

    async def advance(self, seconds: float) -> None:
        """Puts the clock forward and lets everybody do what has come due. Back-offs, deadlines and tolerations pass in an instant."""
        left = seconds
        while left > 0:
            jump = min(left, JUMP)
            self.clock.jump(jump)
            left -= jump
            await self.settle()

    async def settle(self, *, quiet: int = 3) -> None:
        """Returns when controllers and nodes have had nothing to do for some turns of the event loop (or after ten seconds)."""
        calm = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while calm < quiet:
                    await asyncio.sleep(0.002)
                    calm = calm + 1 if all(runner.idle for runner in self._runners) else 0

    # -- single pods

    async def end_pod(self, name: str, namespace: str = "default", *, code: int = 0) -> None:
        """The pod's containers end now with `code`, and start again as its restartPolicy says."""
        self.kubelet.end(await self.client.get(POD, name, namespace), code, self.clock.now())

    async def set_ready(self, name: str, namespace: str = "default", *, ready: bool) -> None:
        """The pod's readiness probes fail from now on, or succeed again."""
        self.kubelet.set_ready(await self.client.get(POD, name, namespace), ready, self.clock.now())

    async def until(
        self, row: Kind, name: str, namespace: str, holds: Callable[[Object | None], Any], *, timeout: float = PATIENCE
    ) -> Object | None:
        """Waits until `holds` is true of an object (None: there is none) and returns it. Raises TimeoutError showing how it stands."""
        last: Object | None = None

        async def look() -> bool:
            nonlocal last
            try:
                last = await self.client.get(row, name, namespace)
            except errors.NotFound:
                last = None
            return bool(holds(last))

        try:
            await wait_for(look, timeout=timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{row.kind} {namespace}/{name} after {timeout:g} s: {last}") from error
        return last


async def wait_for(condition: Callable[[], Any], *, timeout: float = PATIENCE, interval: float = 0.01) -> Any:
    """Polls an async or plain function until it gives something true, and returns that. Raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(interval)
