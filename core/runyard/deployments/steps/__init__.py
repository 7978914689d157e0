"""Steps of a project file: `build`, `push` and `pull` lists, and the steps that come with Runyard.

A step is any importable function; a mapping that it returns becomes outputs for the steps after it.
"""

from runyard.deployments.steps.execute import (
    Outputs,
    check_steps,
    named,
    resolve,
    run_pull_steps,
    run_step,
    run_steps,
)
from runyard.deployments.steps.git import agit_clone, git_clone
from runyard.deployments.steps.shell import (
    pip_install_requirements,
    run_shell_script,
    set_working_directory,
)

__all__ = [
    "Outputs",
    "agit_clone",
    "check_steps",
    "git_clone",
    "named",
    "pip_install_requirements",
    "resolve",
    "run_pull_steps",
    "run_shell_script",
    "run_step",
    "run_steps",
    "set_working_directory",
]
