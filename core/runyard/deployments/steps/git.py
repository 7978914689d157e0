"""The step git_clone: a repository's code, cloned once and brought up to date afterwards."""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runyard.deployments.steps import credentials as credentials_of
from runyard.errors import InvalidInput, RunyardError

_SHA = re.compile(r"[0-9a-fA-F]{4,64}")
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_ATTEMPTS = 3
_MOST_DELAY_SECONDS = 10.0
# What a second attempt cannot cure, in the words of git and of the hosts of repositories.
_FINAL = re.compile(
    r"not found|does not exist|not appear to be a git repository|couldn't find remote ref|not our ref"
    r"|Authentication failed|Permission denied|could not read (Username|Password)|403|401|unable to find"
    r"|unknown revision|Needed a single revision|No such file",
    re.IGNORECASE,
)


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
    """Clone a repository below the current directory; an existing clone is brought up to date.

    Runs that share a directory take turns by a lock beside the clone. What a network refuses is tried three
    times, 1 to 10 seconds apart.

    Args:
        repository: its URL or path.
        branch: what to check out (a branch or a tag); by default the repository's own default.
        commit_sha: or this commit, 4 to 64 hex digits.
        include_submodules: clone its submodules too.
        access_token: for an https URL; it is neither left in the clone nor in git's command line.
        credentials: a mapping or a saved block with a `token`, `access_token` or `password`, and perhaps a
            `username`, instead; or the token itself.
        directories: only these folders of it.
        clone_directory_name: the folder; by default the repository's name, with `-branch`.

    Returns:
        directory: the clone, relative to the current directory.

    Raises:
        InvalidInput: options that exclude each other.
        RunyardError: git is not installed, or failed.
    """
    _check(repository, branch, commit_sha, access_token, credentials)
    login, url = _logged_in(repository, access_token, credentials)
    target = clone_directory_name or _default_directory(url, branch)
    with _turn(target):
        clone = _Clone(url, target, login)
        if not clone.is_there() or not clone.update(branch, commit_sha):
            if clone.is_there():
                shutil.rmtree(target)
            clone.make(branch, commit_sha, directories)
        if directories:
            clone.git("sparse-checkout", "set", *directories)
        clone.git("checkout", "--quiet", "--force", "FETCH_HEAD")
        if include_submodules:
            clone.over_network("submodule", "update", "--init", "--recursive", "--depth", "1")
    return {"directory": target}


async def agit_clone(*args: Any, **kwargs: Any) -> dict[str, str]:
    """`git_clone`, awaited on a thread."""
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
            raise InvalidInput(f"{text!r} is no repository or branch")


@contextmanager
def _turn(target: str) -> Iterator[None]:
    """Wait until no other process works on the clone."""
    import fcntl

    path = f"{target.rstrip('/')}.lock"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    # The file stays: a process that waits for it would hold a deleted one.
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Clone:
    """A clone in a folder.

    Args:
        url: without a login.
        folder: the clone's.
        login: environment variables by which git logs in.
    """

    def __init__(self, url: str, folder: str, login: Mapping[str, str]) -> None:
        self._url = url
        self._folder = folder
        # Never ask for a password: a worker has nobody to answer.
        self._environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **login}

    def is_there(self) -> bool:
        return os.path.isdir(os.path.join(self._folder, ".git"))

    def make(self, branch: str | None, commit_sha: str | None, directories: Sequence[str] | None) -> None:
        self._call("init", "--quiet", self._folder)
        self.git("remote", "add", "origin", self._url)
        if directories:
            self.git("sparse-checkout", "init", "--cone")
        self._fetch(branch, commit_sha)

    def update(self, branch: str | None, commit_sha: str | None) -> bool:
        """Bring it up to date; False where only a new clone can help."""
        try:
            self._fetch(branch, commit_sha)
        except RunyardError:
            return False
        return True

    def _fetch(self, branch: str | None, commit_sha: str | None) -> None:
        if commit_sha and len(commit_sha) < 40:
            # A server hands out single commits by their full id only: get all of them and look.
            self.over_network("fetch", "--quiet", self._url, "+refs/heads/*:refs/remotes/origin/*")
            full = self.git("rev-parse", "--verify", f"{commit_sha}^{{commit}}")
            self.git("fetch", "--quiet", ".", full)
            return
        self.over_network("fetch", "--quiet", "--depth", "1", self._url, commit_sha or branch or "HEAD")

    def over_network(self, *arguments: str) -> None:
        """Run a command that may fail by chance, up to three times."""
        delay_seconds = 1.0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.git(*arguments)
            except RunyardError as error:
                if attempt == _ATTEMPTS or _FINAL.search(str(error)):
                    raise
                print(f"{error}; trying again", file=sys.stderr, flush=True)
                # Not all at the same moment: many runs may start together.
                time.sleep(min(_MOST_DELAY_SECONDS, delay_seconds * random.uniform(1, 2)))  # noqa: S311
                delay_seconds *= 3
            else:
                return

    def git(self, *arguments: str) -> str:
        """Run a command in the clone; what it printed."""
        return self._call("-C", self._folder, *arguments)

    def _call(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", *arguments],
                env=self._environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError:
            raise RunyardError("git is not installed on this machine") from None
        if done.returncode:
            verb = arguments[2] if arguments[0] == "-C" else arguments[0]
            raise RunyardError(f"git {verb} failed: {' '.join(_LOGIN.sub('', done.stderr).split())}")
        return done.stdout.strip()


def _default_directory(repository: str, branch: str | None) -> str:
    path = repository.rstrip("/")
    name = re.split(r"[/:]", path)[-1].removesuffix(".git") or "repository"
    return f"{name}-{branch.replace('/', '-')}" if branch else name


def _logged_in(repository: str, access_token: Any, credentials: Any) -> tuple[dict[str, str], str]:
    """How git logs in, and the repository's address without its login."""
    username, token = credentials_of.login(access_token if access_token is not None else credentials)
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https"):
        if token:
            raise InvalidInput("a token is used with an https:// repository only")
        return {}, repository
    inside, _, host = parts.netloc.rpartition("@")
    url = urlunsplit(parts._replace(netloc=host))
    if not token and inside:
        name, _, word = inside.partition(":")
        # A token alone stands where a name would.
        username, token = (unquote(name), unquote(word)) if word else ("", unquote(name))
    if not token:
        return {}, url
    user = username or ("x-token-auth" if "bitbucket" in host else "oauth2")
    header = "Authorization: Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
    # By the environment, as command lines are seen by every user of the machine; and for this host alone,
    # as a submodule may be another one's.
    position = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    login = {
        "GIT_CONFIG_COUNT": str(position + 1),
        f"GIT_CONFIG_KEY_{position}": f"http.{parts.scheme}://{host}/.extraHeader",
        f"GIT_CONFIG_VALUE_{position}": header,
    }
    return login, url
