"""The CNI configuration that containerd gives each pod its interface by: the `ptp`, `host-local` and `loopback` plugins.

Every pod hangs on a link of its own and everything between pods is routed (docs/decisions/pod-links.md says why not a bridge).
The node's share of the pod range comes from `Node.spec.podCIDRs`; the file appears once it is known, and until then containerd
reports the node's network as not ready, as with any other network add-on.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NETWORK_NAME = "kubetree"
FILE_NAME = "10-kubetree.conflist"
CNI_VERSION = "1.0.0"
DEFAULT_ROUTES = {4: "0.0.0.0/0", 6: "::/0"}


def conflist(pod_cidrs: Sequence[str], *, mtu: int, state_directory: str) -> dict[str, Any]:
    """The network configuration list of a node. Pure.

    `pod_cidrs` is `Node.spec.podCIDRs`, one range for each address family; `state_directory` is where host-local keeps one file
    for each address in use, so that an address is not given twice, also after a restart. Raises ValueError on a malformed range.
    """
    if not pod_cidrs:
        raise ValueError("a node without podCIDRs has no addresses to give to pods")
    networks = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
    ipam = {
        "type": "host-local",
        "dataDir": state_directory,
        "ranges": [[{"subnet": str(network)}] for network in networks],
        "routes": [{"dst": DEFAULT_ROUTES[network.version]} for network in networks],
    }
    return {
        "cniVersion": CNI_VERSION,
        "name": NETWORK_NAME,
        "plugins": [{"type": "ptp", "mtu": mtu, "ipMasq": False, "ipam": ipam}],
    }


def write_conflist(directory: Path, configuration: dict[str, Any]) -> bool:
    """Writes the list below `directory`, whole or not at all: containerd reads the directory whenever it changes.

    Returns False when the very same list was there already.
    """
    path = directory / FILE_NAME
    text = json.dumps(configuration, indent=2) + "\n"
    if path.exists() and path.read_text() == text:
        return False
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{FILE_NAME}.{os.getpid()}"
    temporary.write_text(text)
    os.replace(temporary, path)
    return True
