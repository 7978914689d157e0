"""Tasks and flows of a script are functions to pickle: pools of processes take them by their names."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import copy, json, multiprocessing, pickle, sys
    from concurrent.futures import ProcessPoolExecutor
    from runyard import flow, task

    @task
    def more(number):
        return number + 1

    @flow
    def twice(number):
        return 2 * number

    class Job:
        def __init__(self, number):
            self.number = number

        @task
        def less(self, number):
            return number - self.number

    renamed = more.with_options(name="renamed", retries=2)

    @flow
    def main(context):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = [list(pool.map(each, range(2))) for each in (more, twice, renamed, Job(5).less)]
        with context.Pool(1) as pool:
            found.append(pool.map(more, [5]))
        queue = context.Queue()
        queue.put(more)
        return [*found, queue.get() is more]

    def plainly():
        twin = pickle.loads(pickle.dumps(renamed))
        apart = copy.deepcopy(renamed)
        return [
            pickle.loads(pickle.dumps(more)) is more,
            [twin.name, twin.retries, twin.fn is more.fn],
            [apart is renamed, apart.name, apart.fn(1)],
        ]

    if __name__ == "__main__":
        print(json.dumps([main(multiprocessing.get_context(sys.argv[1])), plainly()]))
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_pools_take_the_tasks_and_flows_of_a_script(recorded, tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run([sys.executable, str(script), how], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    in_pools, plainly = json.loads(done.stdout)
    assert in_pools == [[1, 2], [0, 2], [1, 2], [-5, -4], [6], True]
    assert plainly == [True, ["renamed", 2, True], [False, "renamed", 2]]
    (root,) = recorded.flow_runs("main")
    assert {run["flow_run_id"] for run in recorded.task_runs()} == {root["id"]}
    assert len(recorded.task_runs("renamed")) == 2
    assert len(recorded.flow_runs("twice")) == 2


def test_what_brings_code_to_other_machines_takes_apart_what_a_script_has(tmp_path):
    pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    script = """
        import cloudpickle, sys
        from runyard import task

        @task
        def more(number):
            return number + 1

        with open("packet", "wb") as file:
            file.write(cloudpickle.dumps([more, more.with_options(name="renamed")]))
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True, timeout=120)
    code = "import pickle; a, b = pickle.load(open('packet', 'rb')); print(a.name, b.name, b.fn(1))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "more renamed 2\n", done.stderr
