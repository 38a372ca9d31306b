"""Starting the supervisor early: it imports what it will run while `kubetree up` still prepares the machine. Imports next to nothing itself."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from kubetree.cluster import pidfile
from kubetree.cluster.layout import Layout

SUPERVISOR = "supervisor"
"""Its name among the pid files."""

Starting = subprocess.Popen[bytes]


def start_early(layout: Layout) -> Starting | None:
    """A supervisor that waits for `let_go`, and ends when this process ends before; None when one runs already."""
    if pidfile.find(layout.pids, SUPERVISOR) is not None:
        return None
    arguments = [sys.executable, "-m", "kubetree.cluster.supervisor", "--wait"]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)


def let_go(starting: Starting) -> None:
    """The machine is ready: the supervisor becomes a daemon and starts the components. Nothing happens when it has ended."""
    assert starting.stdin is not None
    with suppress(BrokenPipeError), starting.stdin as pipe:
        pipe.write(b"go\n")
