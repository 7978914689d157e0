"""`runyard task`: serving tasks, whose runs `task.delay(...)` submits from elsewhere."""

from __future__ import annotations

from typing import Annotated

from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.options import many, option, whole, words

task = App("task", "Run tasks that other processes submit.", "runyard task serve tasks.py:send_mail")


@task.command(
    "serve",
    example="""runyard task serve tasks.py:send_mail tasks.py:resize --limit 4
        runyard task serve tasks.py
        runyard task serve --module shop.tasks""",
)
def serve(
    entrypoints: Annotated[list[str], words("FILE.py:TASK")],
    module: Annotated[list[str], many("-m", "--module", help="All tasks of this module.")],
    limit: Annotated[
        int, whole("-l", "--limit", help="How many runs at once.", least=1, show_default=True)
    ] = 10,
    beside: Annotated[
        int | None, option("--beside", help="A socket to the worker that started it.", hidden=True)
    ] = None,
) -> None:
    """Run what `task.delay(...)` submits, until Ctrl-C; running tasks are finished first.

    A task is FILE.py:TASK or package.module.TASK; FILE.py alone means all tasks in it.
    """
    from runyard.base.errors import InvalidInput
    from runyard.deployments.loading.loading import load_module_tasks, load_tasks
    from runyard.workers.task_worker import serve

    if not entrypoints and not module:
        raise WrongUsage("Missing argument 'FILE.py[:TASK]'.")
    found = [each for entrypoint in entrypoints for each in load_tasks(entrypoint)]
    found += [each for name in module for each in load_module_tasks(name)]
    wanted = list(dict.fromkeys(found))
    try:
        if beside is not None:
            from runyard.workers.task_server_process import serve_beside

            serve_beside(wanted, limit, beside)
        else:
            serve(*wanted, limit=limit)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
