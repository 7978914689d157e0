"""`runyard init`: a project's first prefect.yaml."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import many, option

init = App()


@init.command(
    "init",
    example="""runyard init
        runyard init --recipe docker --field image_name=registry/etl --field tag=latest""",
)
def _init(
    field: Annotated[list[str], many("-f", "--field", help="An input of the recipe.", metavar="KEY=VALUE")],
    recipe: Annotated[
        str | None, option("--recipe", help="How runs get their code; by default what fits this folder.")
    ] = None,
    name: Annotated[str | None, option("--name", help="The project's name; by default the folder's.")] = None,
) -> None:
    """Write prefect.yaml and .prefectignore into this folder, where they are missing.

    The recipes: local, git, docker, docker-git, s3, gcs, azure, docker-s3, docker-gcs, docker-azure,
    minimal. Where the folder has flows already, the file names a deployment of each; else a first flow is
    written too.
    """
    import os

    from runyard.deployments.project import init as project

    fields = dict(values.pair(text, "--field") for text in field)
    folder = os.getcwd()
    chosen = recipe or project.choose_recipe(folder)
    if out.at_keyboard():
        if recipe is None:
            chosen = _ask_recipe(project.RECIPES, chosen)
        for key, meaning in project.missing_fields(chosen, folder, fields).items():
            fields[key] = typer.prompt(f"{key} ({meaning})")
    made = project.init_project(folder, chosen, name, fields)
    if not made:
        out.say("Nothing to do: prefect.yaml and .prefectignore already exist.")
        return
    out.done(f"Created a project in {folder}:")
    for file in made:
        out.say(f"  {file}")
    if "prefect.yaml" in made:
        _say_pool(chosen)
    out.hint("Next: runyard deploy --all")


def _ask_recipe(recipes: dict[str, Any], suited: str) -> str:
    """The recipe that a person chooses from a table."""
    rows = [[each.name, each.description] for each in recipes.values()]
    out.table("Recipes", ["Name", "Description"], rows, "")
    chosen: str = typer.prompt("Recipe", default=suited, value_proc=one_of(list(recipes)))
    return chosen


def _say_pool(recipe: str) -> None:
    """The pool that the new project's deployment wants may not be there: deploying would be refused."""
    from runyard.deployments.project.read_project import read_project

    pool = read_project().entries[0].spec.work_pool
    if pool and pool.name:
        kind = "docker" if recipe.startswith("docker") else "process"
        out.hint(
            "It needs a work pool: "
            + command_of("runyard work-pool create", pool.name, options=f"--type {kind}")
        )
