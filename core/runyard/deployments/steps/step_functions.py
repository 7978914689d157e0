"""The steps that come with Runyard, by the names of their functions."""

from runyard.deployments.steps.docker_steps import build_docker_image, push_docker_image
from runyard.deployments.steps.git import agit_clone, git_clone
from runyard.deployments.steps.object_store import (
    pull_from_azure_blob_storage,
    pull_from_gcs,
    pull_from_remote_storage,
    pull_from_s3,
    pull_with_block,
    push_to_azure_blob_storage,
    push_to_gcs,
    push_to_s3,
)
from runyard.deployments.steps.shell import (
    pip_install_requirements,
    run_shell_script,
    set_working_directory,
)

__all__ = [
    "agit_clone",
    "build_docker_image",
    "git_clone",
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
    "run_shell_script",
    "set_working_directory",
]
