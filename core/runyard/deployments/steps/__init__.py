"""Steps of a project file: `build`, `push` and `pull` lists, and the built-in steps.

A step is any importable function. If it returns a mapping, its items are outputs for later steps.
"""

from runyard.base.errors import RunyardError
from runyard.deployments.steps import step_functions
from runyard.deployments.steps.execute import (
    Outputs,
    check_steps,
    named,
    resolve,
    run_pull_steps,
    run_step,
    run_steps,
)
from runyard.deployments.steps.step_functions import *  # noqa: F403  # every step, by its name in a file

# Prefect's name of the exception of a failed step.
StepExecutionError = RunyardError

__all__ = [
    "Outputs",
    "check_steps",
    "named",
    "resolve",
    "run_pull_steps",
    "run_step",
    "run_steps",
]
__all__ += step_functions.__all__
