"""Makes sure that a container's image is on the node: pull policies, back-off, and upstream's words when it fails."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.kubelet import image_credentials
from kubetree.kubelet.backoff import Backoff
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.cri_config import ImageUser

Object = dict[str, Any]
Report = Callable[[str, str, str], None]
"""`report(type, reason, message)` makes an event about the container."""

PARALLEL_PULLS = 5
PULL_TIMEOUT = 3600.0
_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}))?"
)
_SHA = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{64}")


class ImageFailure(Exception):
    """The image is not there: `reason` is the container's waiting reason, `retry_at` the clock's time of the next try or None."""

    def __init__(self, reason: str, message: str, retry_at: float | None = None) -> None:
        super().__init__(message)
        self.reason, self.message, self.retry_at = reason, message, retry_at


@dataclass(frozen=True, slots=True)
class LocalImage:
    ref: str
    user: ImageUser


def with_default_tag(image: str) -> str:
    """`busybox` is `busybox:latest`. Raises ValueError, worded as upstream's parser, for what cannot be an image's name."""
    if _SHA.fullmatch(image):
        return image
    match = _REFERENCE.fullmatch(image)
    if match is None:
        repository = image.split("@")[0].rsplit(":", 1)[0]
        upper = repository.lower() != repository
        raise ValueError("repository name must be lowercase" if upper else "invalid reference format")
    return image if match["tag"] or match["digest"] else f"{image}:latest"


def _seconds(duration: float) -> str:
    """As Go prints a duration cut to milliseconds."""
    milliseconds = int(duration * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text


class ImageManager:
    """`clock` is seconds, monotonic or not; it only has to be one."""

    def __init__(self, client: RuntimeClient, clock: Callable[[], float] = time.time) -> None:
        self._client, self._clock = client, clock
        self._backoff = Backoff()
        self._last_failure: dict[str, str] = {}
        self._pulls = asyncio.Semaphore(PARALLEL_PULLS)

    async def ensure(
        self, uid: str, name: str, policy: str, secrets: Sequence[Object], sandbox_config: Object, report: Report
    ) -> LocalImage:
        """The image's id on this node, pulled if `policy` (Always, IfNotPresent, Never) says so. Raises ImageFailure."""
        try:
            image = with_default_tag(name)
        except ValueError as error:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
            report("Warning", "InspectFailed", message)
            raise ImageFailure("InvalidImageName", message) from error
        try:
            present = await self._find(image)
        except RuntimeFailure as error:
            message = f'Failed to inspect image "{name}": {error}'
            report("Warning", "InspectFailed", message)
            raise ImageFailure("ImageInspectError", message) from error
        if present is not None and policy != "Always":
            report("Normal", "Pulled", f'Container image "{name}" already present on machine and can be accessed by the pod')
            return present
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            report("Warning", "ErrImageNeverPull", message)
            raise ImageFailure("ErrImageNeverPull", message)
        return await self._pull(uid, name, image, secrets, sandbox_config, report)

    async def _find(self, image: str) -> LocalImage | None:
        answer = await self._client.call("ImageStatus", image={"image": image})
        if not answer.image.id:
            return None
        uid = answer.image.uid.value if answer.image.HasField("uid") else None
        return LocalImage(answer.image.id, ImageUser(uid, answer.image.username))

    async def _pull(self, uid: str, name: str, image: str, secrets: Sequence[Object], sandbox_config: Object, report: Report) -> LocalImage:
        key, now = f"{uid}_{name}", self._clock()
        if remaining := self._backoff.remaining(key, self._backoff.updated(key), now):
            message = f'Back-off pulling image "{name}"'
            report("Normal", "BackOff", message)
            if key in self._last_failure:
                message = f"{message}: {self._last_failure[key]}"
            raise ImageFailure("ImagePullBackOff", message, now + remaining)
        self._last_failure.pop(key, None)
        report("Normal", "Pulling", f'Pulling image "{name}"')
        started = self._clock()
        async with self._pulls:
            began = self._clock()
            try:
                await self._pull_with_some_credential(image, secrets, sandbox_config)
            except RuntimeFailure as error:
                report("Warning", "Failed", f'Failed to pull image "{name}": {error}')
                self._backoff.next(key, self._clock(), self._clock())
                self._last_failure[key] = f"ErrImagePull: {error}"
                raise ImageFailure("ErrImagePull", str(error)) from error
            found = await self._find(image)
            size = (await self._client.call("ImageStatus", image={"image": image})).image.size
        if found is None:
            raise ImageFailure("ErrImagePull", f'image "{name}" was pulled but cannot be found')
        ended = self._clock()
        took, whole = _seconds(ended - began), _seconds(ended - started)
        report("Normal", "Pulled", f'Successfully pulled image "{name}" in {took} ({whole} including waiting). Image size: {size} bytes.')
        return found

    async def _pull_with_some_credential(self, image: str, secrets: Sequence[Object], sandbox_config: Object) -> None:
        candidates = [{"auth": c.to_cri()} for c in image_credentials.find(image, secrets)] or [{}]
        failure: RuntimeFailure | None = None
        for auth in candidates:
            try:
                await self._client.call(
                    "PullImage", rpc_timeout=PULL_TIMEOUT, image={"image": image}, sandbox_config=sandbox_config, **auth
                )
                return
            except RuntimeFailure as error:
                failure = error
        if failure is not None:
            raise failure

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._backoff.forget(f"{uid}_")
        for key in [k for k in self._last_failure if k.startswith(f"{uid}_")]:
            del self._last_failure[key]
