"""`runyard run`: a flow or a script, in this process, here and now."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from runyard_cli import values
from runyard_cli.command import Command


@click.command(
    "run",
    cls=Command,
    example="""runyard run flows/etl.py
        runyard run flows/etl.py:my_etl_flow --param date=2026-11-22""",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
@click.argument("target", metavar="FILE.py[:FLOW]")
@click.option(
    "-p", "--param", multiple=True, metavar="KEY=VALUE", help="A parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="All parameters as a JSON object; - reads standard input.")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    target: str,
    param: tuple[str, ...],
    params: str | None,
    arguments: tuple[str, ...],
) -> None:
    """Run a flow, or a whole script with ARGS, in this process.

    `import prefect` in it gives Runyard where Prefect itself is not installed, or as the setting
    RUNYARD_PREFECT_IMPORTS says.
    """
    is_script = ":" not in target and target.endswith(".py")
    if is_script and (param or params is not None):
        raise click.UsageError(f"Parameters need a flow; write {target}:FLOW.")
    if not is_script and arguments:
        raise click.UsageError(f"A flow takes --param and not {arguments[0]!r}.")
    if is_script:
        context.exit(_run_script(target, list(arguments)))
    context.exit(_run_flow(target, param, params))


def _run_script(path: str, arguments: list[str]) -> int:
    import runpy

    from runyard.compat import imports
    from runyard.errors import EntrypointError

    if not os.path.isfile(path):
        raise EntrypointError(f"there is no file {path}")
    imports.install()
    sys.argv = [path, *arguments]
    # As `python FILE.py` does it: the file's folder is where its imports start.
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        runpy.run_path(path, run_name="__main__")
    except Exception as error:
        _print_traceback(error)
        return 1
    return 0


def _run_flow(entrypoint: str, param: tuple[str, ...], params: str | None) -> int:
    from runyard.deployments.loading import load_flow, parameter_schema
    from runyard.errors import ParameterError

    flow: Any = load_flow(entrypoint)
    given = values.parameters(param, params, parameter_schema(flow))
    try:
        answer = flow(**given)
        if hasattr(answer, "__await__"):
            import asyncio

            asyncio.run(_wait(answer))
    except ParameterError:
        raise
    except Exception as error:
        _print_traceback(error)
        return 1
    return 0


async def _wait(answer: Any) -> Any:
    return await answer


def _print_traceback(error: Exception) -> None:
    """The user's own frames: those of this command and of runpy before them say nothing."""
    ours = (os.path.dirname(os.path.abspath(__file__)), "<frozen runpy>")
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(ours):
        frame = frame.tb_next
    traceback.print_exception(type(error), error, frame or error.__traceback__)
