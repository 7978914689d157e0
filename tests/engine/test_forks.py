"""A child that is forked amid a run ends where it leaves the function that forked it.

The scripts run in processes of their own: a child that went on in its copy of pytest would report for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

WAYS = {"exits": 3, "says": 1, "raises": 1, "interrupts": 130, "returns": 0}

SCRIPT = """
    import asyncio, json, os, sys
    from runyard import flow, task

    WAYS = {
        "exits": lambda: sys.exit(3),
        "says": lambda: sys.exit("a last word"),
        "raises": lambda: {}["missing"],
        "interrupts": lambda: exec("raise KeyboardInterrupt"),
        "returns": lambda: "in the child",
    }
    OWN = os.getpid()

    def forked():
        pid = os.fork()
        if pid == 0:
            return leave()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def hook(runnable, run, state):
        with open("hooks", "a") as file:
            file.write(f"{os.getpid() == OWN} {state.name}\\n")

    @task(retries=1, on_failure=[hook], on_completion=[hook])
    def called():
        return forked()

    @task(timeout_seconds=60)
    def limited():
        return forked()

    @task
    async def waited():
        return forked()

    @task
    def several():
        yield forked()
        yield 1

    @task
    async def several_async():
        yield forked()

    codes = []

    def noting(*_given):
        codes.append(forked())
        return "noted"

    @task(on_completion=[noting])
    def hooked(): ...

    @task(task_run_name=noting)
    def named(): ...

    @task(cache_key_fn=noting, refresh_cache=True)
    def keyed(): ...

    async def noting_async(*_given):
        noting()

    @task(on_completion=[noting_async])
    def hooked_async(): ...

    @flow
    def inner():
        return forked()

    @flow
    def streaming():
        yield forked()

    OPTIONS = {name: [hook] for name in ("on_failure", "on_completion", "on_crashed")}

    @flow(retries=1, **OPTIONS)
    def main(work):
        return work()

    @flow(retries=1, **OPTIONS)
    async def main_async(work):
        return await work()

    async def itself():
        return forked()

    async def first_item():
        return [item async for item in several_async()][0]

    async def in_sync_hook():
        return noted(hooked_async)()

    def noted(work):
        def call():
            work()
            return codes.pop()
        return call

    PLACES = {
        "flow": lambda: main(forked),
        "task": lambda: main(called),
        "limited task": lambda: main(limited),
        "submitted task": lambda: main(lambda: called.submit().result()),
        "submitted limited task": lambda: main(lambda: limited.submit().result()),
        "subflow": lambda: main(inner),
        "generator": lambda: main(lambda: list(several())[0]),
        "submitted generator": lambda: main(lambda: several.submit().result()[0]),
        "generator flow": lambda: list(streaming())[0],
        "generator subflow": lambda: main(lambda: list(streaming())[0]),
        "hook": lambda: main(noted(hooked)),
        "async hook": lambda: main(noted(hooked_async)),
        "name": lambda: main(noted(named)),
        "key": lambda: main(noted(keyed)),
        "task alone": called,
        "async flow": lambda: asyncio.run(main_async(itself)),
        "async task": lambda: asyncio.run(main_async(waited)),
        "async generator": lambda: asyncio.run(main_async(first_item)),
        "async hook on a loop": lambda: asyncio.run(main_async(in_sync_hook)),
        "sync subflow of async": lambda: asyncio.run(main_async(lambda: asyncio.to_thread(inner))),
    }
    found = {}
    try:
        for place, run in PLACES.items():
            for way, leave in WAYS.items():
                found[f"{place} {way}"] = run()
    finally:
        if os.getpid() != OWN:
            print("a child went on in the script", flush=True)
            os._exit(0)
    print(json.dumps(found))
"""


def run(folder, script, *arguments):
    (folder / "script.py").write_text(textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, "script.py", *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_a_child_ends_where_it_leaves_the_function_that_forked_it(recorded, tmp_path):
    done = run(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {place: WAYS[place.rpartition(" ")[2]] for place in found}
    assert len(found) == 20 * len(WAYS)
    assert "a last word" in done.stderr
    assert "KeyError: 'missing'" in done.stderr
    # One end of each run, reported by the process that began it.
    assert set((tmp_path / "hooks").read_text().splitlines()) == {"True Completed"}
    assert {row["state_type"] for row in recorded.flow_runs()} == {"COMPLETED"}
    assert {row["state_type"] for row in recorded.task_runs()} == {"COMPLETED"}
    for row in recorded.flow_runs("main"):
        assert recorded.states(row, "flow") == ["Pending", "Running", "Completed"]
    for row in recorded.task_runs("called"):
        assert recorded.states(row) == ["Pending", "Running", "Completed"]


@pytest.mark.parametrize("log_prints", [True, False])
def test_what_a_child_did_is_written_before_it_ends(recorded, tmp_path, log_prints):
    script = f"""
        import os, threading, time
        from runyard import flow, get_run_logger, task

        @task
        def square(number):
            return number * number

        def late():
            time.sleep(0.2)
            square(9)

        @flow(log_prints={log_prints})
        def main():
            print("by the parent")
            pid = os.fork()
            if pid == 0:
                print("by the child")
                get_run_logger().info("logged by the child")
                square.submit(3)
                threading.Thread(target=late).start()
                return
            os.waitpid(pid, 0)

        main()
    """
    done = run(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert {run["state_type"] for run in recorded.task_runs()} == {"COMPLETED"}
    assert "logged by the child" in recorded.logs()
    printed = recorded.logs() if log_prints else done.stdout.splitlines()
    assert printed.count("by the child") == 1


def test_a_child_cannot_suspend_the_run(recorded, tmp_path):
    script = """
        import os
        from runyard import flow, suspend_flow_run

        @flow
        def main():
            pid = os.fork()
            if pid == 0:
                suspend_flow_run()
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        print(main())
    """
    done = run(tmp_path, script)
    assert done.stdout == "1\n"
    assert "RuntimeError: Flow run cannot be suspended: this is a child of its process" in done.stderr
    (row,) = recorded.flow_runs()
    assert row["state_type"] == "COMPLETED"


def test_a_process_that_detaches_itself_amid_a_run_works_on_and_reports_no_end(recorded, tmp_path):
    script = """
        import os, sys
        from runyard import flow, task

        @task
        def square(number):
            return number * number

        @flow
        def main():
            if os.fork():
                os._exit(0)
            os.setsid()
            if os.fork():
                os._exit(0)
            square(4)
            return "done"

        try:
            main()
        finally:
            print("the script goes on")
    """
    done = run(tmp_path, script)  # until the last process has closed its stdout
    assert (done.returncode, done.stdout, done.stderr.count("Traceback")) == (0, "", 0)
    (row,) = recorded.flow_runs()
    assert row["state_type"] == "RUNNING"  # until a worker finds its process gone
    assert [task["state_type"] for task in recorded.task_runs()] == ["COMPLETED"]
