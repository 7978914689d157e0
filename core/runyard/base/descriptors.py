"""Descriptors of open files: the standard ones that must be there, and those that a process passes on."""

from __future__ import annotations

import os
import sys


def open_standard() -> None:
    """Open the null device where descriptor 0, 1 or 2 is closed, and give Python its streams.

    Otherwise the next file that is opened, for example the database, gets that number, and what something
    prints goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def name_of(number: int) -> str:
    """A text by which another process finds this open file again, where it has inherited it."""
    told = os.fstat(number)
    return f"{number}:{told.st_dev}:{told.st_ino}"


def find(name: str) -> int | None:
    """The descriptor of a text by `name_of`; None where it is closed, or is another file by now."""
    number = int(name.partition(":")[0])
    try:
        return number if name_of(number) == name else None
    except OSError:
        return None
