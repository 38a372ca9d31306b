"""An API server as a process of its own, to be killed: `apiserver_process.py <storage URL> <port> [<etcd prefix>]`.

Plain HTTP, everything allowed.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from kubetree.apiserver.options.config import Config
from kubetree.apiserver.server import ApiServer


async def main(storage: str, port: int, prefix: str) -> None:
    server = ApiServer(Config(storage=storage, etcd_prefix=prefix, secure_port=port, always_allow=True))
    await server.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "/registry"))
