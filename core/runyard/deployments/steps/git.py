"""The step git_clone: a repository's code, cloned once and brought up to date afterwards."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from runyard.errors import InvalidInput, RunyardError

_SHA = re.compile(r"[0-9a-fA-F]{4,64}")
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def git_clone(
    repository: str,
    branch: str | None = None,
    commit_sha: str | None = None,
    include_submodules: bool = False,
    access_token: str | None = None,
    credentials: Mapping[str, Any] | None = None,
    directories: Sequence[str] | None = None,
    clone_directory_name: str | None = None,
) -> dict[str, str]:
    """Clone a repository below the current directory; an existing clone is brought up to date.

    Args:
        repository: its URL or path.
        branch: what to check out (a branch or a tag); by default the repository's own default.
        commit_sha: or this commit, 4 to 64 hex digits.
        include_submodules: clone its submodules too.
        access_token: for an https URL; it is not left in the clone.
        credentials: a mapping with a `token`, and perhaps a `username`, instead.
        directories: only these folders of it.
        clone_directory_name: the folder; by default the repository's name, with `-branch`.

    Returns:
        directory: the clone, relative to the current directory.

    Raises:
        InvalidInput: options that exclude each other.
        RunyardError: git is not installed, or failed.
    """
    _check(repository, branch, commit_sha, access_token, credentials)
    url = _with_login(repository, access_token, credentials)
    target = clone_directory_name or _default_directory(repository, branch)
    if not os.path.isdir(os.path.join(target, ".git")) or not _update(url, target, branch, commit_sha):
        if os.path.isdir(os.path.join(target, ".git")):
            shutil.rmtree(target)
        _clone(url, repository, target, branch, commit_sha, directories)
    if directories:
        _git("sparse-checkout", "set", *directories, folder=target)
    _git("checkout", "--quiet", "--force", "FETCH_HEAD", folder=target)
    if include_submodules:
        _git("submodule", "update", "--init", "--recursive", "--depth", "1", folder=target)
    return {"directory": target}


async def agit_clone(*args: Any, **kwargs: Any) -> dict[str, str]:
    """`git_clone`, awaited on a thread."""
    import asyncio

    return await asyncio.to_thread(git_clone, *args, **kwargs)


def _check(
    repository: str,
    branch: str | None,
    commit_sha: str | None,
    access_token: str | None,
    credentials: Mapping[str, Any] | None,
) -> None:
    if branch and commit_sha:
        raise InvalidInput("give a branch or a commit_sha, not both")
    if access_token and credentials:
        raise InvalidInput("give an access_token or credentials, not both")
    if commit_sha and not _SHA.fullmatch(commit_sha):
        raise InvalidInput(f"commit_sha {commit_sha!r} is not 4 to 64 hex digits")
    for text in (repository, branch):
        if text is not None and (not text or text.startswith("-")):
            raise InvalidInput(f"{text!r} is no repository or branch")


def _clone(
    url: str,
    repository: str,
    target: str,
    branch: str | None,
    commit_sha: str | None,
    directories: Sequence[str] | None,
) -> None:
    _git("init", "--quiet", target)
    # The address is kept without its login, so that no token stays on the disk.
    _git("remote", "add", "origin", repository, folder=target)
    if directories:
        _git("sparse-checkout", "init", "--cone", folder=target)
    _fetch(url, target, branch, commit_sha)


def _update(url: str, target: str, branch: str | None, commit_sha: str | None) -> bool:
    """Bring an existing clone up to date; False where only a new clone can help."""
    try:
        _fetch(url, target, branch, commit_sha)
    except RunyardError:
        return False
    return True


def _fetch(url: str, target: str, branch: str | None, commit_sha: str | None) -> None:
    wanted = commit_sha or branch or "HEAD"
    if commit_sha and len(commit_sha) < 40:
        # A server hands out single commits by their full id only: get all of them and look.
        _git("fetch", "--quiet", url, "+refs/heads/*:refs/remotes/origin/*", folder=target)
        full = _git("rev-parse", "--verify", f"{commit_sha}^{{commit}}", folder=target)
        _git("fetch", "--quiet", ".", full, folder=target)
        return
    _git("fetch", "--quiet", "--depth", "1", url, wanted, folder=target)


def _default_directory(repository: str, branch: str | None) -> str:
    path = repository.rstrip("/")
    name = re.split(r"[/:]", path)[-1].removesuffix(".git") or "repository"
    return f"{name}-{branch.replace('/', '-')}" if branch else name


def _with_login(repository: str, access_token: str | None, credentials: Mapping[str, Any] | None) -> str:
    token = access_token or (credentials or {}).get("token") or (credentials or {}).get("password")
    if not token:
        return repository
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https"):
        raise InvalidInput("a token is used with an https:// repository only")
    user = str((credentials or {}).get("username") or "")
    if not user:
        user = "x-token-auth" if "bitbucket" in parts.netloc else "oauth2"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(str(token), safe='')}@{host}"))


def _git(*arguments: str, folder: str | None = None) -> str:
    # Never ask for a password: a worker has nobody to answer.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *(("-C", folder) if folder else ()), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError:
        raise RunyardError("git is not installed on this machine") from None
    if done.returncode:
        reason = " ".join(_LOGIN.sub("", done.stderr).split())
        raise RunyardError(f"git {arguments[0]} failed: {reason}")
    return done.stdout.strip()
