"""Free ports of 127.0.0.1 for servers that tests start as separate programs."""

from __future__ import annotations

import socket
import sys

# What keeps the ports until this process ends.
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that no other program gets before the test's server listens there.

    A bound socket that does not listen reserves it: the kernel gives the port neither to another server nor
    to an
    outgoing connection. A server with SO_REUSEADDR can still listen there, also after a restart.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port = int(keeper.getsockname()[1])
    if sys.platform == "linux":
        _kept.append(keeper)
    else:
        keeper.close()  # others let one socket have an address
    return port
