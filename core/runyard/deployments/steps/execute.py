"""Runs steps: finds each one's function, fills in its inputs, calls it, and collects its outputs."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runyard.base.errors import InvalidInput, ProjectError, RunyardError
from runyard.base.suggestions import did_you_mean
from runyard.compat import imports, module_table
from runyard.deployments.placeholders import fill_placeholders, stored_placeholders
from runyard.deployments.steps import outputs as known_steps
from runyard.deployments.steps import step_functions
from runyard.engine.effects import finish, is_coroutine

Outputs = dict[str, Any]
Step = Mapping[str, Any]
Say = Callable[[str], None]

_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def named(step: Step) -> tuple[str, dict[str, Any]]:
    """The function name and the inputs of a step.

    Raises:
        ProjectError: the step is not a mapping of one name to its inputs.
    """
    if not isinstance(step, Mapping) or len(step) != 1:
        raise ProjectError(
            f"a step must be one name with its inputs, such as git_clone: {{...}}, not {step!r}"
        )
    ((name, inputs),) = step.items()
    if inputs is not None and not isinstance(inputs, Mapping):
        raise ProjectError(f"step {name}: its inputs must be a mapping, not {inputs!r}")
    return known_steps.present_name(str(name)), {str(key): value for key, value in (inputs or {}).items()}


def check_steps(steps: Sequence[Step]) -> None:
    """Check the form of steps, without importing anything.

    Raises:
        ProjectError: one is not a mapping of one name to its inputs, or is a built-in one with unknown
            inputs.
    """
    for step in steps:
        name, inputs = named(step)
        if not known_steps.is_ours(name):
            continue
        if known_steps.outputs_of(name) is None:
            function = name.rpartition(".")[2]
            known = known_steps.functions()
            raise ProjectError(
                f"step {name} not found" + did_you_mean(function, known, f"there are: {', '.join(known)}")
            )
        _check_inputs(name, inputs)


def _check_inputs(name: str, inputs: Mapping[str, Any]) -> None:
    """Check the inputs of a built-in step: refuse unknown ones, and require the necessary ones."""
    function = getattr(step_functions, name.rpartition(".")[2])
    signature = inspect.signature(getattr(function, "__wrapped__", function))
    kinds = {each.kind for each in signature.parameters.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    given = set(inputs) - {"id", "requires"}
    unknown = sorted(given - set(signature.parameters))
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        known = list(signature.parameters)
        hint = did_you_mean(unknown[0], known, f"it has: {', '.join(known)}", cutoff=0.5)
        raise ProjectError(f"step {name} has no input {unknown[0]!r}{hint}")
    for each in signature.parameters.values():
        needed = each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        if needed and each.name not in given:
            raise ProjectError(f"step {name} needs the input {each.name!r}")


def resolve(name: str, requires: str | Sequence[str] = ()) -> Callable[..., Any]:
    """Find the function of a step by its dotted name; Prefect's names mean Runyard's functions.

    Args:
        name: such as `prefect.deployments.steps.git_clone`, or any importable function.
        requires: requirements to install if the import fails.

    Raises:
        InvalidInput: it cannot be imported or called.
    """
    imports.install(deployed=True)
    if known_steps.outputs_of(name) is not None:
        # A built-in step, under any of its names; the package in the name need not be installed.
        ours: Callable[..., Any] = getattr(step_functions, name.rpartition(".")[2])
        return ours
    module, _, function = name.rpartition(".")
    requirements = [requires] if isinstance(requires, str) else list(requires)
    for requirement in requirements:
        _require(requirement)
    try:
        home = importlib.import_module(module_table.target(module)) if module else step_functions
        found = getattr(home, function)
    except ImportError as error:
        raise InvalidInput(f"step {name} cannot be imported: {error}") from error
    except AttributeError:
        raise InvalidInput(f"step {name}: {module or 'Runyard'} has no {function!r}") from None
    if not callable(found):
        raise InvalidInput(f"step {name} is not a function")
    return found


def run_step(step: Step, outputs: Outputs) -> Outputs:
    """Run one step.

    Args:
        step: one name with its inputs; `id` names its outputs, `requires` packages to install.
        outputs: the outputs of earlier steps; the step's own are added, flat and under its id.

    Returns:
        The outputs of this step.

    Raises:
        RunyardError: the step failed; names the step and the reason.
    """
    name, inputs = named(step)
    identity = inputs.pop("id", None)
    requires = inputs.pop("requires", ())
    try:
        inputs = fill_placeholders.fill_outputs(inputs, outputs, final=True)
        inputs = fill_placeholders.fill_environment(inputs, os.environ, final=True)
    except fill_placeholders.MissingValue as error:
        place = ".".join(map(str, fill_placeholders.place_of(inputs, error.placeholder.text)))
        raise InvalidInput(f"step {name}: {place}: {error}") from None
    inputs = stored_placeholders.resolve(inputs, f"step {name}")
    function = resolve(name, requires)
    try:
        result = function(**inputs)
        if is_coroutine(result):
            result = finish(result)
    except RunyardError as error:
        raise type(error)(f"step {name}: {error}", **error.details) from error
    except Exception as error:
        raise RunyardError(f"step {name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(result, Mapping):
        return {}
    outputs.update(result)
    if identity:
        outputs[str(identity)] = dict(result)
    return dict(result)


def run_steps(
    steps: Sequence[Step], outputs: Outputs | None = None, say: Say = fill_placeholders.silent
) -> Outputs:
    """Run steps in order, each with the outputs of those before it.

    Args:
        steps: the list from the project file.
        outputs: the initial outputs, to which others are added.
        say: called with the step that runs.

    Returns:
        All outputs: by their names, and by step id.

    Raises:
        RunyardError: a step failed; later steps do not run.
    """
    outputs = {} if outputs is None else outputs
    for step in steps:
        say(f"Running {named(step)[0]}")
        run_step(step, outputs)
    return outputs


def run_pull_steps(steps: Sequence[Step]) -> str:
    """Run a deployment's pull steps in the process of its run.

    They all start in the current directory, unless `set_working_directory` changes it. An output `directory`
    is absolute for later steps. At the end, the last of these directories is the current one.

    Returns:
        The absolute path of the directory with the flow's code.

    Raises:
        RunyardError: a step failed.
    """
    outputs: Outputs = {}
    for step in steps:
        before = os.getcwd()
        made = run_step(step, outputs)
        if made.get("directory"):
            outputs["directory"] = os.path.join(before, str(made["directory"]))
            identity = named(step)[1].get("id")
            if identity:
                outputs[str(identity)]["directory"] = outputs["directory"]
    if outputs.get("directory"):
        os.chdir(outputs["directory"])
    return os.getcwd()


def folder_of(steps: Sequence[Step]) -> str | None:
    """The existing folder that the first pull step sets as the current one; None for any other step."""
    try:
        name, inputs = named(steps[0])
    except (IndexError, ProjectError):
        return None
    folder = inputs.get("directory") if name.rpartition(".")[2] == "set_working_directory" else None
    is_there = isinstance(folder, str) and os.path.isabs(folder) and os.path.isdir(folder)
    return str(folder) if is_there else None


def _require(requirement: str) -> None:
    match = _REQUIREMENT.match(requirement)
    if match is None or requirement.startswith("-"):
        raise InvalidInput(f"requires: invalid requirement {requirement!r}")
    try:
        importlib.import_module(match.group(0).replace("-", "_"))
    except ImportError:
        done = subprocess.run([sys.executable, "-m", "pip", "install", requirement], check=False)
        if done.returncode:
            raise InvalidInput(f"requires: {requirement} cannot be installed, see above") from None
        importlib.invalidate_caches()
