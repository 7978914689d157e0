"""`runyard doctor`: looks at everything that may be wrong here, and says how to mend it."""

from __future__ import annotations

import os
import shutil
import stat
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from runyard.base.quoting import PATH, quoted
from runyard.base.texts import counted, visible

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.options import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_SIGNS = {OK: ("✓", "green"), WARNING: ("!", "yellow"), PROBLEM: ("✗", "red")}
# The width of a sign, a status and a name; and the narrowest text beside them.
_INDENT = 22
_NARROWEST = 30
_FREE_BYTES_PROBLEM = 100 * 10**6
_FREE_BYTES_WARNING = 10**9
# So much that is free in the database's file, and a quarter of it, is worth a word.
_MUCH_FREE_BYTES = 100 * 10**6
_SKEW_SECONDS = 5.0
# Files of the home with a check for each.
_OWN_CHECKS = {"key": "secret.key", "token": "api.token", "profiles": "profiles.toml"}
# So many files are named.
_MOST_NAMED = 5


class Check(NamedTuple):
    """What one look found: `status` is ok, warning or problem; `command` mends it."""

    name: str
    status: str
    text: str
    command: str | None = None


doctor = App()


@doctor.command("doctor", example="runyard doctor")
def _doctor(context: typer.Context, output: Output = None) -> None:
    """Check settings, home, disk, database, clock, key, API, Docker, workers and waiting runs.

    Nothing is changed. The exit code is 1 if there is a problem, else 0, also with warnings.
    """
    found: list[Check] = []
    for look in _LOOKS:
        # One cause, such as an API that does not answer, may fail several looks.
        texts = {check.text for check in found}
        found += [check for check in _guarded(look) if check.text not in texts]
    if output:
        out.print_data([check._asdict() for check in found], output)
    else:
        for check in found:
            _print(check)
        bad = [check for check in found if check.status != OK]
        problems = sum(check.status == PROBLEM for check in bad)
        typer.echo()
        told = f"{counted(problems, 'problem')}, {counted(len(bad) - problems, 'warning')}."
        out.say(told if bad else "All is well.")
    context.exit(1 if any(check.status == PROBLEM for check in found) else 0)


def _print(check: Check) -> None:
    """Print one finding: on a terminal wrapped below its name, in a pipe on one line."""
    sign, colour = _SIGNS[check.status]
    lines = [visible(check.text)]
    if out.on_terminal():
        width = max(shutil.get_terminal_size().columns - _INDENT, _NARROWEST)
        lines = textwrap.wrap(lines[0], width, break_long_words=False, break_on_hyphens=False)
    mark = typer.style(f"{sign} {check.status:8}", fg=colour)
    typer.echo(f"{mark} {check.name + ':':10} {lines[0]}")
    for line in lines[1:]:
        typer.echo(f"{'':{_INDENT}}{line}")
    if check.command:
        out.hint(f"{'':{_INDENT}}{check.command}")


