"""Soak: `python benchmarks/soak.py [--store sqlite|postgres|http] [--workers N] [--runs N] [--write]`.

Three workers, or a fleet, execute runs while every process is killed and stopped at random, the wall
clock jumps, server and database are restarted. Then it counts what is stuck, lost, begun twice, over a
limit or left behind.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tests")]

from soaking import findings, table  # noqa: E402  # found by the line above
from soaking.spread import Life  # noqa: E402  # as above

RUNS = {"sqlite": 1500, "postgres": 600, "http": 300}
DEPLOYMENTS = {
    "plain": 20,
    "stepped": 10,
    "once": 10,
    "failing": 12,
    "steps": 18,
    "tagged": 15,
    "limited": 15,
}
_WORKERS, _LIMIT, _MAKERS = 3, 4, 3  # the workers are three by default
_README = os.path.join(HERE, "README.md")
_MAKE = """
import json, random, sys, time
from runyard.client import connect
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.deployments.deployment_shapes import DeploymentFlowRunCreate
from runyard.errors import ApiUnavailable, StoreError
ids, weights, count = json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
random.seed(int(sys.argv[4]))
client = connect()
for number in range(count):
    name = random.choices(list(weights), list(weights.values()))[0]
    queue = {"work_queue_name": "high"} if random.random() < 0.1 else {}
    key = f"{sys.argv[4]}-{number}"  # asked again after an outage, it is the same run
    body = DeploymentFlowRunCreate(parameters={"number": number}, idempotency_key=key, **queue)
    while True:
        try:
            client.call(create_flow_run_from_deployment, ids[name], body)
            break
        except (StoreError, ApiUnavailable):
            time.sleep(0.2)
