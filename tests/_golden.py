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
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import traceback

from _golden_world import NOW, ZONE, fix_ids, make_world
from _tools import need

# By name: the columns of the terminal (None: a pipe), and more variables.
MODES: dict[str, tuple[int | None, dict[str, str]]] = {
    "80 columns": (80, {}),
    "200 columns": (200, {}),
    "80 columns, NO_COLOR": (80, {"NO_COLOR": "1"}),
    "a pipe": (None, {}),
    "recording": (92, {}),
}
# The modes of golden files, and the sessions that are recorded.
GOLDEN = tuple(mode for mode in MODES if mode != "recording")
RECORDED = {
    "status": ["status"],
    "failure": ["flow-run ls --limit 6", "flow-run inspect sad-fox"],
}
PATH = f"{os.path.dirname(sys.executable)}{os.pathsep}/usr/local/bin:/usr/bin:/bin"
_MARK = "\x1e"

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
# What is not typed, and why; a group stands for its commands.
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
    "server": "a process of its own; tests/server",
    "task serve": "it runs until it is stopped; tests/cli/test_task_serve.py",
    "version": "versions; tests/cli/test_program.py",
    "work-pool get-default-base-job-template": "the template; templates/",
    "work-queue read-runs": "the same list as work-queue preview",
    "worker install": "paths of the machine; tests/cli/test_worker_start.py",
    "worker start": "it runs until it is stopped; tests/cli/test_worker_start.py",
}


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


def _type_all(lines):
    """Type commands; what they print goes where this process prints."""
    for line in lines:
        sys.stdout.write(f"{_MARK}{line}\n")
        sys.stdout.flush()
        code = _type(shlex.split(line))
        sys.stdout.flush()
        if code:
            sys.stdout.write(f"[exit {code}]\n")
            sys.stdout.flush()


def _on_terminal(columns, lines):
    """Type commands on a terminal of so many columns, and return what it shows."""
    child, terminal = pty.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody answers questions
            _type_all(lines)
        os._exit(0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return _read(terminal, child).replace("\r\n", "\n")


def _in_pipe(lines):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(write, 1)
            os.dup2(write, 2)
            _type_all(lines)
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


def typed(mode):
    """What all commands of a mode printed, by their lines. It skips the test where libfaketime is missing."""
    library = need("faketime")
    # The length of the folder's name counts where a line is cut.
    with tempfile.TemporaryDirectory(prefix="runyard-golden-", dir="/tmp") as folder:
        file = os.path.join(folder, "printed.json")
        environment = {
            "PATH": PATH, "HOME": folder, "RUNYARD_HOME": f"{folder}/home", "TZ": ZONE, "LANG": "C.UTF-8",
            "TERM": "xterm-256color", "PYTHONPATH": os.path.dirname(__file__), "LD_PRELOAD": library,
            "FAKETIME": NOW, "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, mode, folder, file],
            env=environment, cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with open(file, encoding="utf-8") as printed:
            return json.load(printed)


def main(mode, folder, file):
    """Make the installation, type all commands, and write what they printed by their lines."""
    fix_ids()
    make_world()
    _more_of_the_world()
    from runyard.store import database

    for each in database._databases.values():
        each.close()
    database._databases.clear()
    columns, variables = MODES[mode]
    os.environ.update(variables)
    lines = list(itertools.chain(*(RECORDED if mode == "recording" else COMMANDS).values()))
    shown = _in_pipe(lines) if columns is None else _on_terminal(columns, lines)
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
