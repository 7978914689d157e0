"""The files of the project: short enough to read, named once, and importable by their documented paths."""

from __future__ import annotations

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "runyard"
MOST_LINES = 450
ROOMS = {"base", "blocks", "client", "compat", "deployments", "domain", "engine", "operations"}
ROOMS |= {"prefect_names", "sdk", "server", "settings", "store", "workers"}
# The documented paths of `runyard` beside its rooms, and where each of them leads.
DOCUMENTED = {
    "artifacts": "sdk.artifacts",
    "cache_policies": "engine.cache_policies",
    "client_schemas.filters": "client.schemas.filters",
    "concurrency": "engine.concurrency",
    "concurrency.asyncio": "engine.concurrency.asyncio",
    "concurrency.sync": "engine.concurrency.sync",
    "context": "engine.context",
    "errors": "base.errors",
    "exceptions": "base.exceptions",
    "filesystems": "blocks.filesystems",
    "flows": "sdk.flows",
    "futures": "engine.futures",
    "input": "sdk.input",
    "logging": "engine.logging",
    "markers": "base.markers",
    "pausing": "sdk.pausing",
    "results": "engine.results.result_stores",
    "runtime": "engine.runtime",
    "schedules": "domain.schedules.specifications",
    "serializers": "engine.results.serializers",
    "states": "domain.states",
    "task_runners": "engine.task_runners",
    "task_worker": "workers.task_worker",
    "tasks": "sdk.tasks",
    "testing": "sdk.testing",
    "transactions": "engine.transactions",
    "variables": "sdk.variables",
}


def _files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _files("core", "cli", "templates", "tests", "benchmarks")
        if (lines := len(path.read_text("utf-8").splitlines())) >= MOST_LINES
    }
    assert long == {}


def test_every_file_says_what_lives_there():
    silent = [
        str(path.relative_to(ROOT))
        for path in _files("core", "cli", "templates")
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_a_file_name_is_used_once():
    names = Counter(
        path.name
        for path in CORE.rglob("*.py")
        if path.name != "__init__.py" and path.relative_to(CORE).parts[0] in ROOMS
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_beside_the_rooms_there_are_only_documented_paths():
    folders = {path.parent.relative_to(CORE).parts[0] for path in CORE.glob("*/**/*.py")}
    modules = {path.stem for path in CORE.glob("*.py")} - {"__init__", "__main__"}
    documented = {name.partition(".")[0] for name in DOCUMENTED}
    assert folders - ROOMS <= documented
    assert modules | (folders - ROOMS) == documented
    for name in DOCUMENTED:
        if (path := CORE.joinpath(*name.split(".")).with_suffix(".py")).exists():
            _docstring, *lines = ast.parse(path.read_text("utf-8")).body
            assert [type(line) for line in lines] == [ast.ImportFrom], name


@pytest.mark.parametrize(("documented", "home"), DOCUMENTED.items())
def test_a_documented_path_gives_what_its_home_has(documented, home):
    path = importlib.import_module(f"runyard.{documented}")
    room = importlib.import_module(f"runyard.{home}")
    names = getattr(room, "__all__", None) or [
        name
        for name, value in vars(room).items()
        if getattr(value, "__module__", None) == room.__name__ and name[0] != "_"
    ]
    assert names
    assert [name for name in names if getattr(path, name) is not getattr(room, name)] == []