"""


class Soak:
    """One soak in a folder of its own.

    Args:
        store: `sqlite`, `postgres`, or `http`: a server on SQLite.
        runs: how many.
        seed: of everything random.
        limit_seconds: after that what is not over counts as stuck.
        size: how many workers.
    """

    def __init__(self, store: str, runs: int, seed: int, limit_seconds: float, size: int) -> None:
        self.store, self.runs, self.seed, self.limit_seconds = store, runs, seed, limit_seconds
        self.size = size
        self.random = random.Random(seed)  # no secret
        self.folder = tempfile.mkdtemp(prefix="runyard-soak-")
        for name in ("moments", "tmp"):
            os.mkdir(f"{self.folder}/{name}")
        self.project = shutil.copytree(f"{HERE}/soaking", f"{self.folder}/project")
        self.done: collections.Counter[str] = collections.Counter()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.lives: list[Life] = []
        self.life_of: dict[int, Life] = {}
        self.server: subprocess.Popen[bytes] | None = None
        self.cluster: Any = None
        self.url = f"sqlite:///{self.folder}/home/runyard.db"
        self.port = 0
        self._continue: list[tuple[float, int]] = []
        self._clock_back_at: float | None = None
        self.environment = self._environment()

    def _environment(self) -> dict[str, str]:
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("RUNYARD", "PREFECT"))
        }
        return own | {
            "SOAK_FOLDER": self.folder,
            "TMPDIR": f"{self.folder}/tmp",
            "RUNYARD_HOME": f"{self.folder}/home",
            "RUNYARD_WORKER_LEASE_SECONDS": "6",
            "RUNYARD_TAKEOVER_AFTER_SECONDS": "15",
            "RUNYARD_WORKER_HEARTBEAT_SECONDS": "1",
            "RUNYARD_DATABASE_TIMEOUT_SECONDS": "10",
        }

    # The parts

    def start(self) -> None:
        """Make the database, the pool, the deployments and the limits; start the server and the workers."""
        if self.store == "postgres":
            from _postgres import Cluster

            self.cluster = Cluster()
            self.cluster.start()
            # A restart may lose nothing that was committed.
            with self.cluster._connect("postgres") as connection:
                connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
            self.url = self.cluster.fresh_database()
            self.environment["RUNYARD_DATABASE_URL"] = self.url
        self._command(
            "work-pool",
            "create",
            "soak",
            "--type",
            "process",
            "--concurrency-limit",
            str(findings.pool_limit(self.size)),
        )
        for name, priority in (("high", 1), ("normal", 2), ("low", 3)):
            self._command("work-queue", "create", name, "--pool", "soak", "--priority", str(priority))
        self._command("deploy", "--all")
        self._command("concurrency-limit", "create", "db", str(findings.TAG_LIMIT))
        told = json.loads(self._command("deployment", "ls", "-o", "json"))
        self.ids = {its["name"]: its["id"] for its in told}
        self.of_workers = dict(self.environment)
        if self.store == "http":
            self.port = _free_port()
            self.of_workers["RUNYARD_API_URL"] = f"http://127.0.0.1:{self.port}/api"
            self._start_server()
        self._fake_clock()
        self.workers = [self._start_worker() for _ in range(self.size)]

    def _fake_clock(self) -> None:
        """Let the workers' wall clock be set by a file."""
        self.clock = f"{self.folder}/clock"
        self._set_clock("0")
        self.of_workers |= {"PYTHONPATH": f"{HERE}/soaking/site", "SOAK_CLOCK": self.clock}

    def _set_clock(self, offset: str) -> None:
        with open(f"{self.clock}.new", "w", encoding="utf-8") as file:
            file.write(offset + "\n")
        os.replace(f"{self.clock}.new", self.clock)

    def _command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "runyard", *arguments],
            env=self.environment, cwd=self.project, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"runyard {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout

    def _spawn(self, log: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
        with open(f"{self.folder}/{log}", "ab") as out:
            return subprocess.Popen(
                [sys.executable, *arguments], env=environment, cwd=self.project,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _start_worker(self) -> subprocess.Popen[bytes]:
        life = Life(f"worker-{len(self.lives) + 1}", time.monotonic())
        self.lives.append(life)
        arguments = ("worker", "start", "--pool", "soak", "--name", life.name, "--limit", str(_LIMIT))
        worker = self._spawn(f"{life.name}.log", self.of_workers, "-m", "runyard", *arguments)
        self.life_of[worker.pid] = life
        return worker

    def _start_server(self) -> None:
        arguments = ("-m", "runyard", "server", "start", "--port", str(self.port))
        self.server = self._spawn("server.log", self.environment, *arguments)

    # What happens to them

    def disturb(self) -> None:
        """Kill, stop or restart something, or set the clock."""
        what = self.random.random()
        if what < 0.07:
            self._jump()
        elif what < 0.17:
            self._disturb_store()
        else:
            self._disturb_process()

    def _jump(self) -> None:
        offset = self.random.choice(["3600", "-3600", "20"])
        self._set_clock(offset)
        self._clock_back_at = time.monotonic() + self.random.choice([2, 5])
        self.done["clock jumps"] += 1

    def _disturb_store(self) -> None:
        if self.cluster is not None:
            if self.done["database restarts"] < 3:
                self.done["database restarts"] += 1
                self.cluster.restart()
        elif self.server is not None:
            self.server.kill()
            self.server.wait()
            self.done["server kills"] += 1
            time.sleep(self.random.choice([0, 1, 4]))
            self._start_server()
        else:
            import sqlite3

            connection = sqlite3.connect(f"{self.folder}/home/runyard.db", timeout=1, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return  # a process that was stopped holds it
            time.sleep(self.random.choice([0.5, 2]))
            connection.execute("COMMIT")
            connection.close()
            self.done["database held"] += 1

    def _disturb_process(self) -> None:
        kind = self.random.choice(["worker", "launcher", "run", "run"])
        found = [(pid, life) for its, pid, life in self._processes() if its == kind]
        if not found:
            return
        pid, life = self.random.choice(found)
        try:
            if self.random.random() < 0.6:
                os.kill(pid, signal.SIGKILL)
                self.done["kills"] += 1
            else:
                os.kill(pid, signal.SIGSTOP)
                seconds = self.random.choice([0.2, 1, 3, 6, 20])
                self._continue.append((time.monotonic() + seconds, pid))
                life.stopped += seconds if kind != "run" else 0
                self.done["stops"] += 1
        except ProcessLookupError:
            pass

    def _processes(self) -> list[tuple[str, int, Life]]:
        found = []
        for worker in self.workers:
            if worker.poll() is None:
                life = self.life_of[worker.pid]
                found.append(("worker", worker.pid, life))
                for launcher in _children(worker.pid):
                    found.append(("launcher", launcher, life))
                    found.extend(("run", run, life) for run in _children(launcher))
        return found

    def go_on(self, at_once: bool = False) -> None:
        """What was stopped goes on when its time has come; workers that ended are started again."""
        now = time.monotonic()
        for moment, pid in list(self._continue):
            if at_once or now >= moment:
                self._continue.remove((moment, pid))
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
        if self._clock_back_at is not None and (at_once or now >= self._clock_back_at):
            self._clock_back_at = None
            self._set_clock("0")
        for index, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.life_of[worker.pid].ended = now
                self.workers[index] = self._start_worker()

    # The whole

    def run(self) -> findings.Findings:
        """Everything, from the first run to the count."""
        try:
            self.start()
            made = self.runs - self.runs % _MAKERS
            weights = json.dumps(DEPLOYMENTS)
            makers = [
                self._spawn("makers.log", self.environment, "-c", _MAKE, json.dumps(self.ids), weights,
                            str(made // _MAKERS), str(self.seed + index))
                for index in range(_MAKERS)
            ]  # fmt: skip
            self._work(made, makers)
            self._end()
            return findings.find(self.folder, self.url, made, self.lives)
        finally:
            self.close()

    def _work(self, made: int, makers: list[subprocess.Popen[bytes]]) -> None:
        began = time.monotonic()
        disturb_at = look_at = began + 1.0
        over = disturbed = 0
        while time.monotonic() < began + self.limit_seconds and over < made:
            time.sleep(0.05)
            now = time.monotonic()
            # The last tenth is left in peace, so that what is still open then is stuck.
            # Not more than the machine bears: where it is slow, workers need long to be there again.
            patient = disturbed < 10 + over / 4
            if now >= disturb_at and patient and over < made * 0.9:
                disturbed += 1
                self.disturb()
                disturb_at = now + self.random.uniform(0.1, 1.0)
            self.go_on(at_once=over >= made * 0.9)
            if now >= look_at:
                over = self._over(over)
                look_at = now + 2.0
        self.seconds = time.monotonic() - began
        if any(maker.wait(60) for maker in makers):
            raise SystemExit(f"the runs could not be made; see {self.folder}/makers.log")

    def _over(self, before: int) -> int:
        from runyard.base.errors import RunyardError
        from runyard.store.database import Database

        database = Database(self.url)
        try:
            with database.transaction(write=False) as tx:
                return int(
                    tx.value(
                        "SELECT count(*) FROM flow_runs WHERE state_type IN "
                        "('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
                    )
                )
        except RunyardError:
            return before  # it is being restarted
        finally:
            database.close()

    def _end(self) -> None:
        self.go_on(at_once=True)
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            worker.wait(90)
        if self.server is not None:
            self.server.terminate()
            self.server.wait(30)

    def close(self) -> None:
        """End what is left."""
        for _, pid in self._continue:  # launchers that were stopped outlive their workers
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for process in (*self.workers, *([self.server] if self.server else [])):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()
        if self.cluster is not None:
            self.cluster.stop()


def _children(pid: int) -> list[int]:
    from runyard.base import machine

    return machine.children(pid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run the soak and print what it found; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python benchmarks/soak.py", description="Soak Runyard.")
    parser.add_argument(
        "--store", choices=RUNS, action="append", help="sqlite, postgres, http; all by default"
    )
    parser.add_argument("--workers", type=int, default=_WORKERS, help="how many; 3 by default")
    parser.add_argument("--runs", type=int, help="how many runs; 1500, 600 and 300 by default")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--seconds",
        type=float,
        help="after that what is open is stuck; 300 and 5 more for each run by default",
    )
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left
    rows, clean = [], True
    for store in options.store or RUNS:
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
        runs = options.runs or RUNS[store]
        soak = Soak(store, runs, seed, options.seconds or 300.0 + 5.0 * runs, options.workers)
        found = soak.run()
        rows.append(_row(soak, found))
        print(rows[-1], flush=True)
        print(f"  seed {seed}, outcomes {found.outcomes}", flush=True)
        for line in found.told[:20]:
            print(f"  {line}", flush=True)
        if found.clean:
            shutil.rmtree(soak.folder)
        else:
            clean = False
            print(f"  what it left is in {soak.folder}", flush=True)
    if options.write:
        table.write(_README, rows)
    return 0 if clean else 1


def _row(soak: Soak, found: findings.Findings) -> str:
    done = ", ".join(f"{count} {what}" for what, count in sorted(soak.done.items()))
    cells = (
        soak.store,
        soak.size,
        f"{soak.runs:,}",
        done,
        f"{soak.seconds:.0f} s",
        found.spread,
        found.stuck,
        found.lost,
        found.over_a_limit,
        found.started_twice,
        found.over_budget,
        found.slots_left,
        found.starved,
        found.left_behind,
        found.locked,
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
