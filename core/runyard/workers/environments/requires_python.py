"""Checks whether an interpreter satisfies a project's `requires-python`."""

from __future__ import annotations

import re

_CLAUSE = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?\s*$")


def suits(version: tuple[int, ...], required: str) -> bool:
    """Whether a Python version satisfies a specifier such as `>=3.10,<4`.

    Unknown clauses are ignored here; the installer checks them.
    """
    return all(_suits(version, clause) for clause in required.split(",") if clause.strip())


def _suits(version: tuple[int, ...], clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    operator, any_after = match[1], bool(match[3])
    wanted = tuple(map(int, match[2].split(".")))
    longest = max(len(version), len(wanted))
    ours, theirs = (each + (0,) * (longest - len(each)) for each in (version, wanted))
    if operator == "~=":
        return ours >= theirs and version[: len(wanted) - 1] == wanted[:-1]
    if operator in ("==", "!="):
        same = version[: len(wanted)] == wanted if any_after else ours == theirs
        return same == (operator == "==")
    return {"<=": ours <= theirs, ">=": ours >= theirs, "<": ours < theirs, ">": ours > theirs}[operator]
