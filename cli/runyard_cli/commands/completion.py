"""`runyard completion`: Typer's scripts, with which shells complete commands, options and names."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Annotated, Literal

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.completers import VARIABLE
from runyard_cli.shared.options import argument, option

SHELLS = ("bash", "zsh", "fish", "powershell")

completion = App()


@completion.command(
    "completion",
    example="""runyard completion bash --install
        eval "$(runyard completion zsh)"
        runyard completion fish | source""",
)
def _completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        argument("SHELL", help="By default the shell that $SHELL names."),
    ] = None,
    install: Annotated[bool, option("--install", help="Write it where the shell finds it.")] = False,
) -> None:
    """Print the script that completes commands, options and names in a shell, or install it."""
    kind = shell or os.path.basename(os.environ.get("SHELL", ""))
    if kind not in SHELLS:
        raise WrongUsage(f"Which shell? Name one of {', '.join(SHELLS)}.")
    if not install:
        typer.echo(_script(kind), nl=False)
        return
    place, line = _install(kind, _script(kind))
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
        "powershell": os.path.join(config, "powershell", "runyard-completion.ps1"),
    }[shell]
    folder = os.path.dirname(place)
    os.makedirs(folder, exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        file.write(script)
        if shell == "zsh":  # which reads the file when TAB is pressed first, and then wants an answer
            file.write("[[ $zsh_eval_context[-1] == loadautofunc ]] && _runyard_completion\n")
    return place, {
        "bash": f"Start a new shell; without the package bash-completion, in ~/.bashrc: . {place}",
        "zsh": f"In ~/.zshrc, before compinit: fpath+=({folder}); then start a new shell.",
        "fish": "Start a new shell.",
        "powershell": f"In the file that $PROFILE names: . {place}",
    }[shell]


def _script(shell: str) -> str:
    """Typer's script for a shell."""
    from typer.completion import get_completion_inspect_parameters, shell_complete
    from typer.core import TyperCommand

    get_completion_inspect_parameters()  # registers the shells
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        shell_complete(TyperCommand("runyard"), {}, "runyard", VARIABLE, f"source_{shell}")
    return printed.getvalue().strip() + "\n"
