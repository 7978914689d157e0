"""Which values the arguments and options of commands take, and where a shell finds them.

One table says what each takes, by the name of the option or the place of the argument, so that the same word
is completed the same way in every command.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A value and its help; and, where they differ from the defaults of a candidate, its kind and `whole`.
Offer = tuple[Any, ...]
# What was given before: arguments under ARGUMENTS, values of options under each name of the option.
Values = dict[str, list[str]]
ARGUMENTS = "ARGUMENTS"

_MOST = 200
_API_TIMEOUT_SECONDS = 0.5

# Arguments, in their order, by the beginning of the command's path. The longest beginning counts; the last
# kind holds for further arguments. None: free text.
_ARGUMENTS: dict[str, tuple[str | None, ...]] = {
    "artifact": ("artifacts",),
    "block": ("blocks",),
    "block create": ("block-types", None),
    "block register": (None,),
    "block type": ("block-types",),
    "concurrency-limit": ("tag-limits", None),
    "concurrency-limit create": (None,),
    "config set": ("assignments",),
    "config unset": ("settings",),
    "database backup": ("files",),
    "deploy": ("entrypoints",),
    "deployment": ("deployments",),
    "deployment schedule": ("deployments", "schedules"),
    "environment": ("environments",),
    "flow serve": ("entrypoints",),
    "flow-run": ("flow-runs",),
    "flow-run cancel": ("open flow-runs",),
    "flow-run resume": ("paused flow-runs",),
    "flow-run retry": ("ended flow-runs",),
    "flow-run suspend": ("open flow-runs",),
    "flow-run watch": ("open flow-runs",),
    "global-concurrency-limit": ("limits",),
    "global-concurrency-limit create": (None,),
    "logs": ("flow-runs",),
    "profile": ("profiles", None),
    "profile create": (None,),
    "run": ("entrypoints", None),
    "schedule": ("deployments", "schedules"),
    "secret": ("secrets",),
    "task serve": ("entrypoints",),
    "task-run": ("task-runs",),
    "variable": ("variables", None),
    "work-pool": ("pools", None),
    "work-pool create": (None,),
    "work-queue": ("queues", None),
    "work-queue create": (None,),
    "worker": ("workers",),
    "worker start": (None,),
}
_OPTIONS = {
    "--base-job-template": "files",
    "--deployment": "deployments",
    "--entrypoint": "entrypoints",
    "--field": "recipe-fields",
    "--file": "files",
    "--flow": "flows",
    "--flow-name": "flows",
    "--flow-run": "flow-runs",
    "--from-profile": "profiles",
    "--pool": "pools",
    "--prefect-file": "files",
    "--profile": "profiles",
    "--recipe": "recipes",
    "--state": "states",
    "--state-type": "state-types",
    "--timezone": "zones",
    "--tz": "zones",
    "--work-pool": "pools",
    "--work-queue": "queues",
}
# Where an option means something else in one command, or is free text elsewhere.
_OPTIONS_OF = {
    ("deploy", "--name"): "declared",
    ("deployment backfill", "--param"): "parameters",
    ("deployment backfill", "--schedule"): "schedules",
    ("deployment ls", "--flow-name"): "flows",
    ("deployment run", "--id"): "deployments",
    ("deployment run", "--param"): "parameters",
    ("deployment schedule create", "--param"): "parameters",
    ("database prune", "--state"): None,
    ("environment ls", "--file"): None,
    ("flow-run ls", "--name"): "flow-runs",
    ("profile create", "--from"): "profiles",
    ("work-pool create", "--type"): "pool-types",
    ("work-pool get-default-base-job-template", "--type"): "pool-types",
    ("worker start", "--type"): "pool-types",
}
_STATES = {
    "Scheduled": "waits for its time", "Late": "should have started", "AwaitingRetry": "waits for a retry",
    "Pending": "is starting", "Running": "executes", "Retrying": "executes again", "Paused": "waits",
    "Suspended": "waits without a process", "Cancelling": "is being cancelled", "Cancelled": "was cancelled",
    "Completed": "ended well", "Cached": "used a kept result", "Failed": "raised an exception",
    "TimedOut": "took too long", "Crashed": "its process died", "Skipped": "did not have to run",
}  # fmt: skip
_STATE_TYPES = (
    "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED", "COMPLETED", "FAILED", "CRASHED",
)  # fmt: skip


def kind_of(path: list[str], parameter: Any, position: int) -> str | None:
    """What values a parameter takes; None if the table does not say: then the parameter itself may know.

    Args:
        path: the names that lead to its command, such as `["work-pool", "inspect"]`.
        position: the place of an argument among those of its command, from 0.
    """
    command = " ".join(path)
    if parameter.param_type_name == "option":
        for name in parameter.opts:
            if (command, name) in _OPTIONS_OF:
                return _OPTIONS_OF[command, name]
            if name in _OPTIONS:
                return _OPTIONS[name]
        return None
    for length in range(len(path), 0, -1):
        kinds = _ARGUMENTS.get(" ".join(path[:length]))
        if kinds is not None:
            return kinds[min(position, len(kinds) - 1)]
    return None


def offered(kind: str, typed: str, path: list[str], values: Values) -> list[Offer]:
    """The values of a kind that a word may become, without a word about what goes wrong.

    Args:
        kind: as `kind_of` returns it.
        typed: the word as far as it is typed.
        path: the names that lead to the command.
        values: what was given on the command line before.
    """
    from runyard.base.errors import RunyardError

    reader = _LOCAL.get(kind)
    try:
        found = reader(typed, values) if reader else _stored(kind, typed, path, values)
    except (RunyardError, OSError):
        return []
    if kind.endswith("-runs"):  # offered by their ids, they replace the whole word
        return list(found)
    return [each for each in found if each[0].startswith(typed) or each[2:3] == ("file",)]


def _stored(kind: str, typed: str, path: list[str], values: Values) -> list[Offer]:
    states, _, runs = kind.rpartition(" ")
    of = states
    if kind in ("queues", "workers"):
        of = _last(values, "--pool", "--work-pool")
    elif kind in ("schedules", "parameters"):
        of = next(iter(values.get(ARGUMENTS, [])), "") or _last(values, "--id", "--deployment")
    found = _candidates(runs, typed, of)
    given = set(values.get(ARGUMENTS, []))
    found = [each for each in found if each[0] not in given]
    return [(value, help, "plain", False) for value, help in found] if kind == "parameters" else found


def _last(values: Values, *names: str) -> str:
    return next((values[name][-1] for name in names if values.get(name)), "")


def _candidates(kind: str, prefix: str, of: str) -> list[Offer]:
    from runyard import settings

    url = settings.get("api_url")
    if url:
        return _from_api(url, settings.get("api_auth_string"), kind, prefix, of)
    from runyard.store.database import get_database

    where = settings.database_url()
    if where.startswith("sqlite"):
        from runyard.store.sqlite import path_of

        if not os.path.exists(path_of(where)):
            return []
    from runyard.operations.installation.completion_candidates import list_candidates

    with get_database().transaction(write=False) as tx:
        return list(list_candidates(tx, kind, prefix, of, _MOST))


def _from_api(url: str, auth: str, kind: str, prefix: str, of: str) -> list[Offer]:
    # Not by httpx, whose import alone takes longer than a person waits for a TAB.
    import json
    from base64 import b64encode
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlencode, urlsplit

    from runyard.settings.api_token import token_headers

    parts = urlsplit(url)
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    query = urlencode({"kind": kind, "prefix": prefix, "of": of, "limit": _MOST})
    headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else token_headers(url)
    connection = make(parts.netloc, timeout=_API_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/runyard/candidates?{query}", headers=headers)
        reply = connection.getresponse()
        found = json.loads(reply.read()) if reply.status == 200 else []
        return [(str(value), str(help)) for value, help in found]
    except (HTTPException, ValueError):
        return []
    finally:
        connection.close()


def _profiles(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.settings import profiles

    return [(name, "") for name in profiles.names(profiles.read())]


def _settings(typed: str, values: Values) -> Iterable[Offer]:
    from runyard import settings

    for name, setting in settings.SETTINGS.items():
        names = settings.variables(name) if typed[:1].isupper() or not typed else [name]
        yield from ((each, setting.help) for each in names)


def _assignments(typed: str, values: Values) -> Iterable[Offer]:
    if "=" not in typed:
        yield from ((f"{name}=", help, "plain", False) for name, help in _settings(typed, values))


def _recipes(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.deployments.project.init import RECIPES

    return [(name, recipe.description) for name, recipe in RECIPES.items()]


def _recipe_fields(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.deployments.project.init import RECIPES

    recipe = RECIPES.get(_last(values, "--recipe"))
    return [(f"{name}=", help, "plain", False) for name, help in (recipe.fields.items() if recipe else ())]


def _environments(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.workers.environments import environment_store

    return [(each.key, str(each.facts.get("file") or "")) for each in environment_store.listed()]


def _pool_types(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.domain.job_templates import TYPES

    return TYPES.items()


def _zones(typed: str, values: Values) -> Iterable[Offer]:
    from zoneinfo import available_timezones

    return [(name, "") for name in sorted(available_timezones())]


def _files(typed: str, values: Values) -> Iterable[Offer]:
    return [("", "", "file")]


def _declared(typed: str, values: Values) -> Iterable[Offer]:
    """The deployments of the project file."""
    import yaml

    with open(_last(values, "--prefect-file") or "prefect.yaml", encoding="utf-8") as file:
        try:
            content = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # it is safe
        except (yaml.YAMLError, UnicodeDecodeError):
            return
    entries = content.get("deployments") if isinstance(content, dict) else None
    for each in entries if isinstance(entries, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            yield each["name"], str(each.get("entrypoint") or "")


def _entrypoints(typed: str, values: Values) -> Iterable[Offer]:
    """`FILE:FLOW`: folders and Python files, then the functions of a file that have a decorator."""
    path, colon, _ = typed.rpartition(":")
    if colon and path.endswith(".py"):
        import ast

        with open(path, encoding="utf-8") as file:
            try:
                body = ast.parse(file.read()).body
            except (SyntaxError, ValueError):
                return
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
                yield f"{path}:{node.name}", (ast.get_docstring(node) or "").partition("\n")[0]
        return
    folder = os.path.dirname(typed)
    with os.scandir(folder or ".") as entries:
        for each in sorted(entries, key=lambda entry: entry.name):
            hidden = each.name.startswith((".", "__"))
            if not hidden and each.is_dir():
                yield os.path.join(folder, each.name) + "/", "", "plain", False
            elif not hidden and each.name.endswith(".py"):
                yield os.path.join(folder, each.name) + ":", "", "plain", False


_LOCAL: dict[str, Callable[[str, Values], Iterable[Offer]]] = {
    "assignments": _assignments,
    "declared": _declared,
    "entrypoints": _entrypoints,
    "environments": _environments,
    "files": _files,
    "pool-types": _pool_types,
    "profiles": _profiles,
    "recipe-fields": _recipe_fields,
    "recipes": _recipes,
    "settings": _settings,
    "state-types": lambda typed, values: [(name, "") for name in _STATE_TYPES],
    "states": lambda typed, values: _STATES.items(),
    "zones": _zones,
}
