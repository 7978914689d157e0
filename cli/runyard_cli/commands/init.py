"""`runyard init`: a project's first prefect.yaml, and on a terminal its first deploy."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import Output, many, option

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.deployments.project.init import Recipe

init = App()


@init.command(
    "init",
    example="""runyard init
        runyard init --pool default-agent-pool --worker
        runyard init --recipe docker --field image_name=registry/etl --field tag=latest""",
)
def _init(
    field: Annotated[list[str], many("-f", "--field", help="An input of the recipe.", metavar="KEY=VALUE")],
    recipe: Annotated[
        str | None, option("--recipe", help="How runs get their code; by default what fits this folder.")
    ] = None,
    name: Annotated[str | None, option("--name", help="The project's name; by default the folder's.")] = None,
    pool: Annotated[
        str | None, option("-p", "--pool", help="The work pool of its deployments; by default the recipe's.")
    ] = None,
    deploy: Annotated[
        bool | None,
        option("--deploy/--no-deploy", help="Also create the pool if it is missing, and deploy."),
    ] = None,
    worker: Annotated[
        bool | None, option("--worker/--no-worker", help="Then start a worker, which runs until Ctrl-C.")
    ] = None,
    output: Output = None,
) -> None:
    """Write prefect.yaml and .prefectignore into this folder, where they are missing.

    On a terminal it asks how runs get their code, for their work pool, and whether to deploy; then it can
    start a worker. Each question can be answered by an option; elsewhere nothing is asked.

    The recipes: local, git, docker, docker-git, s3, gcs, azure, docker-s3, docker-gcs, docker-azure,
    minimal. Where the folder has flows already, the file names a deployment of each; else a first flow is
    written too.
    """
    from runyard.deployments.project import init as project

    if worker and deploy is False:
        raise WrongUsage("--worker starts runs of what is deployed; leave out --no-deploy.")
    if worker and output:
        raise WrongUsage("--worker goes on until Ctrl-C; leave out --output.")
    fields = dict(values.pair(text, "--field") for text in field)
    folder = os.getcwd()
    asks = out.at_keyboard() and not output
    if os.path.exists("prefect.yaml"):
        asks = False
    chosen = project.get_recipe(recipe or project.choose_recipe(folder))
    if asks:
        chosen = _ask_recipe(project.RECIPES, chosen) if recipe is None else chosen
        for key, meaning in project.missing_fields(chosen.name, folder, fields).items():
            fields[key] = typer.prompt(f"{key} ({meaning})")
        pool = pool or _ask_pool(chosen)
    made = project.init_project(folder, chosen.name, name, fields, pool)
    if not output:
        _tell(folder, made)
    wanted = pool or chosen.default_pool
    if asks and deploy is None:
        deploy = worker or typer.confirm("Deploy now? It creates the pool if it is missing.", default=True)
    if not (deploy or worker):
        if output:
            out.print_data(_shown(folder, made, wanted, []), output)
        else:
            _say_next(made, wanted, chosen)
        return
    client = connect()
    applied = _deploy(client, wanted, chosen, quiet=bool(output))
    if output:
        out.print_data(_shown(folder, made, wanted, applied), output)
        return
    if asks and worker is None:
        worker = typer.confirm("Start a worker now? It runs in this terminal until Ctrl-C.", default=True)
    if worker:
        _start_worker(client, wanted, applied)
    from runyard_cli.commands.deploy_show import next_step

    next_step(client, applied)


# Questions


def _ask_recipe(recipes: dict[str, Recipe], suited: Recipe) -> Recipe:
    """The recipe that a person chooses from a list."""
    width = max(map(len, recipes))
    for each in recipes.values():
        out.say(f"  {each.name:{width}}  {each.description}")
    name: str = typer.prompt(
        "How do runs get their code?", default=suited.name, value_proc=one_of(list(recipes))
    )
    return recipes[name]


def _ask_pool(recipe: Recipe) -> str:
    """The work pool that a person names; it is created later, if it is missing."""
    from runyard.base.errors import RunyardError
    from runyard.operations.schemas import check_name
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    try:
        pools = connect().call(list_work_pools)
    except RunyardError as error:
        out.progress(str(error))  # the files can be written all the same
        pools = []
    known = [str(each["name"]) for each in pools if each["type"] == recipe.pool_type]
    default = recipe.default_pool if recipe.default_pool in known or not known else known[0]
    if known:
        out.say(f"  There are: {', '.join(known[:8])}. Another name creates a pool.")

    def read(text: str) -> str:
        from runyard.base.errors import InvalidInput

        try:
            check_name("work pool", text.strip())
        except InvalidInput as error:
            raise typer.BadParameter(str(error)) from None
        return text.strip()

    name: str = typer.prompt("In which work pool do they run?", default=default, value_proc=read)
    return name


# What it does after the files


def _deploy(client: Client, pool: str, recipe: Recipe, quiet: bool) -> list[Any]:
    """Create the pool if it is missing, and deploy the whole file."""
    from runyard.base.errors import NotFound
    from runyard.operations.work_pools.work_pools import create_work_pool, read_work_pool

    from runyard_cli.commands import deploy_project as steps
    from runyard_cli.commands import deploy_show as show

    project = steps.read(None, "prefect.yaml", [], refuse=True)
    wanted = {each.spec.work_pool.name for each in project.entries if each.spec.work_pool}
    if pool in wanted:  # a file that was there already may have others
        try:
            client.call(read_work_pool, pool)
        except NotFound:
            client.call(create_work_pool, body=body(create_work_pool, name=pool, type=recipe.pool_type))
            if not quiet:
                out.done(f"Created work pool '{pool}' of type {recipe.pool_type}.")
    with out.prints_aside(quiet):
        planned = steps.plan(client, project, [], None, everything=True)
    applied = steps.apply(client, planned.body)
    if not quiet:
        show.announce(applied)
    return applied


def _start_worker(client: Client, pool: str, applied: list[Any]) -> None:
    """Become `runyard worker start`: runs are forked from a process that has loaded no code of theirs."""
    made = [each.deployment for each in applied if each.action != "left"]
    if made:
        command = command_of("runyard deployment run", f"{made[0].flow_name}/{made[0].name}")
        out.hint(f"In another terminal, run it: {command}")
    client.close()
    sys.stdout.flush()
    command_line = ["-m", "runyard_cli.main", "worker", "start", f"--pool={pool}"]
    os.execv(sys.executable, [sys.executable, "-P", *command_line])  # noqa: S606  # our own program


# What it says


def _tell(folder: str, made: list[str]) -> None:
    if not made:
        out.say("Nothing to write: prefect.yaml and .prefectignore already exist.")
        return
    out.done(f"Created a project in {folder}:")
    for file in made:
        out.say(f"  {file}")


def _say_next(made: list[str], pool: str, recipe: Recipe) -> None:
    """The commands that come next; deploying would be refused without the pool."""
    if "prefect.yaml" in made:
        command = command_of("runyard work-pool create", pool, options=f"--type {recipe.pool_type}")
        out.hint(f"It needs a work pool: {command}")
    out.hint("Next: runyard deploy --all")
    out.hint("Or try it at once, with every save: runyard dev")


def _shown(folder: str, made: list[str], pool: str, applied: list[Any]) -> dict[str, Any]:
    return {"folder": folder, "files": made, "work_pool": pool, "deployments": applied}
