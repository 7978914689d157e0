"""Imports point downwards between the floors, and no file grows beyond what one can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "runyard"
MOST_LINES = 450

# A room of `core/runyard`, or a module in its root, and the floor it stands on.
FLOORS = {
    **dict.fromkeys(
        ("clock", "descriptors", "encryption", "errors", "ids", "redaction", "settings", "url_passwords"), 0
    ),
    **dict.fromkeys(("machine", "state_details", "states", "subscripts", "texts", "waits"), 0),
    **dict.fromkeys(("api_token", "private_files", "profiles", "settings_sources", "settings_table"), 0),
    "quoting": 0,
    "scratch": 0,
    "settings_values": 0,
    "callers": 0,
    "compat": 0,  # it names our modules as text, for the programs it imports them into
    "store": 1,
    "operations": 2,
    "orchestration": 2,
    "client": 3,
    "engine": 4,
    "workers": 5,
    "deployments": 5,
    "prefect_names": 5,
    "server": 6,
    "__main__": 7,
}
ENGINE = 4  # flows.py, tasks.py and the other modules of the SDK belong to the engine
# Lazy public names: these import what stands above them only when somebody asks for it.
PUBLIC = {"runyard", "runyard.deployments", "runyard.runtime"}
# `flow.serve()`, `flow.deploy()` and the like are methods of a flow and work of the floor above, as
# `state.result()` is of a state: these methods import it, when they are called.
FACADES = {
    "runyard.states": {"runyard.engine.effects", "runyard.results"},
    "runyard.flows": {
        "runyard.deployments",
        "runyard.deployments.from_source",
        "runyard.deployments.loading",
        "runyard.deployments.options",
        "runyard.deployments.runner",
        "runyard.deployments.serving",
        "runyard.prefect_names",
    },
    # Where no server is set, a worker of containers serves the API to its own runs.
    "runyard.workers.job_worker": {"runyard.server.run_api", "runyard.server.run_tokens"},
}


def _files() -> list[Path]:
    return sorted(path for path in CORE.rglob("*.py") if "__pycache__" not in path.parts)


def _module(path: Path) -> str:
    parts = path.relative_to(CORE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _floor(module: str) -> int | None:
    """The floor of a module of ours; None for `runyard` itself, which holds only lazy names."""
    parts = module.split(".")
    return FLOORS.get(parts[1], ENGINE) if len(parts) > 1 else None


def _imported(path: Path) -> list[tuple[int, str]]:
    """Every import in a file, also those inside functions and for type checkers: line and module."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            source = node.module or ""
            # `from runyard import clock` imports a module, not a name of the package.
            names = [f"{source}.{alias.name}" for alias in node.names] if source == "runyard" else [source]
            found.extend((node.lineno, name) for name in names)
    return [(line, name) for line, name in found if name.split(".")[0] == "runyard"]


@pytest.mark.parametrize("path", _files(), ids=_module)
def test_imports_point_downwards(path):
    module = _module(path)
    floor = _floor(module)
    if module in PUBLIC or floor is None:
        pytest.skip("holds only lazy public names")
    upwards = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in _imported(path)
        if (_floor(name) or 0) > floor and name not in FACADES.get(module, ())
    ]
    assert upwards == []


def test_the_rules_are_pure():
    above = ("runyard.store", "runyard.operations", "runyard.client", "sqlite3", "psycopg", "httpx")
    impure = [
        f"{path.name}:{node.lineno}"
        for path in (CORE / "orchestration").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.startswith(above)
    ]
    assert impure == []


def test_the_engine_knows_neither_workers_nor_server():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files()
        if _floor(_module(path)) == ENGINE
        for line, name in _imported(path)
        if name.startswith(("runyard.workers", "runyard.server"))
    ]
    assert wrong == []


def test_the_library_does_not_know_the_commands():
    wrong = [
        str(path.relative_to(ROOT))
        for path in _files()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runyard_cli")
    ]
    assert wrong == []


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("core", "cli", "templates", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) >= MOST_LINES
    }
    assert long == {}


def test_every_file_says_what_lives_there():
    silent = [
        str(path.relative_to(ROOT))
        for folder in ("core", "cli", "templates")
        for path in (ROOT / folder).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []
