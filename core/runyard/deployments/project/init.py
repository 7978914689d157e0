"""Starts a project: recipes that write a commented prefect.yaml and a flow that runs at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.abc import Traversable
from typing import NamedTuple

from runyard.base.errors import InvalidInput, NotFound, StoreError
from runyard.base.quoting import command_of
from runyard.base.suggestions import did_you_mean
from runyard.deployments.loading.discovery import FoundFlow, deployment_names, find_flows
from runyard.deployments.project.version_info import git
from runyard.operations.schemas import check_name

_MARK = re.compile(r"@([A-Z_]+)@")
_PLAIN = re.compile(r"[A-Za-z0-9._/@:+~-]+")
# What YAML reads as the same text without quotes.
_PLAIN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_.]+)?")
_YAML_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))

_IMAGE = {"image_name": "image to build, without its tag", "tag": "tag of the image"}
_BUCKET = {"bucket": "bucket for the code"}
_CONTAINER = {"container": "container for the code"}
_REPOSITORY = {"repository": "URL to clone from", "branch": "branch to check out"}
_MOST_FLOWS = 20
_COMMENTS = {
    "build": "Steps that `runyard deploy` runs on this machine.",
    "push": "Steps that `runyard deploy` runs after build.",
    "pull": "Steps that run before every flow run, on its machine.",
}


class Recipe(NamedTuple):
    """A recipe.

    Args:
        name: its name.
        description: its purpose.
        fields: the values that it asks for, and their meanings.
        build, push, pull: the parts of its steps.
    """

    name: str
    description: str
    fields: dict[str, str]
    build: tuple[str, ...] = ()
    push: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()

    @property
    def is_docker(self) -> bool:
        """Whether its runs start in an image."""
        return bool(self.build)

    @property
    def pool_type(self) -> str:
        """The type of the work pool that its deployments need."""
        return "docker" if self.is_docker else "process"

    @property
    def default_pool(self) -> str:
        """The work pool of its deployments, if none is given."""
        return "docker-pool" if self.is_docker else "default-agent-pool"


def _stored(kind: str, where: str, fields: dict[str, str]) -> tuple[Recipe, Recipe]:
    """The recipes that store code in an object store: without an image, and with one."""
    text = f"deploy stores the code in {where}; runs fetch it"
    image = f"runs start in an image, with the code from {where}"
    return (
        Recipe(kind, text, fields, push=(kind,), pull=(kind,)),
        Recipe(f"docker-{kind}", image, {**_IMAGE, **fields}, ("docker",), ("docker", kind), (kind,)),
    )


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("local", "runs use the code in its folder on this machine", {}),
        Recipe("git", "runs clone the code from a repository", _REPOSITORY, pull=("git",)),
        Recipe(
            "docker",
            "deploy builds an image with the code; runs start in it",
            _IMAGE, ("docker",), ("docker",), ("docker",),
        ),
        Recipe(
            "docker-git",
            "runs start in an image, and clone the code from a repository",
            {**_IMAGE, **_REPOSITORY}, ("docker",), ("docker",), ("git",),
        ),
        *_stored("s3", "S3", _BUCKET),
        *_stored("gcs", "Google Cloud Storage", _BUCKET),
        *_stored("azure", "Azure Blob Storage", _CONTAINER),
        Recipe("minimal", "the shortest prefect.yaml that works", {}),
    )
}  # fmt: skip


def choose_recipe(folder: str) -> str:
    """The recipe for a folder: git if it has a remote, docker if it has a Dockerfile, both, or local."""
    has_image = os.path.isfile(os.path.join(folder, "Dockerfile"))
    if git(folder, "remote", "get-url", "origin"):
        return "docker-git" if has_image else "git"
    return "docker" if has_image else "local"


def missing_fields(recipe: str, folder: str, fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a recipe that are neither given nor detected, and their meanings."""
    known = _values(recipe, folder, None, fields)
    return {name: text for name, text in get_recipe(recipe).fields.items() if not known.get(name.upper())}


def get_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        NotFound: it does not exist.
    """
    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES, f"there are: {', '.join(RECIPES)}")
        raise NotFound(f"recipe {name!r} not found{hint}")
    return RECIPES[name]


def init_project(
    folder: str = ".",
    recipe: str | None = None,
    name: str | None = None,
    fields: Mapping[str, str] | None = None,
    pool: str | None = None,
) -> list[str]:
    """Write the first files of a project. Existing files are never overwritten.

    Args:
        folder: the folder, which may not exist yet.
        recipe: one of RECIPES; default: chosen for the folder.
        name: of the project; default: the folder's name.
        fields: the recipe's fields.
        pool: the work pool of its deployments; default: the recipe's.

    Returns:
        The written paths, relative to `folder`.

    Raises:
        NotFound: the recipe does not exist.
        InvalidInput: a field is missing, unknown or invalid, or the pool's name is invalid.
        StoreError: the folder cannot be written.
    """
    folder = os.path.abspath(folder)
    chosen = get_recipe(recipe or choose_recipe(folder))
    fields = fields or {}
    for given, value in fields.items():
        if given not in chosen.fields:
            known = ", ".join(chosen.fields) or "no fields"
            raise InvalidInput(f"recipe {chosen.name!r} has no field {given!r}; valid are: {known}")
        if not _PLAIN.fullmatch(value):
            raise InvalidInput(f"field {given}: {value!r} contains blanks or other invalid characters")
    missing = missing_fields(chosen.name, folder, fields)
    if missing:
        asked = ", ".join(f"--field {key}=... ({text})" for key, text in missing.items())
        raise InvalidInput(f"recipe {chosen.name!r} needs {asked}")
    values = {**_values(chosen.name, folder, name, fields), **_pool_values(chosen, pool)}
    files = _files(chosen, values, find_flows(folder)[:_MOST_FLOWS])
    return [path for path, text in files if _write(folder, path, text)]


def _values(recipe: str, folder: str, name: str | None, fields: Mapping[str, str]) -> dict[str, str]:
    """The values of the marks in the recipe's files."""
    folder = os.path.abspath(folder)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name or os.path.basename(folder)).strip("-")
    values = {"NAME": plain or "my-project"}
    has_image = os.path.isfile(os.path.join(folder, "Dockerfile"))
    values.update(FOLDER=os.path.basename(folder), DOCKERFILE="Dockerfile" if has_image else "auto")
    if recipe in ("git", "docker-git"):
        remote = git(folder, "remote", "get-url", "origin")
        values["REPOSITORY"] = re.sub(r"(?<=://)[^/@\s]+@", "", remote)
        values["BRANCH"] = git(folder, "symbolic-ref", "--short", "HEAD") or "main"
    return {**values, **{key.upper(): value for key, value in fields.items()}}


def _pool_values(recipe: Recipe, pool: str | None) -> dict[str, str]:
    """The values of the marks of a work pool."""
    name = pool or recipe.default_pool
    if name != recipe.default_pool:
        check_name("work pool", name)
    command = command_of("runyard work-pool create", name, options=f"--type {recipe.pool_type}")
    return {"POOL": _in_yaml(name), "POOL_COMMAND": command}


def _in_yaml(text: str) -> str:
    """A text in a YAML file, in quotes if it would not be read as the same text without them."""
    is_plain = _PLAIN_TEXT.fullmatch(text) and text.lower() not in _YAML_WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _files(
    recipe: Recipe, values: Mapping[str, str], flows: Sequence[FoundFlow]
) -> Iterator[tuple[str, str]]:
    """The files of a project: path and text. A folder with flows gets a deployment for each."""
    root = resources.files("runyard_templates") / "recipes"
    yield ".prefectignore", (root / "prefectignore").read_text("utf-8")
    if not flows:
        yield "flows/hello.py", (root / "flows" / "hello.py").read_text("utf-8")
    if recipe.name == "minimal" and not flows:
        yield "prefect.yaml", _render((root / "minimal.yaml").read_text("utf-8"), values)
    else:
        yield "prefect.yaml", _project_file(root / "parts", recipe, values, flows)


def _project_file(
    parts: Traversable, recipe: Recipe, values: Mapping[str, str], flows: Sequence[FoundFlow]
) -> str:
    """A project file from the parts of a recipe."""

    def part(name: str, **more: str) -> str:
        return _render((parts / f"{name}.yaml").read_text("utf-8"), {**values, **more})

    sections = [part("head")]
    for phase, names in (("build", recipe.build), ("push", recipe.push), ("pull", recipe.pull)):
        if names:
            items = "".join(part(f"{phase}-{name}") for name in names)
            sections.append(f"# {_COMMENTS[phase]}\n{phase}:\n{items}")
    if not recipe.pull:
        sections.append("# Runs execute the code in the folder of this file.\npull: []\n")
    common = {
        "JOB_VARIABLES": '{image: "{{ build_image.image }}"}' if recipe.is_docker else "{}",
    }
    hello = FoundFlow("flows/hello.py", "hello", "hello", 1)
    found = flows or [hello]
    entries = [
        part(
            "deployment",
            DEPLOYMENT=_in_yaml(name),
            ENTRYPOINT=_in_yaml(flow.entrypoint),
            PARAMETERS="{}" if flows else "{name: world}",
            **common,
        )
        for name, flow in zip(deployment_names(found), found, strict=True)
    ]
    sections.append("deployments:\n" + "\n".join(entries))
    return "\n".join(sections)


def _render(text: str, values: Mapping[str, str]) -> str:
    return _MARK.sub(lambda match: values.get(match.group(1), match.group(0)), text)


def _write(folder: str, path: str, text: str) -> bool:
    """Write a new file; False if it exists."""
    file = os.path.join(folder, path)
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None
    return True
