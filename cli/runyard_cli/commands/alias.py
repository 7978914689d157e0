"""`runyard alias`: the shell function `prefect`."""

from __future__ import annotations

from typing import Annotated

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.alias_functions import SHELLS, alias_function, how_to_read, shell_of
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import argument

alias = App()


@alias.command(
    "alias",
    example="""eval "$(runyard alias bash)"
        runyard alias fish | source""",
)
def _alias(
    shell: Annotated[
        str | None,
        argument(
            "SHELL",
            help="bash, zsh, fish or powershell; by default the shell that is running.",
            parser=one_of(SHELLS),
        ),
    ] = None,
) -> None:
    """Print a shell function `prefect` that calls runyard, for SHELL.

    With it, commands of Prefect's tutorials can be typed as they stand there. It lasts as long as the
    shell, and completes like runyard. A program named prefect is not touched.
    """
    import os

    chosen = shell or shell_of(os.environ.get("SHELL", ""))
    if chosen is None:
        raise WrongUsage(f"Missing argument 'SHELL': one of {', '.join(SHELLS)}.")
    typer.echo(alias_function(chosen), nl=False)
    if out.on_terminal():
        out.progress(how_to_read(chosen))
