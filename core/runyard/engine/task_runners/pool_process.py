"""The program of a pool's process: `python -m runyard.engine.task_runners.pool_process FD`."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import sys
import threading

from runyard.engine.task_runners.process_pool import read_frame, write_frame


def main() -> int:
    """Run packets from the socket until the other side closes it."""
    # The flow's process handles Ctrl-C and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    greeting = read_frame(connection)
    if greeting is None:
        return 0
    sys.path[:], sys.argv[:] = pickle.loads(greeting)  # noqa: S301  # from the process that started this one
    packets: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    running = threading.Event()
    threading.Thread(target=_receive, args=(connection, packets, running), daemon=True).start()
    # Not before the first packet came: its settings are those of the flow.
    from runyard.engine.remote import execute

    while (packet := packets.get()) is not None:
        outcome = execute(packet)
        running.clear()
        try:
            write_frame(connection, outcome)
        except ConnectionError:
            break
    return 0


def _receive(
    connection: socket.socket, packets: queue.SimpleQueue[bytes | None], running: threading.Event
) -> None:
    """Queue the received packets; exit if the flow's process ends while a task runs."""
    while (packet := read_frame(connection)) is not None:
        running.set()
        packets.put(packet)
    if running.is_set():
        os._exit(1)
    packets.put(None)


if __name__ == "__main__":
    sys.exit(main())
