"""The program git: without prompts, without credentials in its command line, with retries."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runyard.base.errors import InvalidInput, RunyardError
from runyard.base.waits import jittered
from runyard.deployments.steps import credentials as given_credentials

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_ATTEMPTS = 3
_MOST_DELAY_SECONDS = 10.0
# Error messages of git and git servers after which a retry is useless.
_FINAL = re.compile(
    r"not found|does not exist|not appear to be a git repository|couldn't find remote ref|not our ref"
    r"|Authentication failed|Permission denied|could not read (Username|Password)|403|401|unable to find"
    r"|unknown revision|Needed a single revision|No such file",
    re.IGNORECASE,
)


class Git:
    """Git in one folder.

    Args:
        folder: the repository's folder; the repository may not exist yet.
        login: environment variables from `logged_in`, with which git authenticates.
    """

    def __init__(self, folder: str, login: Mapping[str, str]) -> None:
        self.folder = folder
        # Never prompt for a password: no user is there to enter it.
        self._environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **login}

    def __call__(self, *arguments: str) -> str:
        """Run a command in the folder; return its output.

        Raises:
            RunyardError: git is not installed, or failed; without any credentials.
        """
        try:
            done = subprocess.run(
                ["git", "-C", self.folder, *arguments],
                env=self._environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError:
            raise RunyardError("git is not installed on this machine") from None
        if done.returncode:
            raise RunyardError(f"git {arguments[0]} failed: {' '.join(_LOGIN.sub('', done.stderr).split())}")
        return done.stdout.strip()

    def knows(self, commit: str) -> bool:
        """Whether the repository has a commit, given by its full id."""
        try:
            self("cat-file", "-e", f"{commit}^{{commit}}")
        except RunyardError:
            return False
        return True

    def over_network(self, *arguments: str) -> None:
        """Run a command up to three times.

        Raises:
            RunyardError: the last failure.
        """
        delay_seconds = 1.0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self(*arguments)
            except RunyardError as error:
                if attempt == _ATTEMPTS or _FINAL.search(str(error)):
                    raise
                print(f"{error}; trying again", file=sys.stderr, flush=True)
                # Random, as many runs may start together.
                time.sleep(min(_MOST_DELAY_SECONDS, jittered(delay_seconds, 1.0, 2.0)))
                delay_seconds *= 3
            else:
                return


@contextmanager
def turn(folder: str) -> Iterator[None]:
    """Context manager: lock a folder for this process; the lock is a file beside it."""
    path = f"{folder.rstrip('/')}.lock"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    # Never delete the lock file: a waiting process would lock a deleted file.
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def logged_in(repository: str, credentials: Any) -> tuple[dict[str, str], str]:
    """The credentials of a repository for git.

    Args:
        repository: its URL, optionally with credentials.
        credentials: see `credentials.login`.

    Returns:
        Environment variables, and the URL without credentials.

    Raises:
        InvalidInput: a token for a URL other than http(s), or credentials without a token.
    """
    username, token = given_credentials.login(credentials)
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https"):
        if token:
            raise InvalidInput("a token can only be used with an https:// repository")
        return {}, repository
    inside, _, host = parts.netloc.rpartition("@")
    url = urlunsplit(parts._replace(netloc=host))
    if not token and inside:
        name, _, word = inside.partition(":")
        # A token alone takes the place of the username.
        username, token = (unquote(name), unquote(word)) if word else ("", unquote(name))
    if not token:
        return {}, url
    user = username or ("x-token-auth" if "bitbucket" in host else "oauth2")
    header = "Authorization: Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
    # In the environment, as all users of the machine can read command lines. Only for this host, as a
    # submodule may belong to another one.
    position = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    login = {
        "GIT_CONFIG_COUNT": str(position + 1),
        f"GIT_CONFIG_KEY_{position}": f"http.{parts.scheme}://{host}/.extraHeader",
        f"GIT_CONFIG_VALUE_{position}": header,
    }
    return login, url
