"""`runyard completion`: the script that completes commands and names in a shell."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.options import argument, option

completion = App()


@completion.command("completion", example="runyard completion bash --install")
def _completion(
    shell: Annotated[Literal["bash", "zsh", "fish", "powershell"], argument("SHELL")],
    install: Annotated[bool, option("--install", help="Write it where the shell finds it.")] = False,
) -> None:
    """Print the script that completes commands, options and names in SHELL.

    Without --install: eval "$(runyard completion bash)", for zsh likewise, and for fish
    runyard completion fish | source
    """
    script = _script(shell)
    if not install:
        typer.echo(script, nl=False)
        return
    place, line = _install(shell, script)
    out.done(f"Wrote {place}.")
    out.hint(line)


def _script(shell: str) -> str:
    import contextlib
    import io

    from typer.completion import get_completion_inspect_parameters, shell_complete

    from runyard_cli.main import cli
    from runyard_cli.shared.completers import VARIABLE

    get_completion_inspect_parameters()  # registers the shells
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        shell_complete(cli, {}, "runyard", VARIABLE, f"source_{shell}")
    return printed.getvalue().strip() + "\n"


def _install(shell: str, script: str) -> tuple[str, str]:
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    place = {
        "bash": os.path.join(data, "bash-completion", "completions", "runyard"),
        "zsh": os.path.join(data, "zsh", "site-functions", "_runyard"),
        "fish": os.path.join(config, "fish", "completions", "runyard.fish"),
        "powershell": os.path.join(config, "powershell", "runyard.ps1"),
    }[shell]
    folder = os.path.dirname(place)
    os.makedirs(folder, exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        file.write(script)
    if shell == "zsh":
        return place, f"In ~/.zshrc, before compinit: fpath+=({folder}); then start a new shell."
    if shell == "bash":
        return place, f"Start a new shell; without the package bash-completion, in ~/.bashrc: . {place}"
    if shell == "powershell":
        return place, f"In $PROFILE: . {place}; then start a new shell."
    return place, "Start a new shell."
