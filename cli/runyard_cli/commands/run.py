"""`runyard run`: a flow or a script, in this process, here and now."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from runyard.base.quoting import PATH, quoted

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.options import argument, many, option, words

run = App()


@run.command(
    "run",
    example="""runyard run flows/etl.py:my_etl_flow --param date=2026-11-22
        runyard run report.py --month 2026-11""",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
def _run(
    context: typer.Context,
    target: Annotated[str, argument("FILE.py:FLOW")],
    param: Annotated[
        list[str], many("-p", "--param", help="A parameter; the value is JSON or text.", metavar="KEY=VALUE")
    ],
    arguments: Annotated[list[str], words("ARGS")],
    params: Annotated[
        str | None,
        option("--params", help="All parameters as a JSON object; - reads standard input.", metavar="JSON"),
    ] = None,
) -> None:
    """Run a flow, or a whole script with ARGS, in this process.

    `import prefect` in it gives Runyard where Prefect itself is not installed, or as the setting
    RUNYARD_PREFECT_IMPORTS says.
    """
    is_script = ":" not in target and target.endswith(".py")
    if is_script and (param or params is not None):
        raise WrongUsage(f"Parameters need a flow; write {target}:FLOW.")
    if not is_script and arguments:
        raise WrongUsage(f"A flow takes --param and not {arguments[0]!r}.")
    if is_script:
        context.exit(_run_script(target, list(arguments)))
    context.exit(_run_flow(target, param, params))


def _run_script(path: str, arguments: list[str]) -> int:
    from runyard.compat import programs

    _check_does_something(path)
    try:
        programs.run_file(path, arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return _report(error)
    return 0


def _check_does_something(path: str) -> None:
    """Refuse a script that only defines flows: it would end at once, as if all were well."""
    import ast

    from runyard.base.errors import InvalidInput

    try:
        with open(path, "rb") as file:
            body = ast.parse(file.read()).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # what runs it says that better
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)
    if not all(isinstance(part, defined) or _is_docstring(part) for part in body):
        return
    flows = [
        part.name
        for part in body
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any("flow" in ast.unparse(decorator) for decorator in part.decorator_list)
    ]
    if flows:
        command = f"runyard run {quoted(path, longest=PATH)}:{' or :'.join(flows)}"
        raise InvalidInput(f"{path} calls no flow; run one of its flows: {command}")


def _is_docstring(part: Any) -> bool:
    import ast

    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


def _run_flow(entrypoint: str, param: list[str], params: str | None) -> int:
    from runyard.deployments.loading.loading import load_flow, parameter_schema

    flow: Any = load_flow(entrypoint)
    given = values.parameters(param, params, parameter_schema(flow))
    flow.validate_parameters(given)  # before there is a run that fails
    try:
        answer = flow(**given)
        if flow.isasync:
            import asyncio

            asyncio.run(_read_out(answer) if flow.isgenerator else _wait(answer))
        elif flow.isgenerator:
            for _value in answer:
                pass  # its run goes on only while its values are asked for
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return _report(error)
    return 0


async def _wait(answer: Any) -> Any:
    return await answer


async def _read_out(answer: Any) -> None:
    async for _value in answer:
        pass


def _report(error: BaseException) -> int:
    """Print an error's traceback; the exit code.

    Raises:
        RunyardError: that very error, when it did not pass through code of the user: one line will do.
    """
    from runyard.base.errors import RunyardError

    shown = traceback.TracebackException.from_exception(error)
    if isinstance(error, RunyardError) and not any(_is_users(frame) for frame in shown.stack):
        raise error
    if not out.wants_tracebacks():
        _keep_users_frames(shown)
    print("".join(shown.format()), end="", file=sys.stderr)
    return 1


def _keep_users_frames(shown: traceback.TracebackException) -> None:
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not _is_ours(frame)])
    for other in (shown.__cause__, shown.__context__):
        if other is not None:
            _keep_users_frames(other)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    import runyard

    folders = tuple(os.path.dirname(os.path.abspath(file)) + os.sep for file in (__file__, runyard.__file__))
    return frame.filename.startswith(folders)


def _is_users(frame: traceback.FrameSummary) -> bool:
    library = os.path.dirname(os.__file__) + os.sep
    from_library = frame.filename.startswith(library) and "site-packages" not in frame.filename
    return not (from_library or _is_ours(frame))
