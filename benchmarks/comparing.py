"""The same rows on another commit, in turn with those of this tree: is it slower than before?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from measure import Row

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAM = "#!{python}\nimport sys\nfrom runyard_cli.main import main\nsys.exit(main())\n"


def compare(rows: list[Row], commit: str, turns: int) -> bool:
    """Measure rows on another commit and here, in turn, and print the best of each with their ratio.

    Args:
        rows: which.
        commit: the other one, as git names it.
        turns: how often each row is measured on each side.

    Returns:
        Whether no row is more than a tenth worse here. The speed of a machine varies; the best of several
        turns varies least.
    """
    fair = True
    with _tree(commit) as (folder, python):
        for row in rows:
            then, now = [], []
            for _ in range(turns):
                then.append(_value(python, folder, row))
                now.append(_value(sys.executable, _ROOT, row))
            better = max if row.at_least is not None else min
            before, here = (better((v for v in side if v is not None), default=None) for side in (then, now))
            if before is None or here is None:
                missing = commit if before is None else "this tree"
                print(f"skip {row.name:16} not measured on {missing}", flush=True)
                continue
            ratio = here / before if before else 1.0
            worse = ratio < 0.9 if row.at_least is not None else ratio > 1.1
            fair = fair and not worse
            mark = "MISS" if worse else "ok  "
            print(
                f"{mark} {row.name:16} {before:,.2f} before, {here:,.2f} now: {ratio:.2f} times", flush=True
            )
    return fair


@contextmanager
def _tree(commit: str) -> Iterator[tuple[str, str]]:
    """A checkout of a commit, and an interpreter that imports it and this environment's packages."""
    with tempfile.TemporaryDirectory(prefix="benchmark-base-") as folder:
        checkout, environment = os.path.join(folder, "tree"), os.path.join(folder, "venv")
        subprocess.run(
            ["git", "-C", _ROOT, "worktree", "add", "-q", "--detach", checkout, commit], check=True
        )
        try:
            venv.create(environment, symlinks=True)
            python = os.path.join(environment, "bin", "python")
            packages = sysconfig.get_path("purelib", vars={"base": environment, "platbase": environment})
            places = [os.path.join(checkout, name) for name in ("core", "cli", "templates")]
            with open(os.path.join(packages, "base.pth"), "w", encoding="utf-8") as file:
                file.write("\n".join([*places, sysconfig.get_path("purelib")]) + "\n")
            program = os.path.join(environment, "bin", "runyard")
            with open(program, "w", encoding="utf-8") as file:
                file.write(_PROGRAM.format(python=python))
            os.chmod(program, 0o755)
            yield checkout, python
        finally:
            subprocess.run(["git", "-C", _ROOT, "worktree", "remove", "--force", checkout], check=True)


def _value(python: str, folder: str, row: Row) -> float | None:
    """The figure of a row there: its ratio where the row has one."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [python, os.path.join(folder, "benchmarks"), "--only", row.name, "--json", file.name]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        try:
            found: dict[str, Any] = json.load(file)["rows"][0]
        except (ValueError, LookupError):
            return None
    value = found.get("value") if found.get("ratio") is None else found["ratio"]
    return None if value is None else float(value)
