"""Loads a flow from its entrypoint: `path/file.py:function` or `package.module.function`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base.errors import EntrypointError
from runyard.base.suggestions import did_you_mean
from runyard.compat import imports
from runyard.engine.flow_definition import FlowDefinition
from runyard.engine.task_definition import TaskDefinition

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


_SHOWN_FRAMES = 4
_RELATIVE = re.compile(rb"^\s*from\s+\.", re.MULTILINE)
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Entrypoint(NamedTuple):
    """A parsed entrypoint: a file or else a module, and the dotted name within it."""

    file: str | None
    module: str | None
    attribute: str


def parse(entrypoint: str) -> Entrypoint:
    """Parse an entrypoint.

    Raises:
        EntrypointError: it has none of the three forms.
    """
    if ":" in entrypoint:
        place, _, attribute = entrypoint.rpartition(":")
        is_file = place.endswith(".py")
    else:
        place, _, attribute = entrypoint.rpartition(".")
        is_file = False
        if attribute == "py":
            raise EntrypointError(f"the entrypoint {entrypoint!r} names no flow; write {entrypoint}:FUNCTION")
    if not place or not attribute or (not is_file and ("/" in place or os.sep in place)):
        raise EntrypointError(
            f"invalid entrypoint {entrypoint!r}; write path/file.py:function or package.module.function"
        )
    return Entrypoint(place, None, attribute) if is_file else Entrypoint(None, place, attribute)


# The file that is being loaded, if any: its top level must not start anything then.
executing: str | None = None


def load_flow(
    entrypoint: str, directory: str | None = None, modules: dict[str, ModuleType] | None = None
) -> FlowDefinition:
    """Load a flow; `import prefect` in its code imports Runyard, as the setting `prefect_imports` says.

    Args:
        entrypoint: `path/file.py:function`, `path/file.py:Class.method`, `pkg.module.function` or
            `pkg.module:function`.
        directory: the folder to which a relative path is relative; default: the current one. It and the
            file's own folder are added to sys.path.
        modules: loaded files by absolute path; pass the same dict to load each file once for several flows.

    Raises:
        EntrypointError: the file, module or name is missing, the code fails on import, or the object is not a
            flow.
    """
    flow = _load(entrypoint, directory, modules, flows_in, "flow")
    if not isinstance(flow, FlowDefinition):
        raise EntrypointError(_not_a(entrypoint, flow, "flow"))
    return flow


def load_tasks(entrypoint: str, directory: str | None = None) -> list[TaskDefinition]:
    """The task of an entrypoint, or all tasks of a file; otherwise like `load_flow`.

    Raises:
        EntrypointError: the file, module or task does not exist, or its code fails on import.
    """
    if entrypoint.endswith(".py"):
        return _all_tasks(load_file(entrypoint, directory), entrypoint)
    task = _load(entrypoint, directory, None, tasks_in, "task")
    if not isinstance(task, TaskDefinition):
        raise EntrypointError(_not_a(entrypoint, task, "task"))
    return [task]


def load_module_tasks(name: str, directory: str | None = None) -> list[TaskDefinition]:
    """All tasks of an importable module; otherwise like `load_tasks`."""
    imports.install(deployed=True)
    return _all_tasks(_load_module(name, os.path.abspath(directory or os.getcwd())), name)


def _all_tasks(module: ModuleType, place: str) -> list[TaskDefinition]:
    found = [getattr(module, name) for name in tasks_in(module)]
    if not found:
        raise EntrypointError(f"{place} has no function decorated with @task")
    return list(dict.fromkeys(found))


def _load(
    entrypoint: str,
    directory: str | None,
    modules: dict[str, ModuleType] | None,
    names_in: Callable[[ModuleType], list[str]],
    kind: str,
) -> Any:
    """The object of an entrypoint."""
    found = parse(entrypoint)
    imports.install(deployed=True)
    base = os.path.abspath(directory or os.getcwd())
    module = _load_file(found.file, base, modules) if found.file else _load_module(found.module or "", base)
    value: Any = module
    for name in found.attribute.split("."):
        inner = getattr(value, name, None)
        if inner is None:
            raise EntrypointError(_missing_name(entrypoint, name, value, module, names_in, kind))
        value = inner
    return value


def load_object(entrypoint: str, directory: str | None = None) -> Any:
    """The object of an entrypoint, flow or not; otherwise like `load_flow`."""
    return _load(entrypoint, directory, None, flows_in, "flow")


def parameter_schema(flow: FlowDefinition) -> dict[str, Any]:
    """The JSON schema of a flow's parameters; see `schema.parameter_schema`."""
    # Imported here, because it loads pydantic, which starting a run does not need.
    from runyard.deployments import signature_schema

    return signature_schema.parameter_schema(flow.fn)


def flows_in(module: ModuleType) -> list[str]:
    """The names in a module that are flows."""
    return [name for name, value in vars(module).items() if isinstance(value, FlowDefinition)]


def tasks_in(module: ModuleType) -> list[str]:
    """The names in a module that are tasks."""
    return [name for name, value in vars(module).items() if isinstance(value, TaskDefinition)]


