"""Starting a project: recipes that write a commented prefect.yaml and a flow that runs at once."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from importlib.abc import Traversable
from typing import NamedTuple

from runyard.errors import InvalidInput, NotFound, StoreError

_MARK = re.compile(r"@([A-Z_]+)@")
_PLAIN = re.compile(r"[A-Za-z0-9._/@:+~-]+")


class Recipe(NamedTuple):
    """A way to start: what it is for, and the fields it asks for with what each means."""

    name: str
    description: str
    fields: dict[str, str]


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("local", "runs use the code where it stands, on this machine", {}),
        Recipe(
            "git",
            "runs clone the code from a repository",
            {"repository": "URL to clone from", "branch": "branch to check out"},
        ),
        Recipe(
            "docker",
            "runs start in an image that deploy builds and pushes",
            {"image_name": "image to build, without its tag", "tag": "tag of the image"},
        ),
        Recipe("minimal", "the shortest prefect.yaml that works", {}),
    )
}


def choose_recipe(folder: str) -> str:
    """The recipe that suits a folder: git with a remote, docker with a Dockerfile, else local."""
    if _git(folder, "remote", "get-url", "origin"):
        return "git"
    return "docker" if os.path.isfile(os.path.join(folder, "Dockerfile")) else "local"


def missing_fields(recipe: str, folder: str, fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a recipe that nobody gave and that cannot be found out, with what each means."""
    known = _values(recipe, folder, None, fields)
    return {name: text for name, text in get_recipe(recipe).fields.items() if not known.get(name.upper())}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        NotFound: there is none.
    """
    if name not in RECIPES:
        close = get_close_matches(name, RECIPES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(RECIPES)}"
        raise NotFound(f"there is no recipe {name!r}; {hint}")
    return RECIPES[name]


def init_project(
    folder: str = ".",
    recipe: str | None = None,
    name: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> list[str]:
    """Write a project's first files. What exists is never overwritten.

    Args:
        folder: where; it need not exist.
        recipe: one of RECIPES; by default the one that suits the folder.
        name: of the project; by default the folder's.
        fields: the recipe's fields.

    Returns:
        The paths that were written, relative to `folder`.

    Raises:
        NotFound: there is no such recipe.
        InvalidInput: a field is missing, unknown, or no plain word.
        StoreError: the folder cannot be written.
    """
    folder = os.path.abspath(folder)
    chosen = get_recipe(recipe or choose_recipe(folder))
    fields = fields or {}
    for given, value in fields.items():
        if given not in chosen.fields:
            known = ", ".join(chosen.fields) or "no fields"
            raise InvalidInput(f"recipe {chosen.name!r} has no field {given!r}; it has: {known}")
        if not _PLAIN.fullmatch(value):
            raise InvalidInput(f"field {given}: {value!r} holds blanks or signs that do not belong there")
    missing = missing_fields(chosen.name, folder, fields)
    if missing:
        asked = ", ".join(f"--field {key}=... ({text})" for key, text in missing.items())
        raise InvalidInput(f"recipe {chosen.name!r} needs {asked}")
    values = _values(chosen.name, folder, name, fields)
    return [path for path, text in _files(chosen.name) if _write(folder, path, _render(text, values))]


def _values(recipe: str, folder: str, name: str | None, fields: Mapping[str, str]) -> dict[str, str]:
    """What the marks in the recipe's files stand for."""
    folder = os.path.abspath(folder)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name or os.path.basename(folder)).strip("-")
    values = {"NAME": plain or "my-project"}
    if recipe == "git":
        remote = _git(folder, "remote", "get-url", "origin")
        values["REPOSITORY"] = re.sub(r"(?<=://)[^/@\s]+@", "", remote)
        values["BRANCH"] = _git(folder, "symbolic-ref", "--short", "HEAD") or "main"
    return {**values, **{key.upper(): value for key, value in fields.items()}}


def _files(recipe: str) -> Iterator[tuple[str, str]]:
    root = resources.files("runyard_templates") / "recipes"
    yield ".prefectignore", (root / "prefectignore").read_text("utf-8")
    yield from _walk(root / recipe, "")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.name.startswith("__"):
            continue
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item.read_text("utf-8")


def _render(text: str, values: Mapping[str, str]) -> str:
    return _MARK.sub(lambda match: values.get(match.group(1), match.group(0)), text)


def _write(folder: str, path: str, text: str) -> bool:
    """Write a new file; False when there is one already."""
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


def _git(folder: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
