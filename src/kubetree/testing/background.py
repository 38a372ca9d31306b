"""A cluster in a thread of its own, for tests that are not async. Whatever is asked of it runs in its event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.client import Client, ClientConfig
from kubetree.testing.cluster import PATIENCE, Cluster
from kubetree.testing.kubelet import SimulatedKubelet

if TYPE_CHECKING:
    from kubernetes.client import Configuration

T = TypeVar("T")
Object = dict[str, Any]


class BackgroundCluster:
    """`with BackgroundCluster(nodes=2) as cluster: ...`; takes what `Cluster` takes."""

    def __init__(self, **options: Any) -> None:
        self._cluster = Cluster(**options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="kubetree-testing", daemon=True)
        self._up = threading.Event()

    def __enter__(self) -> BackgroundCluster:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()
        self._up.wait()
        try:
            self.run(self._cluster.start())
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        try:
            self.run(self._cluster.stop())
        finally:
            self._end()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            loop = self._loop = runner.get_loop()
            loop.call_soon(self._up.set)
            loop.run_forever()

    def _end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the cluster's loop and waits for it: `cluster.run(cluster.client.get(POD, "web", "default"))`."""
        assert self._loop is not None
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("called from the cluster's own thread, which would wait for itself: await there instead")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls a plain function in the cluster's loop and waits for its result."""

        async def work() -> T:
            return function(*args, **kwargs)

        return self.run(work())

    # -- as Cluster, for threads

    @property
    def kubelet(self) -> SimulatedKubelet:
        """The simulated nodes; methods may be called from any thread."""
        return cast(SimulatedKubelet, _InLoop(self, self._cluster.kubelet))

    def advance(self, seconds: float) -> None:
        self.run(self._cluster.advance(seconds))

    def settle(self) -> None:
        self.run(self._cluster.settle())

    def until(
        self, row: Kind, name: str, namespace: str, holds: Callable[[Object | None], Any], *, timeout: float = PATIENCE
    ) -> Object | None:
        """Waits until `holds` is true of an object (None: there is none) and returns it. Raises TimeoutError showing how it stands."""
        last: Object | None = None

        def look() -> bool:
            nonlocal last
            try:
                last = self.run(self.client.get(row, name, namespace))
            except errors.NotFound:
                last = None
            return bool(holds(last))

        try:
            self.wait_for(look, timeout=timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{row.kind} {namespace}/{name} after {timeout:g} s: {last}") from error
        return last

    def wait_for(self, condition: Callable[[], T], *, timeout: float = PATIENCE, interval: float = 0.01) -> T:
        """Polls a function, in the calling thread, until it gives something true, and returns that. Raises TimeoutError."""
        end = time.monotonic() + timeout
        while not (result := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"still {result!r} after {timeout:g} s")
            time.sleep(interval)
        return result

    @property
    def client(self) -> Client:
        """The administrator's client; its coroutines go to `run`."""
        return self._cluster.client

    @property
    def url(self) -> str:
        return self._cluster.url

    @property
    def kubeconfig(self) -> Path:
        return self._cluster.kubeconfig

    @property
    def config(self) -> ClientConfig:
        return self._cluster.config

    def config_of(self, user: str, *groups: str) -> ClientConfig:
        return self._cluster.config_of(user, *groups)

    def kubernetes_configuration(self) -> Configuration:
        return self._cluster.kubernetes_configuration()


class _InLoop:
    """Calls the methods of an object in the cluster's loop."""

    def __init__(self, cluster: BackgroundCluster, target: object) -> None:
        self._cluster, self._target = cluster, target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._cluster.call(found, *args, **kwargs)


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
