"""What a shell offers when a person presses TAB: Typer finds what the word is, and asks here for its values.

One table says what each option and argument takes, so that the same word is completed the same way in every
command. Each press is a process of its own: it imports no more than the command that is typed, asks for names
as plain rows, and is silent about errors.
"""

from __future__ import annotations

import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from runyard_cli.shared.markup import unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VARIABLE = "_RUNYARD_COMPLETE"
# What shells neither split nor evaluate. Typer's script for zsh evaluates what it is told, and that for bash
# expands it: a name that another person chose must not run a command here, so others are not offered.
_SAFE = re.compile(r"[\w./:@+=,%-]+")
# In what is said about a name, such as the description of a deployment, other characters are left out.
_UNSAFE_IN_HELP = re.compile(r"[^\w .,:/@+=%*-]+")
# A value and its help; and the kind `file`, for which the shell offers paths.
Offer = tuple[Any, ...]
# What was given before: arguments under ARGUMENTS, values of options under each name of the option.
Values = dict[str, list[str]]
ARGUMENTS = "ARGUMENTS"

_MOST = 100
_API_TIMEOUT_SECONDS = 0.5

# Arguments, in their order, by the beginning of the command's path. The longest beginning counts; the last
# kind holds for further arguments. None: free text.
_ARGUMENTS: dict[str, tuple[str | None, ...]] = {
    "alias": ("shells",),
    "artifact": ("artifacts",),
    "block": ("blocks",),
    "block create": ("block-types", None),
    "block register": (None,),
    "block type": ("block-types",),
    "concurrency-limit": ("tag-limits", None),
    "concurrency-limit create": (None,),
    "config get": ("settings",),
    "config set": ("assignments",),
    "config unset": ("settings",),
    "database": ("files",),
    "database restore": ("files",),
    "deploy": ("entrypoints",),
    "deployment": ("deployments",),
    "deployment schedule": ("deployments", "schedules"),
    "dev": ("entrypoints",),
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
    "--level": "levels",
    "--pool": "pools",
    "--prefect-file": "files",
    "--profile": "profiles",
    "--recipe": "recipes",
    "--since": "moments",
    "--state": "states",
    "--state-type": "state-types",
    "--timezone": "zones",
    "--tz": "zones",
    "--work-pool": "pools",
    "--work-queue": "queues",
}
# Where an option means something else in one command, or is free text elsewhere.
_OPTIONS_OF = {
    ("block ls", "--type"): "block-types",
    ("database restore", "--key"): "files",
    ("deploy", "--name"): "declared",
    ("deployment backfill", "--param"): "parameters",
    ("deployment backfill", "--schedule"): "schedules",
    ("deployment ls", "--flow-name"): "flows",
    ("deployment run", "--id"): "deployments",
    ("deployment run", "--param"): "parameters",
    ("deployment schedule create", "--param"): "parameters",
    ("database prune", "--state"): "ended states",
    ("environment ls", "--file"): None,
    ("flow-run ls", "--name"): "flow-runs",
    ("task-run ls", "--task-run-name"): "task-runs",
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


_MOMENTS = {
    "today": "since midnight", "yesterday": "since midnight of the day before", "1h": "the last hour",
    "24h": "the last 24 hours", "7d": "the last 7 days",
}  # fmt: skip
_LEVELS = ("debug", "info", "warning", "error", "critical")


def answer(root: Any) -> int:
    """Print the words that fit, for the shell that the environment names; never an error.

    Args:
        root: the command line whose commands, options and values are completed.

    Returns:
        The exit code: 0, or 1 for an unknown shell.
    """
    import typer
    from typer.completion import get_completion_inspect_parameters, shell_complete

    # Typer strips the markup of helps by rich, whose import is longer than all else here.
    vars(typer)["rich_utils"] = SimpleNamespace(rich_render_text=unescaped)
    get_completion_inspect_parameters()  # registers the shells
    attach(root, [])
    try:
        return shell_complete(root, {}, "runyard", VARIABLE, os.environ.pop(VARIABLE))
    except Exception:  # whatever it is, the person is typing: the next command will tell
        return 0


def attach(command: Any, path: list[str]) -> None:
    """Let the options and arguments of a command complete their values.

    Args:
        path: the names that lead to it, such as `["work-pool", "inspect"]`.
    """
    position = 0
    for parameter in command.params:
        kind = kind_of(path, parameter, position)
        position += parameter.param_type_name == "argument"
        if kind is not None:
            parameter.shell_complete = _Values(kind, path).complete


class _Values:
    """Completes one parameter.

    Args:
        kind: of its values, as `kind_of` returns it.
        path: the names that lead to its command.
    """

    def __init__(self, kind: str, path: list[str]) -> None:
        self._kind, self._path = kind, path

    def complete(self, context: Any, typed: str) -> list[Any]:
        """The values that begin with what is typed, as Typer reads them."""
        profile = context.find_root().params.get("profile")
        if profile:  # names come from the installation that the command line itself chooses
            os.environ["RUNYARD_PROFILE"] = profile
        found = offered(self._kind, typed.strip("'\""), self._path, _given(context))
        return [
            SimpleNamespace(value=value, help=_said(help), type="file" if more[:1] == ("file",) else "plain")
            for value, help, *more in (map(tuple, found))
            if more[:1] == ("file",) or _SAFE.fullmatch(value)
        ]


def _said(help: str) -> str | None:
    """The words about a value, without what a shell would evaluate."""
    return " ".join(_UNSAFE_IN_HELP.sub(" ", help).split()) or None


def _given(context: Any) -> Values:
    """What stands on the command line before, with the options of the root."""
    # Before an option without its value nothing is parsed: then all other words are left.
    values: Values = {ARGUMENTS: [*context.args]} if context.args else {}
    while context is not None:
        for parameter in context.command.params:
            value = context.params.get(parameter.name)
            texts = [str(each) for each in (value if isinstance(value, (list, tuple)) else [value]) if each]
            names = [ARGUMENTS] if parameter.param_type_name == "argument" else parameter.opts
            for name in names if texts else ():
                values.setdefault(name, []).extend(texts)
        context = context.parent
    return values


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
    return [(value, help) for value, help in found] if kind == "parameters" else found


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
        yield from ((f"{name}=", help) for name, help in _settings(typed, values))


def _recipes(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.deployments.project.init import RECIPES

    return [(name, recipe.description) for name, recipe in RECIPES.items()]


def _recipe_fields(typed: str, values: Values) -> Iterable[Offer]:
    from runyard.deployments.project.init import RECIPES

    recipe = RECIPES.get(_last(values, "--recipe"))
    return [(f"{name}=", help) for name, help in (recipe.fields.items() if recipe else ())]


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
    from runyard.deployments.project import yaml_places

    path = _last(values, "--prefect-file") or "prefect.yaml"
    with open(path, encoding="utf-8", errors="replace") as file:
        content, _ = yaml_places.load(file.read(), path)
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
                yield os.path.join(folder, each.name) + "/", ""
            elif not hidden and each.name.endswith(".py"):
                yield os.path.join(folder, each.name) + ":", ""


_LOCAL: dict[str, Callable[[str, Values], Iterable[Offer]]] = {
    "assignments": _assignments,
    "declared": _declared,
    "entrypoints": _entrypoints,
    "ended states": lambda typed, values: [(name, "") for name in _STATE_TYPES[-4:]],
    "environments": _environments,
    "files": _files,
    "levels": lambda typed, values: [(name, "") for name in _LEVELS],
    "moments": lambda typed, values: _MOMENTS.items(),
    "pool-types": _pool_types,
    "profiles": _profiles,
    "recipe-fields": _recipe_fields,
    "recipes": _recipes,
    "settings": _settings,
    "shells": lambda typed, values: [(name, "") for name in ("bash", "zsh", "fish", "powershell")],
    "state-types": lambda typed, values: [(name, "") for name in _STATE_TYPES],
    "states": lambda typed, values: _STATES.items(),
    "zones": _zones,
}
