"""What each command prints in one fixed installation: on terminals, in a pipe, without colours.

`python tests/_golden.py MODE FOLDER FILE` makes the installation in FOLDER, types all commands, and writes
what they printed to FILE as JSON. The clock stands still (by libfaketime); ids and names come from counters.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import itertools
import json
import os
import pty
import struct
import sys
import termios
import traceback

NOW = "2026-11-29 12:00:00"
ZONE = "Europe/Berlin"
# By name: the columns of the terminal (None: a pipe), and more variables.
MODES: dict[str, tuple[int | None, dict[str, str]]] = {
    "80 columns": (80, {}),
    "200 columns": (200, {}),
    "80 columns, NO_COLOR": (80, {"NO_COLOR": "1"}),
    "a pipe": (None, {}),
}
_MARK = "\x1e"
_HOUR = 1 / 24

# Command lines, in this order, by the file that holds what they print.
COMMANDS = {
    "runyard": ["", "status", "status --limit 1 --since monday", "ps", "get pools", "nosuch", "--help"],
    "deployment": [
        "deployment ls", "deployment ls -o wide", "deployment ls -o name", "deployment inspect daily-etl",
        "deployment inspect nosuch", "deployment versions daily-etl", "deployment rollback daily-etl --plan",
        "deployment schedule ls daily-etl", "deployment schedule inspect daily-etl early",
        "deployment schedule next daily-etl -n 3",
        "deployment backfill daily-etl --from 2026-11-25 --to 2026-11-28 --plan",
        "deployment run daily-etl --param date=2026-11-28", "deployment run daily-etl --param nosuch=1",
        "deployment pause daily-etl", "deployment resume daily-etl",
        "deployment schedule create daily-etl --interval 3600 --slug hourly",
        "deployment schedule pause daily-etl hourly", "deployment schedule resume daily-etl hourly",
        "deployment schedule delete daily-etl hourly --yes", "deployment schedule clear monthly --yes",
        "deployment delete monthly --yes", "deployment delete", "deployment nosuch", "deployment --help",
    ],
    "schedule": [
        "schedule ls", "schedule next", "schedule next --until 2026-12-01", "schedule next daily-etl -n 2",
        "schedule next --cron '0 25 * * *'", "schedule inspect daily-etl early",
        "schedule create daily-etl --cron '0 18 * * *' --slug evening", "schedule pause daily-etl evening",
        "schedule resume daily-etl evening", "schedule delete daily-etl evening --yes",
        "schedule clear weekly --yes",
    ],
    "flow": ["flow ls", "flow ls -o yaml"],
    "flow-run": [
        "flow-run ls", "flow-run ls --limit 3", "flow-run ls -o wide --limit 3", "flow-run ls --state Failed",
        "flow-run ls --state Complted", "flow-run ls --deployment daily-etl -o name",
        "flow-run ls --columns name,state --sort name", "flow-run inspect rapid-hare",
        "flow-run inspect sad-fox", "flow-run inspect late-lark", "flow-run inspect twin",
        "flow-run inspect sad-fox --tree", "flow-run cancel --state Late --dry-run",
        "flow-run retry --state Failed --dry-run", "flow-run delete --older-than 1d --dry-run",
        "flow-run cancel",
        "flow-run inspect nosuch", "flow-run logs rapid-hare", "flow-run logs sad-fox --level error",
        "flow-run why sad-fox", "flow-run why late-lark", "flow-run why calm-otter", "flow-run why wise-hen",
        "flow-run cancel early-bird", "flow-run retry sad-fox", "flow-run suspend late-lark",
        "flow-run resume rapid-hare", "flow-run delete glad-gnu --yes",
        "flow-run ls --json --limit 1",
    ],
    "task-run": [
        "task-run ls", "task-run ls --flow-run rapid-hare", "task-run ls --flow-run sad-fox -o wide",
        "task-run inspect extract-1", "task-run logs extract-1", "task-run inspect nosuch",
    ],
    "work-pool": [
        "work-pool ls", "work-pool ls -o wide", "work-pool ls -o name",
        "work-pool inspect default-agent-pool",
        "work-pool inspect default-agent-pol", "work-pool preview default-agent-pool",
        "work-pool slots default-agent-pool", "work-pool create fresh --type process",
        "work-pool create fresh --type process", "work-pool update fresh --description 'For tests.'",
        "work-pool set-concurrency-limit fresh 3", "work-pool clear-concurrency-limit fresh",
        "work-pool pause fresh", "work-pool resume fresh", "work-pool delete fresh --yes",
        "work-pool inspect",
    ],
    "work-queue": [
        "work-queue ls", "work-queue inspect urgent --pool default-agent-pool",
        "work-queue preview default --pool default-agent-pool",
        "work-queue slots default --pool default-agent-pool",
        "work-queue create slow --pool default-agent-pool --limit 1",
        "work-queue set-concurrency-limit slow 2 --pool default-agent-pool",
        "work-queue clear-concurrency-limit slow --pool default-agent-pool",
        "work-queue pause slow --pool default-agent-pool", "work-queue resume slow --pool default-agent-pool",
        "work-queue delete slow --pool default-agent-pool --yes",
    ],
    "worker": ["worker ls", "worker ls --pool boxes", "worker inspect crane --pool default-agent-pool"],
    "environment": ["environment ls", "environment prune"],
    "variable": [
        "variable ls", "variable inspect region", "variable get region", "variable set limit 5 --tag ops",
        "variable set limit 6", "variable get nosuch", "variable unset limit --yes",
    ],
    "block": [
        "block ls", "block inspect json/settings", "block type ls", "block type inspect json",
        "block create json --name more 'value={\"a\": 1}'", "block delete json/more --yes",
    ],
    "secret": ["secret ls", "secret inspect token", "secret get nosuch", "secret delete token --yes"],
    "global-concurrency-limit": [
        "gcl ls", "gcl inspect warehouse", "gcl create api --limit 2", "gcl update api --limit 3",
        "gcl disable api", "gcl enable api", "gcl delete api --yes", "gcl inspect nosuch",
    ],
    "concurrency-limit": [
        "concurrency-limit ls", "concurrency-limit inspect db", "concurrency-limit create etl 5",
        "concurrency-limit reset db", "concurrency-limit delete etl --yes",
    ],
    "artifact": ["artifact ls", "artifact inspect report", "artifact delete report --yes"],
    "database": ["database path", "database prune --older-than 30d --dry-run"],
    "config": [
        "config view", "config set RUNYARD_LOGGING_LEVEL=DEBUG", "config set RUNYARD_LOGING_LEVEL=DEBUG",
        "config get RUNYARD_LOGGING_LEVEL", "config validate", "config unset RUNYARD_LOGGING_LEVEL --yes",
    ],
    "profile": [
        "profile ls", "profile create staging", "profile use staging", "profile inspect staging",
        "profile rename staging prod", "profile use default", "profile delete prod --yes",
    ],
    "alias": ["alias bash"],
}  # fmt: skip
# What is not typed, and why.
LEFT_OUT = {
    "api": "it prints what routes answer, which the tests of routes check",
    "block register": "it imports code; tests/cli/test_block.py",
    "completion": "it prints Typer's scripts, which differ between its versions",
    "database backup": "sizes and times of files; tests/cli/test_database.py",
    "database check": "sizes; tests/cli/test_database.py",
    "database restore": "it replaces the installation; tests/cli/test_database.py",
    "database stats": "sizes depend on the version of SQLite; tests/cli/test_database.py",
    "database upgrade": "the number of the schema; tests/cli/test_database.py",
    "database vacuum": "sizes; tests/cli/test_database.py",
    "deploy": "it reads a project; tests/cli/test_deploy.py",
    "dev": "it runs until it is stopped; tests/cli/test_dev.py",
    "doctor": "it looks at the machine; tests/cli/test_doctor.py",
    "environment rm": "it needs an environment; tests/cli/test_environment.py",
    "flow serve": "it runs until it is stopped; tests/sdk",
    "flow-run execute": "workers call it",
    "flow-run watch": "it waits; tests/cli/test_flow_run.py",
    "init": "it writes a project; tests/cli/test_init.py",
    "block type delete": "the same words as block delete",
    "profile edit": "it opens an editor; tests/cli/test_settings_of_profiles.py",
    "run": "it runs code; tests/cli/test_program.py",
    "secret rotate": "a new key; tests/cli/test_secret.py",
    "secret set": "it reads standard input; tests/cli/test_secret.py",
    "server start": "it runs until it is stopped; tests/server",
    "task serve": "it runs until it is stopped; tests/cli/test_task_serve.py",
    "version": "versions; tests/cli/test_program.py",
    "work-pool get-default-base-job-template": "the template; templates/",
    "work-queue read-runs": "the same list as work-queue preview",
    "worker install": "paths of the machine; tests/cli/test_worker_start.py",
    "worker start": "it runs until it is stopped; tests/cli/test_worker_start.py",
}


def _fix_ids():
    """Ids and names by counters: each id is 90 seconds older than the next, so that its beginning differs."""
    from runyard.base import ids

    moments = itertools.count(1_795_000_000_000, 90_000)
    numbers = itertools.count(1)
    names = itertools.count(1)

    def new_id():
        text = f"{next(moments):012x}"
        return f"{text[:8]}-{text[8:]}-7000-8000-{next(numbers):012x}"

    ids.new_id = new_id
    ids.new_name = lambda: f"new-run-{next(names)}"


def make_world():
    """The installation that the commands show."""
    from _history import History
    from runyard.client import LocalClient
    from runyard.operations.deployments import deployments
    from runyard.operations.limits import concurrency_limits, tag_limits
    from runyard.operations.records import stored_variables
    from runyard.operations.schedules import schedules
    from runyard.operations.work_pools import work_pools, work_queues, workers
    from runyard.store.database import get_database

    client = LocalClient()
    call = client.call
    for name, kind, limit in (
        ("default-agent-pool", "process", 4),
        ("boxes", "docker", None),
        ("old", "process", None),
    ):
        call(
            work_pools.create_work_pool,
            work_pools.WorkPoolCreate(name=name, type=kind, concurrency_limit=limit),
        )
    call(work_pools.update_work_pool, "old", work_pools.WorkPoolUpdate(is_paused=True))
    queue = work_queues.WorkQueueCreate(name="urgent", priority=1, concurrency_limit=2)
    call(work_queues.create_work_queue, "default-agent-pool", queue)
    call(
        workers.heartbeat_worker,
        "default-agent-pool",
        workers.WorkerHeartbeat(name="crane", concurrency_limit=8),
    )
    schema = {
        "type": "object",
        "properties": {"date": {"type": "string"}, "size": {"type": "integer", "default": 3}},
    }
    made = {}
    for flow, name, pool, more in (
        ("my-etl-flow", "daily-etl", "default-agent-pool", {"version": "1", "tags": ["etl"]}),
        ("my-etl-flow", "daily-etl", "default-agent-pool", {"version": "2", "tags": ["etl", "nightly"]}),
        ("report", "weekly", "boxes", {"description": "The report of the week."}),
        ("report", "monthly", "boxes", {}),
        ("[red]markup[/red]", "naïve 🦊", "boxes", {}),
    ):
        item = {
            "flow_name": flow, "name": name, "work_pool_name": pool, "entrypoint": f"flows/{flow}.py:flow",
            "parameter_openapi_schema": schema, "parameters": {"size": 5}, **more,
        }  # fmt: skip
        body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
        made[name] = call(deployments.apply_deployments, body)[0].deployment
    for name, fields in (
        ("daily-etl", {"schedule": {"cron": "0 6 * * *", "timezone": "Asia/Tokyo"}, "slug": "early"}),
        ("weekly", {"schedule": {"cron": "30 7 * * 1", "timezone": ZONE}, "slug": "monday"}),
        ("monthly", {"schedule": {"interval": 86400}, "slug": "first", "active": False}),
    ):
        body = [schedules.DeploymentScheduleCreate.model_validate(fields)]
        call(schedules.create_deployment_schedules, made[name].id, body)
    call(deployments.pause_deployment, made["weekly"].id)
    for name, value in (("region", "eu-central-1"), ("thresholds", {"low": 1, "high": [2, 3]})):
        call(
            stored_variables.create_variable,
            stored_variables.VariableCreate(name=name, value=value, tags=["ops"]),
        )
    call(
        concurrency_limits.create_concurrency_limit,
        concurrency_limits.ConcurrencyLimitCreate(name="warehouse", limit=1),
    )
    call(tag_limits.create_tag_limit, tag_limits.TagLimitCreate(tag="db", concurrency_limit=2))
    with History(get_database()) as history:
        _fill(history, made)


def _fill(history, made):
    from _history import DAY
    from runyard.base import ids

    daily, weekly = made["daily-etl"], made["weekly"]
    of_daily = {
        "flow_id": daily.flow_id, "deployment_id": daily.id, "work_queue_id": daily.work_queue_id,
        "parameters": json.dumps({"date": "2026-11-28", "size": 5}), "tags": json.dumps(["etl"]),
    }  # fmt: skip
    of_weekly = {"flow_id": weekly.flow_id, "deployment_id": weekly.id, "work_queue_id": weekly.work_queue_id}

    def timed(days, seconds):
        start = history.now - int(days * 86_400e6)
        return {
            "start_time": start,
            "end_time": start + int(seconds * 1e6),
            "total_run_time": int(seconds * 1e6),
            "run_count": 1,
        }

    well = history.flow_run(2 * _HOUR, name="rapid-hare", **of_daily, **timed(2 * _HOUR, 95))
    for number in range(3):
        history.task_run(well, 2 * _HOUR, name=f"extract-{number}", **timed(2 * _HOUR, 12.5 * (number + 1)))
    failed = history.flow_run(5 * _HOUR, "FAILED", name="sad-fox", **of_daily, **timed(5 * _HOUR, 61))
    history.task_run(failed, 5 * _HOUR, name="extract-0", **timed(5 * _HOUR, 30))
    broken = history.task_run(failed, 5 * _HOUR, "FAILED", name="load-0", **timed(5 * _HOUR, 2))
    for table, run in (("flow_runs", failed), ("task_runs", broken)):
        kind = "Flow" if table == "flow_runs" else "Task"
        state = {
            "id": "0" * 8 + "-0000-7000-8000-" + "0" * 12, "type": "FAILED", "name": "Failed",
            "timestamp": "2026-11-29T06:01:00Z",
            "message": f"{kind} run encountered an exception: ValueError: no such table: orders",
        }  # fmt: skip
        history.tx.execute(
            f"UPDATE {table} SET state = :state WHERE id = :id", {"state": json.dumps(state), "id": run}
        )
    for run, level, text in (
        (well, 20, "Beginning flow run 'rapid-hare' for flow 'my-etl-flow'"),
        (well, 30, "2 rows without a price [bold]left out[/bold]"),
        (failed, 40, "ValueError: no such table: orders"),
    ):
        moment = history.now - int(2 * _HOUR * DAY)
        history.put(
            "logs", id=ids.new_id(), name="runyard.flow_runs", level=level, message=text, timestamp=moment,
            flow_run_id=run,
        )  # fmt: skip
    running = history.flow_run(
        0.5 * _HOUR,
        "RUNNING",
        name="calm-otter",
        **of_daily,
        start_time=history.now - 1_800_000_000,
        attempt=1,
    )
    queue = daily.work_queue_id
    history.put(
        "leases", flow_run_id=running, attempt=1, owner="crane", work_queue_id=queue, deployment_id=daily.id,
        work_pool_id=history.tx.value("SELECT work_pool_id FROM work_queues WHERE id = :id", {"id": queue}),
        worker_id=history.tx.value("SELECT id FROM workers"), acquired=history.now - 1_800_000_000,
    )  # fmt: skip
    history.flow_run(
        1 * _HOUR,
        "SCHEDULED",
        name="late-lark",
        **of_weekly,
        next_scheduled_start_time=history.now - 3_600_000_000,
    )
    history.tx.execute("UPDATE flow_runs SET state_name = 'Late' WHERE name = 'late-lark'")
    history.flow_run(
        -3 * _HOUR,
        "SCHEDULED",
        name="early-bird",
        **of_daily,
        next_scheduled_start_time=history.now + 10_800_000_000,
    )
    history.flow_run(
        4 * _HOUR, "PAUSED", name="wise-hen", **of_daily, start_time=history.now - 14_400_000_000
    )
    for days, kind in ((3, "CRASHED"), (2.5, "CANCELLED")):
        history.flow_run(days, kind, name="twin", **of_weekly, **timed(days, 3))
    history.flow_run(9, name="glad-gnu", **of_weekly, **timed(9, 3600))
    text = json.dumps("# Report\n\nAll [bold]well[/bold].")
    at = history.now - 3_600_000_000
    for key, kind, data in (
        ("report", "markdown", text),
        ("rows", "table", json.dumps('[{"a": 1, "b": 2}]')),
    ):
        history.put(
            "artifacts",
            id=ids.new_id(),
            created=at,
            updated=at,
            key=key,
            type=kind,
            data=data,
            flow_run_id=well,
        )


def _more_of_the_world():
    """What is made by commands."""
    for words, given in (
        (["secret", "set", "token"], "s3cret\n"),
        (["block", "create", "json", "--name", "settings", "value={}"], ""),
    ):
        sys.stdin = io.StringIO(given)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            _type(words)


def _type(words):
    from runyard_cli.main import main

    try:
        main(words)
    except SystemExit as ended:
        return ended.code or 0
    except BaseException:
        traceback.print_exc()
        return "a bug"
    return 0


def _type_all():
    """Type all commands; what they print goes where this process prints."""
    import shlex

    for line in itertools.chain(*COMMANDS.values()):
        sys.stdout.write(f"{_MARK}{line}\n")
        sys.stdout.flush()
        code = _type(shlex.split(line))
        sys.stdout.flush()
        if code:
            sys.stdout.write(f"[exit {code}]\n")
            sys.stdout.flush()


def _on_terminal(columns):
    """Type all commands on a terminal of so many columns, and return what it shows."""
    child, terminal = pty.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody answers questions
            _type_all()
        os._exit(0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return _read(terminal, child).replace("\r\n", "\n")


def _in_pipe():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(write, 1)
            os.dup2(write, 2)
            _type_all()
        os._exit(0)
    os.close(write)
    return _read(read, child)


def _read(descriptor, child):
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 65536):
            parts.append(part)
    os.waitpid(child, 0)
    return b"".join(parts).decode()


def main(mode, folder, file):
    """Make the installation, type all commands, and write what they printed by their lines."""
    _fix_ids()
    make_world()
    _more_of_the_world()
    from runyard.store import database

    for each in database._databases.values():
        each.close()
    database._databases.clear()
    columns, variables = MODES[mode]
    os.environ.update(variables)
    shown = _in_pipe() if columns is None else _on_terminal(columns)
    shown = shown.replace(folder, "/home/ada/runyard-golden".ljust(len(folder), "_")[: len(folder)])
    found = []
    for part in shown.split(_MARK)[1:]:
        line, _, text = part.partition("\n")
        text = "\n".join(each.rstrip() for each in text.splitlines()).strip("\n")
        found.append((line, text.replace("\x1b", "\\e")))
    with open(file, "w", encoding="utf-8") as output:
        json.dump(found, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
