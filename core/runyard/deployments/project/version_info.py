"""Finds the commit of a deployment's code, from the CI system or from git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.engine.flow_definition import FlowDefinition

_SHORT = 8
# The variables of CI systems: type -> variables of commit, branch, repository and URL.
_PROVIDERS: dict[str, tuple[str, str, str, str]] = {
    "vcs:github": ("GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"),
    "vcs:gitlab": ("CI_COMMIT_SHA", "CI_COMMIT_REF_NAME", "CI_PROJECT_NAME", "CI_PROJECT_URL"),
    "vcs:bitbucket": (
        "BITBUCKET_COMMIT", "BITBUCKET_BRANCH", "BITBUCKET_REPO_SLUG", "BITBUCKET_GIT_HTTP_ORIGIN",
    ),
    "vcs:azuredevops": (
        "BUILD_SOURCEVERSION", "BUILD_SOURCEBRANCHNAME", "BUILD_REPOSITORY_NAME", "BUILD_REPOSITORY_URI",
    ),
}  # fmt: skip
TYPES = ("prefect:simple", "vcs:git", *_PROVIDERS)


def find(
    folder: str, version_type: str | None = None, environment: Mapping[str, str] = os.environ
) -> dict[str, Any] | None:
    """The commit of a folder.

    Args:
        folder: of the code.
        version_type: one of TYPES; None: the first source that has one.
        environment: the environment variables of the CI system.

    Returns:
        type, version (the first 8 digits of the commit), commit_sha, branch, repository, url and, from
        git itself, message; None if unknown.
    """
    if version_type == "prefect:simple":
        return None
    for kind, (sha, branch, repository, url) in _PROVIDERS.items():
        if version_type in (None, kind) and environment.get(sha):
            return _info(
                kind,
                environment[sha],
                environment.get(branch),
                environment.get(repository),
                environment.get(url),
                None,
            )
    return _of_git(folder) if version_type in (None, "vcs:git") else None


def describe(
    flow: FlowDefinition,
    version: str | None,
    version_type: str | None,
    folder: str,
    look: Callable[[str | None], dict[str, Any] | None] | None = None,
) -> dict[str, Any]:
    """The version of a deployment, and its commit.

    Args:
        flow: its version, or a hash of its file, is the version if nothing else sets it.
        version: the given version.
        version_type: one of TYPES; the commit is the version only for a `vcs:` type, because otherwise
            every commit would change every deployment.
        folder: of the code.
        look: finds the commit by a version_type; default: in `folder`.

    Returns:
        version, and version_info if a commit is known.
    """
    info = look(version_type) if look is not None else find(folder, version_type)
    named = info["version"] if info and (version_type or "").startswith("vcs:") else None
    found = version or named or getattr(flow, "version", None) or _file_version(flow)
    if info is None:
        return {"version": found}
    return {"version": found, "version_info": {**info, "version": found or info["version"]}}


def _file_version(flow: FlowDefinition) -> str | None:
    """A version for a flow without one: it changes whenever its file does."""
    file = getattr(getattr(flow.fn, "__code__", None), "co_filename", None)
    try:
        with open(file or "", "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()[:12]
    except OSError:
        return None


def _of_git(folder: str) -> dict[str, Any] | None:
    """The commit of a folder in a repository that has a remote."""
    if not _in_repository(folder):
        return None
    url = git(folder, "remote", "get-url", "origin")
    commit = git(folder, "log", "-1", "--format=%H%n%s") if url else ""
    if not commit:
        return None
    sha, _, message = commit.partition("\n")
    branch = git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or None
    scheme, slashes, rest = url.rpartition("://")
    address = f"{scheme}{slashes}{rest.rpartition('@')[2]}" if scheme else url
    name = address.rstrip("/").removesuffix(".git").rpartition("/")[2]
    return _info("vcs:git", sha, branch, name, address, message)


def _info(
    kind: str, sha: str, branch: str | None, repository: str | None, url: str | None, message: str | None
) -> dict[str, Any]:
    said = {
        "type": kind,
        "version": sha[:_SHORT],
        "commit_sha": sha,
        "branch": branch,
        "repository": repository,
        "url": url,
        "message": message,
    }
    return {key: value for key, value in said.items() if value}


def _in_repository(folder: str) -> bool:
    """Whether a folder belongs to a repository, without starting git."""
    at = os.path.abspath(folder)
    while not os.path.exists(os.path.join(at, ".git")):
        parent = os.path.dirname(at)
        if parent == at:
            return False
        at = parent
    return True


def git(folder: str, *arguments: str) -> str:
    """The output of a git command in a folder; empty if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
