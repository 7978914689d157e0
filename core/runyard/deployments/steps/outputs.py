"""The outputs of each built-in step, to check before it runs whether a placeholder can be filled in."""

from __future__ import annotations

_IMAGE = ("image_name", "tag", "image", "additional_tags")
_OUTPUTS: dict[str, tuple[str, ...]] = {
    "set_working_directory": ("directory",),
    "git_clone": ("directory",),
    "agit_clone": ("directory",),
    "pull_from_remote_storage": ("directory",),
    "pull_with_block": ("directory",),
    "run_shell_script": ("stdout", "stderr"),
    "pip_install_requirements": ("stdout", "stderr"),
    "build_docker_image": (*_IMAGE, "image_id"),
    "push_docker_image": _IMAGE,
    "push_to_s3": ("bucket", "folder"),
    "pull_from_s3": ("bucket", "folder", "directory"),
    "push_to_gcs": ("bucket", "folder"),
    "pull_from_gcs": ("bucket", "folder", "directory"),
    "push_to_azure_blob_storage": ("container", "folder"),
    "pull_from_azure_blob_storage": ("container", "folder", "directory"),
}
_OURS = ("runyard.", "prefect.", "prefect_docker.", "prefect_aws.", "prefect_gcp.", "prefect_azure.")


_STEP_MODULES = (".deployments.steps.", ".projects.steps.")


# Former names of steps.
_OLD_NAMES = {"git_clone_project": "git_clone"}


def present_name(name: str) -> str:
    """The current name of a step; any other name is returned unchanged."""
    module, dot, function = name.rpartition(".")
    if function not in _OLD_NAMES or (module and not is_ours(name)):
        return name
    return f"{module}{dot}{_OLD_NAMES[function]}"


def is_ours(name: str) -> bool:
    """Whether a dotted name is, or would be, a built-in step; a name without dots always is."""
    return "." not in name or (name.startswith(_OURS) and any(part in name for part in _STEP_MODULES))


def functions() -> tuple[str, ...]:
    """The built-in steps by their own names."""
    return tuple(_OUTPUTS)


def outputs_of(name: str) -> frozenset[str] | None:
    """The outputs of a step by its dotted name; None for another function."""
    module, _, function = name.rpartition(".")
    if function not in _OUTPUTS or (module and not f"{module}.".startswith(_OURS)):
        return None
    return frozenset(_OUTPUTS[function])


def known_names() -> list[str]:
    """The built-in steps by the names that files use."""
    packages = {
        "docker_image": "prefect_docker", "s3": "prefect_aws", "gcs": "prefect_gcp",
        "azure_blob_storage": "prefect_azure",
    }  # fmt: skip
    names = []
    for function in _OUTPUTS:
        package = next((package for end, package in packages.items() if function.endswith(end)), "prefect")
        names.append(f"{package}.deployments.steps.{function}")
    return names
