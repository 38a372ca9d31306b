"""Container images made on this machine, in pure Python: the cluster must not need a registry to start.

An image is a docker-style archive (manifest.json, config, one layer), deterministic to the byte, which `ctr images import` and
`docker load` both read.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import platform
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
"""The name under which the pause image is imported: upstream's, so that nothing ever pulls it."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class ImageError(Exception):
    """An image could not be made or imported; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of a layer, or a link when `link` is set. `mode` 0o40000 and up is a directory."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    directory: bool = False
    uid: int = 0
    gid: int = 0


def machine_architecture() -> str:
    """GOARCH of this machine. Raises ImageError on one that is not supported."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise ImageError(f"this machine's architecture {machine} is not supported: use x86_64 or aarch64")
    return ARCHITECTURES[machine]


def build_archive(name: str, files: Mapping[str, bytes | File], config: Mapping[str, Any], *, architecture: str = "") -> bytes:
    """The archive of an image `name` (with tag) of one layer. `files` maps paths to contents (bytes are mode 0755); `config` is the OCI
    image config's `config` object: Entrypoint, Cmd, Env, WorkingDir, User, ExposedPorts, ..."""
    layer = _layer({path: f if isinstance(f, File) else File(f, 0o755) for path, f in files.items()})
    layer_digest = hashlib.sha256(layer).hexdigest()
    image_config = {
        "architecture": architecture or machine_architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubetree"}],
    }
    config_bytes = json.dumps(image_config, sort_keys=True, separators=(",", ":")).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]).encode()
    return _tar({config_name: File(config_bytes), layer_name: File(layer), "manifest.json": File(manifest)})


def _layer(files: Mapping[str, File]) -> bytes:
    entries = {path.strip("/"): file for path, file in files.items()}
    for path in list(entries):
        for parent in list(Path(path).parents)[:-1]:
            entries.setdefault(str(parent), File(mode=0o755, directory=True))
    return _tar(dict(sorted(entries.items())))


def _tar(entries: Mapping[str, File]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, file in entries.items():
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.gid = file.mode, file.uid, file.gid
            if file.directory:
                info.type = tarfile.DIRTYPE
            elif file.link:
                info.type, info.linkname = tarfile.SYMTYPE, file.link
            else:
                info.size = len(file.content)
            archive.addfile(info, io.BytesIO(file.content) if info.size else None)
    return out.getvalue()


def pause_elf(architecture: str) -> bytes:
    """A static ELF program that has its children reaped by the kernel and sleeps for ever: all a sandbox needs of its first process.

    Written as machine code because users' machines may have no compiler: sigaction(SIGCHLD, SIG_IGN with SA_NOCLDWAIT), then
    pause() (ppoll on arm64) in a loop.
    """
    base, header = 0x400000, 64 + 56
    action_size = 32
    action_address = base + header
    if architecture == "amd64":
        machine = 62
        action = struct.pack("<QQQQ", 1, 0x04000002, 0, 0)
        code = (
            b"\xb8" + struct.pack("<I", 13)  # mov eax, rt_sigaction
            + b"\xbf" + struct.pack("<I", 17)  # mov edi, SIGCHLD
            + b"\xbe" + struct.pack("<I", action_address)  # mov esi, action
            + b"\x31\xd2"  # xor edx, edx
            + b"\x41\xba" + struct.pack("<I", 8)  # mov r10d, sizeof(sigset)
            + b"\x0f\x05"  # syscall
            + b"\xb8" + struct.pack("<I", 34)  # loop: mov eax, pause
            + b"\x0f\x05"  # syscall
            + b"\xeb\xf7"  # jmp loop
        )  # fmt: skip
    elif architecture == "arm64":
        machine = 183
        action = struct.pack("<QQQQ", 1, 2, 0, 0)

        def movz(register: int, value: int) -> int:
            return 0xD2800000 | value << 5 | register

        system_call = 0xD4000001
        words = [
            movz(8, 134), movz(0, 17),  # rt_sigaction(SIGCHLD,
            movz(1, action_address & 0xFFFF), 0xF2A00000 | (action_address >> 16) << 5 | 1,  # &action,
            movz(2, 0), movz(3, 8), system_call,  # NULL, 8)
            movz(8, 73), movz(0, 0), movz(1, 0), movz(2, 0), movz(3, 0), system_call,  # loop: ppoll(NULL, 0, NULL, NULL)
            0x14000000 | (-6 & 0x3FFFFFF),  # b loop
        ]  # fmt: skip
        code = struct.pack(f"<{len(words)}I", *words)
    else:
        raise ImageError(f"no pause program for architecture {architecture}")
    size = header + action_size + len(code)
    entry = base + header + action_size
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return elf + program + action + code


def pause_archive(name: str = PAUSE_IMAGE, architecture: str = "") -> bytes:
    architecture = architecture or machine_architecture()
    config = {"Entrypoint": ["/pause"], "Env": ["PATH=/"], "WorkingDir": "/", "User": "65535:65535"}
    return build_archive(name, {"/pause": pause_elf(architecture)}, config, architecture=architecture)


def busybox_archive(name: str, busybox: Path = Path("/usr/bin/busybox"), *, applets: tuple[str, ...] = ()) -> bytes:
    """An image of the machine's static busybox with a link for each applet, /etc/passwd and /tmp. Raises ImageError without busybox."""
    if not busybox.exists():
        raise ImageError(f"{busybox} is missing: install the package busybox-static")
    names = applets or _busybox_applets(busybox)
    files: dict[str, bytes | File] = {
        "/bin/busybox": busybox.read_bytes(),
        "/etc/passwd": File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        "/etc/group": File(b"root:x:0:\nnogroup:x:65534:\n"),
        "/root": File(mode=0o700, directory=True),
        "/tmp": File(mode=0o1777, directory=True),
        "/var/www": File(mode=0o755, directory=True),
    }
    files |= {f"/bin/{applet}": File(link="/bin/busybox", mode=0o777) for applet in names if applet != "busybox"}
    config = {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    return build_archive(name, files, config)


def _busybox_applets(busybox: Path) -> tuple[str, ...]:
    import subprocess

    listing = subprocess.run([str(busybox), "--list"], capture_output=True, check=True, text=True)
    return tuple(listing.stdout.split())


async def import_image(containerd_socket: str, archive: bytes, *, snapshotter: str = "overlayfs") -> None:
    """Load an archive into containerd's Kubernetes namespace. Raises ImageError with ctr's own words."""
    command = ["ctr", "--address", containerd_socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter, "-"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate(archive)
    if process.returncode:
        raise ImageError(f"importing an image into containerd at {containerd_socket} failed: {stderr.decode(errors='replace').strip()}")
