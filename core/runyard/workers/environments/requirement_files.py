"""Reads requirement files: which packages an environment needs, and a digest of all relevant content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from runyard.base.errors import InvalidInput

AUTO = "auto"
LOCK, REQUIREMENTS, PYPROJECT = "uv.lock", "requirements.txt", "pyproject.toml"
_COMMENT = re.compile(r"(^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_EXTRAS = re.compile(r"\[[^\[\]]*\]$")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")
# Ignored in a local package's folder: build output, caches, history.
_PASSING = {".git", ".hg", ".venv", "venv", "__pycache__", "build", "dist", ".mypy_cache", ".pytest_cache"}
# The files that decide how an editable package is installed; its code is imported from its folder.
_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True)
class Wanted:
    """The requirements of an environment.

    Args:
        file: the requirements file, as the user named it.
        path: its path; the installer works in its folder.
        requirements: lines to write into a file for the installer; None: the installer reads the file itself.
        digest: the digest of everything that decides what is installed.
        needs_uv: why only uv can install it; empty if pip can.
        hashed: the requirements have hashes, so that the installer refuses packages without one.
        variables: names of environment variables that the requirements use.
        python: the Python versions that the project requires, such as `>=3.10`.
    """

    file: str
    path: str
    requirements: tuple[str, ...] | None
    digest: str
    needs_uv: str = ""
    hashed: bool = False
    variables: frozenset[str] = frozenset()
    python: str = ""


class _Digest:
    """Computes the digest of requirement files.

    Args:
        folder: the project's folder.
        lasting: the folder stays after the run, so that an environment may refer to it.
    """

    def __init__(self, folder: str, lasting: bool) -> None:
        self.folder = folder
        self.hashed = False
        self.variables: set[str] = set()
        self._lasting = lasting
        self._sum = hashlib.sha256()
        self._seen: set[str] = set()

    def add(self, label: str, data: bytes) -> None:
        """Add one item; labels and lengths separate neighbouring items."""
        self._sum.update(f"{label}\0{len(data)}\0".encode("utf-8", "surrogatepass") + data)

    def hex(self) -> str:
        """The digest of all items."""
        return self._sum.hexdigest()

    def requirements(self, path: str) -> None:
        """Add a requirements file and the files that it includes.

        Raises:
            InvalidInput: one of them cannot be read.
        """
        if os.path.realpath(path) in self._seen:
            return
        self._seen.add(os.path.realpath(path))
        data = _read(path)
        self.add("file", data)
        text = data.decode("utf-8", "replace")
        self.variables |= set(_VARIABLE.findall(text))
        for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
            line = _COMMENT.sub("", line).strip()
            if line:
                self._line(line, os.path.dirname(path))

    def _line(self, line: str, folder: str) -> None:
        self.hashed = self.hashed or "--hash" in line or line == "--require-hashes"
        option, value = _option(line)
        if option in ("-r", "--requirement", "-c", "--constraint"):
            if "://" not in value:
                self.requirements(os.path.join(folder, os.path.expanduser(value)))
        elif option in ("-e", "--editable"):
            self.package(value, folder, editable=True)
        elif not option:
            self.package(line, folder)

    def package(self, requirement: str, folder: str, editable: bool = False) -> None:
        """Add the content of a local file or folder, if a requirement names one.

        Raises:
            InvalidInput: it cannot be read, or it is editable in a folder that exists only for the run.
        """
        place = _local(requirement)
        if place is None:
            return
        # pip resolves paths from the current folder, uv from the folder of the file.
        places = [os.path.abspath(os.path.join(base, place)) for base in (self.folder, folder)]
        path = next((each for each in places if os.path.exists(each)), None)
        if path is None:
            raise InvalidInput(f"{requirement!r} names {places[0]}, which does not exist")
        if editable:
            if not self._lasting:
                raise InvalidInput(
                    f"{requirement!r} is editable, but its folder is pulled again for each run; remove -e"
                )
            self.add("editable", path.encode())
            for name in _BUILD_FILES:
                if os.path.isfile(os.path.join(path, name)):
                    self.add(name, _read(os.path.join(path, name)))
        elif os.path.isdir(path):
            self._tree(path)
        else:
            self.add("archive", _read(path))

    def _tree(self, top: str) -> None:
        for folder, names, files in os.walk(top):
            names[:] = sorted(
                name for name in names if name not in _PASSING and not name.endswith(".egg-info")
            )
            for name in sorted(files):
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    self.add(os.path.relpath(path, top), _read(path))


def find(environment: str, folder: str, lasting: bool) -> Wanted:
    """Read the requirements of a project.

    Args:
        environment: `auto`, or the path of a requirements or `pyproject.toml` file, relative to `folder`.
        folder: the project's folder.
        lasting: the folder stays after the run.

    Raises:
        InvalidInput: the file does not exist or is invalid.
    """
    folder = os.path.abspath(folder)
    digest = _Digest(folder, lasting)
    name = _found(folder) if environment == AUTO else os.path.expanduser(environment)
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise InvalidInput(f"environment: file not found: {path}")
    if os.path.basename(path) == LOCK:
        digest.add(LOCK, _read(path))
        _, _, python = _pyproject(os.path.join(os.path.dirname(path), PYPROJECT), digest)
        return Wanted(name, path, None, digest.hex(), f"only uv reads {LOCK}", hashed=True, python=python)
    if path.endswith(".toml"):
        dependencies, sources, python = _pyproject(path, digest)
        why = "only uv reads its [tool.uv.sources]" if sources else ""
        requirements = None if sources else tuple(dependencies)
        return Wanted(name, path, requirements, digest.hex(), why, python=python)
    digest.requirements(path)
    found = frozenset(digest.variables)
    return Wanted(name, path, None, digest.hex(), hashed=digest.hashed, variables=found)


def _found(folder: str) -> str:
    """The most specific requirements file of a project."""
    has = {name for name in (LOCK, REQUIREMENTS, PYPROJECT) if os.path.isfile(os.path.join(folder, name))}
    if {LOCK, PYPROJECT} <= has:
        return LOCK
    if REQUIREMENTS in has:
        return REQUIREMENTS
    if PYPROJECT in has:
        return PYPROJECT
    raise InvalidInput(
        f"environment: auto found none of {LOCK} with {PYPROJECT}, {REQUIREMENTS}, {PYPROJECT} in {folder}"
    )


def _pyproject(path: str, digest: _Digest) -> tuple[list[str], dict[str, Any], str]:
    """The dependencies of a project, their uv sources, and the Python versions that it requires."""
    import tomllib

    try:
        data = tomllib.loads(_read(path).decode("utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is invalid: {error}") from error
    project = data.get("project")
    if not isinstance(project, dict):
        raise InvalidInput(f"{path} has no [project] table; put what runs need into {REQUIREMENTS}")
    dependencies = project.get("dependencies") or []
    if "dependencies" in (project.get("dynamic") or []):
        raise InvalidInput(
            f"{path}: its dependencies are dynamic; name the file that lists them, "
            f"such as environment: {REQUIREMENTS}"
        )
    if not isinstance(dependencies, list) or not all(isinstance(each, str) for each in dependencies):
        raise InvalidInput(f"{path}: dependencies must be a list of strings")
    if any("\n" in each or "\r" in each or each.lstrip().startswith("-") for each in dependencies):
        raise InvalidInput(f"{path}: each dependency must be one requirement")
    uv = (data.get("tool") or {}).get("uv") or {}
    said = [dependencies, project.get("requires-python"), uv]
    digest.add(PYPROJECT, json.dumps(said, sort_keys=True, default=str).encode())
    folder = os.path.dirname(path)
    for each in dependencies:
        digest.package(each, folder)
    sources = uv.get("sources") or {}
    for source in sources.values():
        for one in source if isinstance(source, list) else [source]:
            if one.get("workspace"):
                digest.package(folder, folder, editable=True)
            elif "path" in one:
                digest.package(
                    os.path.join(folder, str(one["path"])), folder, editable=bool(one.get("editable"))
                )
    return dependencies, sources, str(project.get("requires-python") or "")


def _option(line: str) -> tuple[str, str]:
    """Split a line into option and value, as pip reads it; two empty strings for a requirement."""
    if not line.startswith("-"):
        return "", ""
    match = re.match(r"(--[a-z-]+|-[a-z])(?:\s*=\s*|\s*)(.*)$", line)
    if match is None:
        return line, ""
    try:
        words = shlex.split(match[2])
    except ValueError:
        words = [match[2]]
    return match[1], words[0] if words else ""


def _local(requirement: str) -> str | None:
    """The path of a requirement that names a local file or folder."""
    text = re.split(r"\s+;|\s--|;\s", requirement.strip())[0].strip()
    name, at, address = text.partition("@")
    if at and re.fullmatch(r"[A-Za-z0-9._-]+\s*(\[[^\[\]]*\])?\s*", name):
        text = address.strip()
    if text.startswith("file:"):
        return unquote(urlsplit(text).path)
    text = _EXTRAS.sub("", text)
    if "://" in text:
        return None
    if text.startswith((".", os.sep, "~")) or os.sep in text or text.endswith(_ARCHIVES):
        return os.path.expanduser(text)
    return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
