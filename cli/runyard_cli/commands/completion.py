"""`runyard completion`, and the answer to the shell when the user presses TAB.

Each press is a process of its own: it loads no more than the command it is about, asks for names as
plain rows, and is silent about errors.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

VARIABLE = "_RUNYARD_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")
_MOST = 200
_API_TIMEOUT_SECONDS = 0.5

# What an argument or option of this name stands for, in the group or anywhere.
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


@click.command("completion", cls=Command, example="runyard completion bash --install")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.option("--install", is_flag=True, help="Write it where the shell finds it.")
def completion(shell: str, install: bool) -> None:
    """Print the script that completes commands, options and names in SHELL.

    Without --install: eval "$(runyard completion bash)", for zsh likewise, and for fish
    runyard completion fish | source
    """
    script = _SCRIPTS[shell]
    if not install:
        click.echo(script, nl=False)
        return
    place, line = _install(shell, script)
    out.done(f"Wrote {place}.")
    out.hint(line)


def _install(shell: str, script: str) -> tuple[str, str]:
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    place = {
        "bash": os.path.join(data, "bash-completion", "completions", "runyard"),
        "zsh": os.path.join(data, "zsh", "site-functions", "_runyard"),
        "fish": os.path.join(config, "fish", "completions", "runyard.fish"),
    }[shell]
    folder = os.path.dirname(place)
    os.makedirs(folder, exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        file.write(script)
    if shell == "zsh":
        return place, f"In ~/.zshrc, before compinit: fpath+=({folder}); then start a new shell."
    if shell == "bash":
        return place, f"Start a new shell; without the package bash-completion, in ~/.bashrc: . {place}"
    return place, "Start a new shell."


_SCRIPTS = {
    "bash": """\
_runyard_complete() {
    local line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%,*}
        value=${line#*,}
        case $kind in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(
        COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _RUNYARD_COMPLETE=bash_complete "$1" 2>/dev/null
    )
    return 0
}
complete -o nosort -F _runyard_complete runyard
""",
    "zsh": """\
#compdef runyard
_runyard_complete() {
    local -a answers plain described
    local kind key help
    answers=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _RUNYARD_COMPLETE=zsh_complete \\
        runyard 2>/dev/null)}")
    for kind key help in ${answers}; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $help == _ ]]; then plain+=("$key"); else described+=("${key//:/\\\\:}:$help"); fi ;;
        esac
    done
    (( ${#described} )) && _describe -V unsorted described -U
    (( ${#plain} )) && compadd -U -V unsorted -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _runyard_complete "$@"
else
    compdef _runyard_complete runyard
fi
""",
    "fish": """\
function _runyard_complete
    set -l answers (env _RUNYARD_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -t) runyard 2>/dev/null)
    for answer in $answers
        set -l parts (string split -m 1 "," -- $answer)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command runyard --arguments "(_runyard_complete)"
""",
}


def answer(root: click.Command) -> int:
    """Print the words that fit, for the shell that the environment names; never an error.

    Args:
        root: the command line whose commands, options and names are completed.

    Returns:
        The exit code: 0, or 1 for a shell that is not known.
    """
    from click.shell_completion import get_completion_class

    shell = os.environ.pop(VARIABLE).partition("_")[0]
    if shell not in _SHELLS:
        return 1
    try:
        base: Any = get_completion_class(shell)
        complete: Any = type("Completion", (_WithNames, base), {})
        click.echo(complete(root, {}, "runyard", VARIABLE).complete())
    except Exception:  # noqa: S110  # whatever it is, the person is typing: the next command will tell
        pass
    return 0


class _WithNames:
    """Lets the command that is being typed complete names, before it is asked."""

    cli: click.Command
    ctx_args: Any
    prog_name: str

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """The words that fit."""
        from click.shell_completion import _resolve_context

        context = _resolve_context(self.cli, self.ctx_args, self.prog_name, args)
        path: list[str] = []
        each: click.Context | None = context
        while each is not None and each.parent is not None:
            path.insert(0, each.command.name or "")
            each = each.parent
        attach(context.command, path)
        found: list[CompletionItem] = super().get_completions(args, incomplete)  # type: ignore[misc]
        return found


def attach(command: click.Command, path: list[str]) -> None:
    """Let the arguments and options of a command that take names complete them.

    Args:
        path: what leads to the command, such as `["work-pool", "inspect"]`.
    """
    for parameter in command.params:
        kind = kind_of(path, parameter)
        if kind is not None:
            parameter.type = NameType(kind)


def kind_of(path: list[str], parameter: click.Parameter) -> str | None:
    """What names a parameter takes; None for no names that are known."""
    name, group = parameter.name or "", path[0] if path else ""
    if not isinstance(parameter.type, click.types.StringParamType):
        return None
    if group == "config":
        return "settings" if name in ("names", "assignments") else None
    if name in _ANYWHERE and (name != "source" or group == "profile"):
        return _ANYWHERE[name]
    making = path[-1] in _MAKING and path[1:2] == path[-1:]
    if isinstance(parameter, click.Argument) and group in _IN_GROUP and name in _NAMES and not making:
        return "deployments" if group == "deployment" else _IN_GROUP[group]
    return None


class NameType(click.ParamType):
    """A name of something that is stored.

    Args:
        kind: of what; see `operations.names`, besides `profiles`, `settings` and `recipes`.
    """

    name = "text"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with what was typed."""
        from click.shell_completion import CompletionItem

        typed = incomplete.strip("'\"")
        found = names(self.kind, typed, ctx.params.get("pool"))
        return [CompletionItem(name) for name in found if name.startswith(typed)]


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
