"""What the tests need of the system beyond what a node needs, installed with apt where it can be: `make test` calls this first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from kubetree.cluster import prerequisites
from kubetree.cluster.prerequisites import MissingPrerequisites, Prerequisite

FOR_TESTS: tuple[Prerequisite, ...] = (
    Prerequisite("etcd", ("etcd",), {"apt-get": "etcd-server"}),
    Prerequisite("nft", ("nft",), {"apt-get": "nftables"}),
    Prerequisite("mount", ("mount",), {"apt-get": "mount"}),
    Prerequisite("openssl", ("openssl",), {"apt-get": "openssl"}),
    Prerequisite("a registry on loopback", ("docker-registry",), {"apt-get": "docker-registry"}),
    Prerequisite("ps", ("ps",), {"apt-get": "procps"}),
)


def main() -> int:
    """0 also where nothing can be installed: the tests that need what is missing say so and are skipped."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return 0
    try:
        prerequisites.ensure(print, (*prerequisites.PREREQUISITES, *FOR_TESTS))
    except (MissingPrerequisites, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