def load_file(path: str, directory: str | None = None) -> ModuleType:
    """Execute a Python file as a module, to select a flow in it.

    Raises:
        EntrypointError: it is missing, or fails.
    """
    imports.install(deployed=True)
    return _load_file(path, os.path.abspath(directory or os.getcwd()), None)


def file_of(path: str, base: str) -> str:
    """The absolute path of an entrypoint's file."""
    return os.path.normpath(os.path.join(base, path))


def _load_file(path: str, base: str, modules: dict[str, ModuleType] | None) -> ModuleType:
    file = file_of(path, base)
    if modules is not None and file in modules:
        return modules[file]
    if not os.path.isfile(file):
        raise EntrypointError(f"file {file} not found{_similar_file(file)}")
    _put_on_path(base)
    _put_on_path(os.path.dirname(file))
    package = _package_of(file) if _has_relative_import(file) else None
    if package:
        return _remember(modules, file, _load_module(*package))
    name = _module_name(file)
    # A leading dot means: relative to the file's own folder or the base.
    around = [os.path.dirname(file), base] if _has_relative_import(file) else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=around)
    if spec is None or spec.loader is None:
        raise EntrypointError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    replaced = sys.modules.get(name)
    sys.modules[name] = module
    global executing
    around_it, executing = executing, file
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if replaced is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = replaced
        raise EntrypointError(_import_failure(path, error, base)) from error
    finally:
        executing = around_it
    return _remember(modules, file, module)


def _remember(modules: dict[str, ModuleType] | None, file: str, module: ModuleType) -> ModuleType:
    if modules is not None:
        modules[file] = module
    return module


def _has_relative_import(file: str) -> bool:
    with open(file, "rb") as stream:
        return _RELATIVE.search(stream.read()) is not None


def _package_of(file: str) -> tuple[str, str] | None:
    """The dotted name of a file in a package, and the folder of the package; None for other files."""
    folder, name = os.path.split(os.path.splitext(file)[0])
    names = [name]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    return (".".join(names), folder) if len(names) > 1 and all(map(str.isidentifier, names)) else None


def _load_module(name: str, base: str) -> ModuleType:
    _put_on_path(base)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise EntrypointError(f"module {error.name} not found in {base} or on sys.path") from error
        raise EntrypointError(_import_failure(name, error, base)) from error
    except (Exception, SystemExit) as error:
        raise EntrypointError(_import_failure(name, error, base)) from error


def _module_name(file: str) -> str:
    """The file's own stem, so that pickles and logs show it; a new name if another module has it."""
    stem = os.path.splitext(os.path.basename(file))[0]
    existing = sys.modules.get(stem)
    same = existing is not None and getattr(existing, "__file__", None) == file
    if stem.isidentifier() and (same or (existing is None and stem not in sys.stdlib_module_names)):
        return stem
    return f"_runyard_{hashlib.sha256(file.encode()).hexdigest()[:12]}"


def _put_on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _similar_file(file: str) -> str:
    folder, name = os.path.split(file)
    try:
        names = [entry for entry in os.listdir(folder) if entry.endswith(".py")]
    except OSError:
        return f"; folder {folder} not found either"
    return did_you_mean(name, names)


def _missing_name(
    entrypoint: str,
    name: str,
    holder: Any,
    module: ModuleType,
    names_in: Callable[[ModuleType], list[str]],
    kind: str,
) -> str:
    names = names_in(module) if holder is module else [key for key in vars(holder) if key[0] != "_"]
    if holder is module:
        hint = (
            f"its {kind}s are: {', '.join(names)}" if names else f"it has no function decorated with @{kind}"
        )
    else:
        hint = f"it has: {', '.join(names) or 'nothing'}"
    return f"entrypoint {entrypoint}: {name!r} not found{did_you_mean(name, names, hint, cutoff=0.5)}"


def _not_a(entrypoint: str, value: Any, kind: str) -> str:
    found = type(value)
    if found.__name__ == kind.capitalize() and found.__module__.startswith("prefect"):
        return (
            f"entrypoint {entrypoint} is a {kind} of the installed Prefect, not of Runyard; unset "
            f"RUNYARD_PREFECT_IMPORTS, or write `from runyard import {kind}`"
        )
    what = "a function" if found.__name__ == "function" else f"a {found.__name__}"
    return f"entrypoint {entrypoint} is {what}, not a {kind}; decorate it with @{kind}"


def _import_failure(place: str, error: BaseException, base: str) -> str:
    """One line with the problem, then the user's own frames of the traceback."""
    problem = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    lines = [f"{place} fails on import: {problem}"]
    hint = imports.explain(error)
    if hint:
        lines[0] += f" ({hint})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", _OURS))
    ]
    for frame in frames[-_SHOWN_FRAMES:]:
        lines.append(f"  {_relative(frame.filename, base)}:{frame.lineno} in {frame.name}: {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        text = (error.text or "").strip()
        lines.append(f"  {_relative(error.filename, base)}:{error.lineno}: {text}")
    return "\n".join(lines)


def _relative(file: str, base: str) -> str:
    return os.path.relpath(file, base) if file.startswith(base + os.sep) else file
