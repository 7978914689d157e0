"""The step git_clone: clones a repository once and updates the clone later."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from runyard.base.errors import InvalidInput, RunyardError
from runyard.deployments.steps.git_mirror import FULL_ID, Mirror
from runyard.deployments.steps.git_program import Git, logged_in, turn

_SHA = re.compile(r"[0-9a-fA-F]{4,64}")


def git_clone(
    repository: str,
    branch: str | None = None,
    commit_sha: str | None = None,
    include_submodules: bool = False,
    access_token: Any = None,
    credentials: Any = None,
    directories: Sequence[str] | None = None,
    clone_directory_name: str | None = None,
) -> dict[str, str]:
    """Clone a repository below the current directory, or update an existing clone.

    The home folder keeps fetched commits, so that all runs of this machine can reuse them. A lock file
    beside a clone lets only one run at a time use it. Failed network commands are tried three times, 1 to
    10 seconds apart.

    Args:
        repository: its URL or path.
        branch: the branch or tag to check out; default: the repository's default branch.
        commit_sha: or this commit, 4 to 64 hex digits.
        include_submodules: also clone its submodules.
        access_token: for an https URL; stored neither in the clone nor in git's command line.
        credentials: instead of it, a mapping or a saved block with a `token`, `access_token` or `password`,
            and optionally a `username`; or the token itself.
        directories: check out only these folders.
        clone_directory_name: the folder; default: the repository's name, with `-branch`.

    Returns:
        directory: the clone, relative to the current directory.

    Raises:
        InvalidInput: the options exclude each other.
        RunyardError: git is not installed, or failed.
    """
    _check(repository, branch, commit_sha, access_token, credentials)
    login, url = logged_in(repository, access_token if access_token is not None else credentials)
    target = clone_directory_name or _default_directory(url, branch)
    with turn(target):
        clone = _Clone(url, target, login)
        if not clone.is_there() or not clone.update(branch, commit_sha):
            if clone.is_there():
                shutil.rmtree(target)
            clone.make(branch, commit_sha, directories)
        if directories:
            clone.git("sparse-checkout", "set", *directories)
        clone.git("checkout", "--quiet", "--force", "FETCH_HEAD")
        if include_submodules:
            clone.git.over_network("submodule", "update", "--init", "--recursive", "--depth", "1")
    return {"directory": target}


async def agit_clone(*args: Any, **kwargs: Any) -> dict[str, str]:
    """`git_clone` for async code, in a thread."""
    import asyncio

    return await asyncio.to_thread(git_clone, *args, **kwargs)


def _check(
    repository: str, branch: str | None, commit_sha: str | None, access_token: Any, credentials: Any
) -> None:
    if branch and commit_sha:
        raise InvalidInput("give a branch or a commit_sha, not both")
    if access_token and credentials:
        raise InvalidInput("give an access_token or credentials, not both")
    if commit_sha and not _SHA.fullmatch(commit_sha):
        raise InvalidInput(f"commit_sha {commit_sha!r} is not 4 to 64 hex digits")
    for text in (repository, branch):
        if text is not None and (not text or text.startswith("-")):
            raise InvalidInput(f"invalid repository or branch {text!r}")


class _Clone:
    """A clone in a folder.

    Args:
        url: the repository's URL, without credentials.
        folder: the clone's folder.
        login: environment variables with which git authenticates.
    """

    def __init__(self, url: str, folder: str, login: Mapping[str, str]) -> None:
        self._url = url
        self._login = login
        self.git = Git(folder, login)

    def is_there(self) -> bool:
        return os.path.isdir(os.path.join(self.git.folder, ".git"))

    def make(self, branch: str | None, commit_sha: str | None, directories: Sequence[str] | None) -> None:
        os.makedirs(self.git.folder, exist_ok=True)
        self.git("init", "--quiet")
        self.git("remote", "add", "origin", self._url)
        if directories:
            self.git("sparse-checkout", "init", "--cone")
        self._fetch(branch, commit_sha)

    def update(self, branch: str | None, commit_sha: str | None) -> bool:
        """Update the clone; False if it must be cloned again."""
        try:
            self._fetch(branch, commit_sha)
        except RunyardError:
            return False
        return True

    def _fetch(self, branch: str | None, commit_sha: str | None) -> None:
        """Fetch the requested branch or commit as FETCH_HEAD."""
        if "://" in self._url or re.match(r"[^/]+@[^/]+:", self._url):
            try:
                mirror = Mirror(self._url, self._login)
                reference = mirror.fetch(branch, commit_sha)
            except OSError:
                pass  # the home folder cannot be written: fetch without a mirror
            else:
                self.git("fetch", "--quiet", "--depth", "1", mirror.folder, reference)
                return
        if commit_sha and len(commit_sha) < FULL_ID:
            self.git.over_network("fetch", "--quiet", self._url, "+refs/heads/*:refs/remotes/origin/*")
            full = self.git("rev-parse", "--verify", f"{commit_sha}^{{commit}}")
            self.git("fetch", "--quiet", ".", full)
            return
        wanted = commit_sha or branch or "HEAD"
        self.git.over_network("fetch", "--quiet", "--depth", "1", self._url, wanted)


def _default_directory(repository: str, branch: str | None) -> str:
    path = urlsplit(repository).path if "://" in repository else repository
    name = re.split(r"[/:]", path.rstrip("/"))[-1].removesuffix(".git") or "repository"
    return f"{name}-{branch.replace('/', '-')}" if branch else name