def _guarded(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A look that fails is a finding, and does not stop the others."""
    from runyard.base.errors import RunyardError

    try:
        yield from look()
    except (RunyardError, OSError) as error:
        yield Check(look.__name__.strip("_"), PROBLEM, str(error).splitlines()[0])


def _settings() -> Iterator[Check]:
    from runyard import settings

    settings.check()
    yield Check("settings", OK, f"profile '{settings.profile()}', all values are valid")


def _home() -> Iterator[Check]:
    from runyard import settings

    home = settings.home()
    if not os.path.isdir(home):
        there = home
        while not os.path.lexists(there):
            there = os.path.dirname(there)
        if not (os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)):
            why = "cannot be written" if os.path.isdir(there) else "is not a folder"
            yield Check(
                "home", PROBLEM, f"{home} cannot be created: {there} {why}; set RUNYARD_HOME to another"
            )
            return
        yield Check("home", OK, f"{home} does not exist yet; the first command that needs it creates it")
        return
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Check("home", PROBLEM, f"{home} cannot be written", f"chmod u+rwx {quoted(home, longest=PATH)}")
        return
    mode = os.stat(home).st_mode & 0o777
    if mode & 0o022:
        command = f"chmod go-rwx {quoted(home, longest=PATH)}"
        yield Check("home", PROBLEM, f"others can write {home} (mode {mode:04o})", command)
    else:
        yield Check("home", OK, f"{home} can be written")
    for name, file in _OWN_CHECKS.items():
        yield from _private(name, os.path.join(home, file))


def _private(name: str, path: str) -> Iterator[Check]:
    if not os.path.exists(path):
        return
    mode = os.stat(path).st_mode & 0o777
    if mode & 0o077:
        command = f"chmod 600 {quoted(path, longest=PATH)}"
        yield Check(name, PROBLEM, f"{path} can be read by others (mode {mode:04o})", command)
    elif name == "key":
        yield Check(name, OK, f"{path} is for its owner only")


def _files() -> Iterator[Check]:
    """The database, kept results, logs and copies of them, whose modes let others read them."""
    from runyard import settings

    home = settings.home()
    paths = set(_database_files())
    if os.path.isdir(home):
        paths |= {entry.path for entry in os.scandir(home) if entry.name not in _OWN_CHECKS.values()}
    found = [path for path in sorted(paths) if _lets_others_in(path)]
    if not found:
        return
    # Below a folder that they cannot enter, the modes of its files do not matter as long as that stays so.
    reached = [path for path in found if os.stat(os.path.dirname(path)).st_mode & 0o011]
    shown = found if len(found) <= _MOST_NAMED else [*found[:_MOST_NAMED], f"{len(found) - _MOST_NAMED} more"]
    text = f"others can read {', '.join(shown)}"
    if not reached:
        text = f"others could read {', '.join(shown)} if they could enter {os.path.dirname(found[0])}"
    command = f"chmod -R go-rwx {' '.join(quoted(path, longest=PATH) for path in found[:_MOST_NAMED])}"
    yield Check("files", PROBLEM if reached else WARNING, text, command)


def _database_files() -> Iterator[str]:
    """The file of the database and those that SQLite puts beside it, wherever they are."""
    from runyard import settings
    from runyard.store.sqlite import path_of

    url = settings.database_url()
    if url.startswith("sqlite"):
        yield from (f"{os.path.abspath(path_of(url))}{end}" for end in ("", "-wal", "-shm"))


def _lets_others_in(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:  # it is not there, or went meanwhile
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & 0o044)


def _disk() -> Iterator[Check]:
    from runyard import settings

    home = settings.home()
    while not os.path.exists(home):
        home = os.path.dirname(home) or os.sep
    free = shutil.disk_usage(home).free
    text = f"{free / 1e9:.1f} GB free at {home}"
    if free < _FREE_BYTES_PROBLEM:
        # No command of Runyard helps: each needs some room.
        yield Check("disk", PROBLEM, f"{text}; free some disk space")
    else:
        yield Check("disk", WARNING if free < _FREE_BYTES_WARNING else OK, text)


def _clock() -> Iterator[Check]:
    import time

    year = time.gmtime().tm_year
    if year < 2024:
        yield Check("clock", PROBLEM, f"the clock says it is {year}: schedules will not fire")
    else:
        yield Check("clock", OK, f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}, time zone {time.tzname[0]}")


def _database() -> Iterator[Check]:
    from runyard import settings
    from runyard.base.errors import NotFound
    from runyard.store import database_maintenance

    if settings.get("api_url"):
        return
    try:
        report = database_maintenance.check()
    except NotFound:
        if all(check.status == OK for check in _home()):
            where = database_maintenance.where()
            yield Check("database", OK, f"{where} does not exist yet; the first command creates it")
        return
    if report.problems:
        yield Check(
            "database", PROBLEM, f"{report.where} is damaged: {report.problems[0]}", "restore a backup of it"
        )
    elif report.schema < report.newest_schema:
        text = f"{report.where} has schema {report.schema} of {report.newest_schema}"
        yield Check("database", WARNING, text, "runyard database upgrade")
    elif report.steps_to_do:
        steps = counted(report.steps_to_do, "step")
        text = f"{report.where} is being upgraded while it is in use: {steps} to do, by a worker or a server"
        yield Check("database", WARNING, text, "runyard database upgrade")
    else:
        size = f"{report.size_bytes / 1e6:.1f} MB, {counted(report.flow_runs, 'flow run')}"
        yield Check("database", OK, f"{report.where} is not damaged ({size})")


def _api() -> Iterator[Check]:
    from runyard import settings
    from runyard.base.errors import RunyardError
    from runyard.base.url_passwords import hidden
    from runyard.operations.installation.admin import read_version

    from runyard_cli.shared.client import connect

    url = hidden(settings.get("api_url"))
    if not url:
        yield Check("API", OK, "not set; commands use the database")
        return
    try:
        yield Check("API", OK, f"{url} answers (version {connect().call(read_version)})")
    except RunyardError as error:
        yield Check("API", PROBLEM, str(error), "runyard server start, or: runyard config unset api_url")


def _stored() -> Iterator[Check]:
    """What the database knows of clocks, workers and runs."""
    from runyard import settings
    from runyard.base import clock
    from runyard.domain.job_templates import worker_command
    from runyard.operations.installation.checkup import read_checkup

    from runyard_cli.shared.client import connect

    if not settings.get("api_url") and not _has_database():
        return
    report = connect().call(read_checkup)
    skew = abs(report["now_us"] - clock.now_us()) / 1e6
    if skew > _SKEW_SECONDS:
        yield Check("clock", WARNING, f"the server's clock differs from this one by {skew:.0f} s")
    newest = report["newest_us"]
    if newest and (newest - report["now_us"]) / 1e6 > _SKEW_SECONDS:
        yield Check(
            "clock", PROBLEM, "the newest run is in the future: this clock or that of its machine is wrong"
        )
    yield from _docker(report["docker"])
    yield from _secrets(report)
    served = {pool["name"]: pool["schedules"] for pool in report["unserved"]}
    for pool in report["pools"]:
        waiting = counted(pool["waiting"], "waiting run")
        text = f"pool '{pool['name']}' has {waiting} and no online worker"
        if pool["name"] in served:
            text += f"; {_depend(served.pop(pool['name']))}"
        start = worker_command(pool["name"], pool["type"])
        yield Check("workers", PROBLEM, text, start)
    for worker in report["workers"]:
        text = f"'{worker['name']}' of pool '{worker['pool']}' was lost with {counted(worker['runs'], 'run')}"
        yield Check("workers", WARNING, f"{text}; the next worker of the pool recovers them")
    for pool in report["unserved"]:
        if pool["name"] in served:
            due = times.relative(clock.from_us(pool["next_us"]))
            text = f"no worker serves pool '{pool['name']}'; {_depend(pool['schedules'])}, next due {due}"
            yield Check("workers", WARNING, text, worker_command(pool["name"], pool["type"]))
    if not report["pools"] and not report["workers"] and not report["unserved"]:
        yield Check("workers", OK, "no run is waiting for an offline worker")
    # What would start a worker was said of its pool already, and need not be said of each of its runs.
    told = {worker_command(pool["name"], pool["type"]) for pool in report["pools"]}
    for run in report["late_runs"]:
        if run["command"] in told:
            continue
        told.add(run["command"])
        yield Check("runs", WARNING, f"'{run['name']}' is late: {run['reason']}", run["command"])
    if report["late"] > len(report["late_runs"]):
        yield Check("runs", WARNING, f"{report['late']} runs are late", "runyard flow-run ls --state Late")
    elif not report["late"]:
        yield Check("runs", OK, "no run is late")


def _depend(schedules: int) -> str:
    return f"{counted(schedules, 'schedule')} depend{'s' if schedules == 1 else ''} on it"


def _secrets(report: dict[str, Any]) -> Iterator[Check]:
    """Whether the key decrypts what is saved."""
    found = report["secrets"]
    if found["count"]:
        names = ", ".join(f"'{name}'" for name in found["names"])
        more = (
            f" and {found['count'] - len(found['names'])} more"
            if found["count"] > len(found["names"])
            else ""
        )
        text = (
            f"{counted(found['count'], 'saved block')} cannot be decrypted ({names}{more}): {found['reason']}"
        )
        yield Check("secrets", PROBLEM, text)
    elif report["encrypted"]:
        yield Check("secrets", OK, "the key decrypts all saved blocks")


def _retention() -> Iterator[Check]:
    """What retention deletes next, and whether the file has much free space."""
    from runyard import settings
    from runyard.operations.retention.database_size import read_database_size

    from runyard_cli.commands.database_stats import kept, removed_next
    from runyard_cli.shared.client import connect

    if not settings.get("api_url") and not _has_database():
        return
    size = connect().call(read_database_size)
    ended = times.relative(size.oldest_finished)
    oldest = f"oldest finished run {ended}" if ended else "no finished run"
    yield Check("retention", OK, f"kept: {kept(size)}; {oldest}; deleted next: {removed_next(size)}")
    free = size.free_bytes or 0
    if free > max(_MUCH_FREE_BYTES, size.size_bytes / 4):
        text = f"{free / 1e6:.0f} of the file's {size.size_bytes / 1e6:.0f} MB are free; new rows reuse it"
        yield Check("space", WARNING, text, "runyard database vacuum")


def _docker(wanted: bool) -> Iterator[Check]:
    """Whether Docker answers, where a pool of type docker needs it."""
    if not wanted:
        return
    try:
        import docker
    except ImportError:
        yield Check("Docker", PROBLEM, "its client is not installed", "pip install 'runyard[docker]'")
        return
    try:
        version: Any = docker.from_env(timeout=3).version()["Version"]
        yield Check("Docker", OK, f"the engine answers (version {version})")
    except docker.errors.DockerException as error:
        first = str(error).splitlines()[0]
        yield Check("Docker", PROBLEM, f"the engine does not answer: {first}", "start dockerd")


def _has_database() -> bool:
    from runyard import settings
    from runyard.store.sqlite import path_of

    url = settings.database_url()
    return not url.startswith("sqlite") or os.path.exists(path_of(url))


_LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    _settings, _home, _files, _disk, _clock, _database, _api, _stored, _retention,
)  # fmt: skip
