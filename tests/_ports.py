"""Ports of 127.0.0.1 for servers that tests start as programs of their own."""

from __future__ import annotations

import socket
import sys

# What keeps the ports until this process ends.
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that is given to no other program before the server that a test starts listens there.

    A socket which is bound and does not listen keeps it: the kernel chooses its port neither for another
    server nor for an outgoing connection. A server that may reuse addresses (SO_REUSEADDR, as servers are
    allowed to) listens there all the same, also when it is started again.
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
