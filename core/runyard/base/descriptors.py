"""File descriptors: keep 0, 1 and 2 open, and pass an open file to a child process."""

from __future__ import annotations

import os
import sys


def open_standard() -> None:
    """Open the null device for each of the descriptors 0, 1 and 2 that is closed, and set Python's streams.

    Otherwise the next opened file, for example the database, gets that number, and printed output goes
    into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # os.open returns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def name_of(number: int) -> str:
    """A text that identifies this open file; a child process that inherits it passes the text to `find`."""
    told = os.fstat(number)
    return f"{number}:{told.st_dev}:{told.st_ino}"


def find(name: str) -> int | None:
    """The descriptor of a text from `name_of`; None if it is closed or is now another file."""
    number = int(name.partition(":")[0])
    try:
        return number if name_of(number) == name else None
    except OSError:
        return None
