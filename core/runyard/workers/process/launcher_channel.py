"""The channel between a worker and its launcher: JSON lines on a socket pair, with file descriptors."""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from typing import Any

_CHUNK = 1 << 16
_MAX_FILES = 64


class Channel:
    """One end of the channel. A message with `files: n` carries n file descriptors.

    Args:
        sock: a connected Unix stream socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = bytearray()
        self._files: deque[int] = deque()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self.sock.fileno()

    def send(self, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
        """Send one message; the receiver gets copies of `files`.

        Raises:
            OSError: the other end is closed.
        """
        if files:
            message = {**message, "files": len(files)}
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if files:
            sent = socket.send_fds(self.sock, [data], list(files))
            data = data[sent:]
        if data:
            self.sock.sendall(data)

    def receive(self) -> list[tuple[dict[str, Any], list[int]]] | None:
        """Read the messages that have arrived, each with its files; None if the other end is closed."""
        try:
            data, files, _, _ = socket.recv_fds(self.sock, _CHUNK, _MAX_FILES)
        except (ConnectionError, InterruptedError):
            return None
        self._files.extend(files)
        if not data:
            return None
        self._rest += data
        messages = []
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            message = json.loads(line)
            messages.append((message, [self._files.popleft() for _ in range(message.get("files", 0))]))
        return messages

    def close(self) -> None:
        """Close this end."""
        self.sock.close()
        while self._files:
            os.close(self._files.popleft())
