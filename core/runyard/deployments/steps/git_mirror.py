"""Mirrors of repositories on this machine, from which runs take their clones.

Every run with pull steps starts in its own folder. Without a mirror, each run would fetch all its code over
the network, and a hundred runs that start together would fetch it a hundred times.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping

from runyard import settings
from runyard.base import private_files
from runyard.deployments.steps.git_program import Git, turn

FULL_ID = 40


class Mirror:
    """The bare repository of one URL, in the home folder.

    Args:
        url: the URL, without credentials.
        login: environment variables with which git authenticates.
    """

    def __init__(self, url: str, login: Mapping[str, str]) -> None:
        self._url = url
        self.folder = os.path.join(settings.home(), "git", hashlib.sha256(url.encode()).hexdigest()[:24])
        self._git = Git(self.folder, login)

    def fetch(self, branch: str | None, commit_sha: str | None) -> str:
        """Fetch a branch or commit; return the name of its reference.

        If another process fetched the same one while this process waited, use its result.

        Raises:
            RunyardError: git failed.
            OSError: the home folder cannot be written.
        """
        asked_at = time.time()
        wanted = commit_sha or branch or "HEAD"
        key = hashlib.sha256(wanted.encode()).hexdigest()[:24]
        reference, done = f"refs/runyard/{key}", os.path.join(self.folder, f"runyard-{key}")
        # git and the lock use the umask; other users must not change code that runs execute.
        private_files.make_folder(os.path.dirname(self.folder))
        with turn(self.folder):
            if not os.path.isdir(os.path.join(self.folder, "objects")):
                os.makedirs(self.folder, exist_ok=True)
                self._git("init", "--quiet", "--bare")
            if _time_of(done) >= asked_at:
                return reference
            begun_at = time.time()
            if commit_sha:
                self._git("update-ref", reference, self._commit(commit_sha))
            else:
                self._git.over_network(
                    "fetch", "--quiet", "--depth", "1", self._url, f"+{wanted}:{reference}"
                )
            with open(done, "w", encoding="utf-8"):
                os.utime(done, (begun_at, begun_at))
        return reference

    def _commit(self, commit_sha: str) -> str:
        """Fetch a commit; return its full id."""
        if len(commit_sha) >= FULL_ID:
            if not self._git.knows(commit_sha):
                self._git.over_network("fetch", "--quiet", "--depth", "1", self._url, commit_sha)
            return commit_sha
        # A server sends single commits only by their full id: fetch all of them and search.
        self._git.over_network("fetch", "--quiet", self._url, "+refs/heads/*:refs/remotes/origin/*")
        return self._git("rev-parse", "--verify", f"{commit_sha}^{{commit}}")


def _time_of(file: str) -> float:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return 0.0
