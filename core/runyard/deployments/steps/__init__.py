"""Steps of a project file: `build`, `push` and `pull` lists, and the built-in steps.

A step is any importable function. If it returns a mapping, its items are outputs for later steps.
"""

from runyard.base.errors import RunyardError
from runyard.deployments.steps.execute import (
    Outputs,
    check_steps,
    named,
    resolve,
    run_pull_steps,
    run_step,
    run_steps,
)
from runyard.deployments.steps.step_functions import (
    agit_clone,
    build_docker_image,
    git_clone,
    pip_install_requirements,
    pull_from_azure_blob_storage,
    pull_from_gcs,
    pull_from_remote_storage,
    pull_from_s3,
    pull_with_block,
    push_docker_image,
    push_to_azure_blob_storage,
    push_to_gcs,
    push_to_s3,
    run_shell_script,
    set_working_directory,
)

# Prefect's name of the exception of a failed step.
StepExecutionError = RunyardError

__all__ = [
    "Outputs",
    "agit_clone",
    "build_docker_image",
    "check_steps",
    "git_clone",
    "named",
    "pip_install_requirements",
    "pull_from_azure_blob_storage",
    "pull_from_gcs",
    "pull_from_remote_storage",
    "pull_from_s3",
    "pull_with_block",
    "push_docker_image",
    "push_to_azure_blob_storage",
    "push_to_gcs",
    "push_to_s3",
    "resolve",
    "run_pull_steps",
    "run_shell_script",
    "run_step",
    "run_steps",
    "set_working_directory",
]
