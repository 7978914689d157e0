"""The answer to the shell when the user presses TAB.

Each press is a process of its own: it loads no more than the command it is about, asks for names as
plain rows, and is silent about errors.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "_RUNYARD_COMPLETE"
_MOST = 200
_API_TIMEOUT_SECONDS = 0.5

_IN_GROUP = {
    "artifact": "artifacts",
    "block": "blocks",
    "deployment": "deployments",
    "flow-run": "flow-runs",
    "global-concurrency-limit": "limits",
    "profile": "profiles",
    "secret": "secrets",
    "task-run": "task-runs",
    "variable": "variables",
    "work-pool": "pools",
    "work-queue": "queues",
}
_ANYWHERE = {
    "deployment_name": "deployments",
    "flow_name": "flows",
    "flow_run": "flow-runs",
    "pool": "pools",
    "profile": "profiles",
    "recipe": "recipes",
    "source": "profiles",
    "work_pool": "pools",
    "work_queue": "queues",
    "work_queues": "queues",
}
_NAMES = ("name", "names", "reference", "deployment", "flow_run", "task_run", "variable", "block", "slug")
_MAKING = ("create", "set", "rename-to", "register")


def answer(root: Any) -> int:
    """Print the words that fit, for the shell that the environment names; never an error.

    Args:
        root: the command line whose commands, options and names are completed.

    Returns:
        The exit code: 0, or 1 for a shell that is not known.
    """
    import typer
    from typer.completion import get_completion_inspect_parameters, shell_complete

    # Typer renders helps by rich, for which there is nothing to do here but a long import.
    vars(typer)["rich_utils"] = SimpleNamespace(rich_render_text=str)
    get_completion_inspect_parameters()  # registers the shells
    instruction = os.environ.pop(VARIABLE)
    try:
        return shell_complete(root, {}, "runyard", VARIABLE, instruction)
    except Exception:  # whatever it is, the person is typing: the next command will tell
        return 0


def attach(command: Any, path: list[str]) -> None:
    """Let the arguments and options of a command that take names complete them.

    Args:
        path: what leads to the command, such as `["work-pool", "inspect"]`.
    """
    for parameter in command.params:
        kind = kind_of(path, parameter)
        if kind is not None:
            parameter.shell_complete = _Names(kind).complete


class _Names:
    """Completes one parameter with names of a kind; see `operations.names`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def complete(self, context: Any, incomplete: str) -> Any:
        """The names that begin with what was typed."""
        typed = incomplete.strip("'\"")
        found = names(self._kind, typed, context.params.get("pool"))
        return [_Word(name) for name in found if name.startswith(typed)]


class _Word(SimpleNamespace):
    """A word as Typer's completion classes read it."""

    def __init__(self, value: str) -> None:
        super().__init__(value=value, type="plain", help=None)


def kind_of(path: list[str], parameter: Any) -> str | None:
    """What names a parameter takes; None for no names that are known."""
    name, group = parameter.name or "", path[0] if path else ""
    if parameter.type_descriptor.annotation not in (str, list[str]):
        return None
    if group == "config":
        return "settings" if name in ("names", "assignments") else None
    if name in _ANYWHERE and (name != "source" or group == "profile"):
        return _ANYWHERE[name]
    making = path[-1] in _MAKING and path[1:2] == path[-1:]
    if parameter.param_type_name == "argument" and group in _IN_GROUP and name in _NAMES and not making:
        return "deployments" if group == "deployment" else _IN_GROUP[group]
    return None


def names(kind: str, prefix: str, pool: str | None = None) -> Iterable[str]:
    """The names of a kind that begin so, without a word about what goes wrong.

    Args:
        pool: for queues, whose.
    """
    from runyard.base.errors import RunyardError

    try:
        if kind == "profiles":
            from runyard.settings import profiles

            return profiles.names(profiles.read())
        if kind == "settings":
            from runyard import settings

            upper = [variable for name in settings.SETTINGS for variable in settings.variables(name)]
            return upper if prefix[:1].isupper() or not prefix else list(settings.SETTINGS)
        if kind == "recipes":
            from runyard.deployments.project.init import RECIPES

            return list(RECIPES)
        return _stored(kind, prefix, pool)
    except (RunyardError, OSError):
        return []


def _stored(kind: str, prefix: str, pool: str | None) -> list[str]:
    from runyard import settings

    url = settings.get("api_url")
    if url:
        return _from_api(url, settings.get("api_auth_string"), kind, prefix, pool)
    from runyard.store.database import get_database

    where = settings.database_url()
    if where.startswith("sqlite"):
        from runyard.store.sqlite import path_of

        if not os.path.exists(path_of(where)):
            return []
    from runyard.operations.installation.completion_names import list_names

    with get_database().transaction(write=False) as tx:
        return list_names(tx, kind, prefix, pool, _MOST)


def _from_api(url: str, auth: str, kind: str, prefix: str, pool: str | None) -> list[str]:
    # Not by httpx, whose import alone takes longer than a person waits for a TAB.
    import json
    from base64 import b64encode
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlencode, urlsplit

    from runyard.settings.api_token import token_headers

    parts = urlsplit(url)
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    query = {"kind": kind, "prefix": prefix, "limit": _MOST, **({"pool": pool} if pool else {})}
    headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else token_headers(url)
    connection = make(parts.netloc, timeout=_API_TIMEOUT_SECONDS)
    try:
        connection.request(
            "GET", f"{parts.path.rstrip('/')}/runyard/names?{urlencode(query)}", headers=headers
        )
        reply = connection.getresponse()
        return [str(name) for name in json.loads(reply.read())] if reply.status == 200 else []
    except (HTTPException, ValueError):
        return []
    finally:
        connection.close()
