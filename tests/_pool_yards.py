"""Yards for the types of pools whose runs are jobs: each test runs on all of them."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

from _docker import need_docker
from _docker_yard import DockerYard
from _kubernetes_yard import KubernetesYard
from _yard import Yard, a_yard, is_gone, until

GUIDE = Path(__file__).parents[1] / "docs" / "pool-types.md"
METADATA = "Metadata-Version: 2.1\nName: detached\nVersion: 1\n"


class DetachedYard(Yard):
    """A yard whose pool is of the type that docs/pool-types.md makes, found by its entry point."""

    pool_type = "detached"

    def __init__(self, folder):
        super().__init__(folder)
        text = GUIDE.read_text(encoding="utf-8")
        package = folder / "package"
        package.mkdir()
        (package / "detached.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
        info = package / "detached-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA)
        entry = re.search(r"```toml\n\[project.entry-points.\"(.*?)\"\]\n(.*?)```", text, re.DOTALL)
        (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2].replace(chr(34), '')}")
        self.jobs = folder / "jobs"
        self.environment |= {
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "DETACHED_JOBS": str(self.jobs),
        }

    def kill_job(self, run, number=signal.SIGKILL):
        for path in self.jobs.glob("*/labels.json"):
            if json.loads(path.read_text())["io.runyard.flow-run-id"] == run:
                os.kill(int((path.parent / "pid").read_text()), number)

    def end_job(self, run):
        self.kill_job(run, signal.SIGTERM)

    def ended(self, run, *types):
        """The final state, once the job has ended too; until then its worker must live."""
        state = super().ended(run, *types)
        for _, pid in self.notes():
            until(lambda pid=pid: is_gone(pid), "the end of the job")
        return state


YARDS = {"detached": DetachedYard, "docker": DockerYard, "kubernetes": KubernetesYard}


def a_yard_of(kind, tmp_path):
    """A yard of a type of pool; skips the test if that is impossible here."""
    if kind == "docker":
        need_docker()
    return a_yard(tmp_path, YARDS[kind])
