"""Sources of a flow's code: a git repository, a folder, an object store, a block."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from runyard.base.errors import InvalidInput
from runyard.blocks.object_files import is_object_url
from runyard.deployments.placeholders.fill_placeholders import looks_secret
from runyard.deployments.steps.credentials import plain
from runyard.deployments.steps.git import git_clone
from runyard.deployments.steps.object_store import fetch

_GIT_HOST = re.compile(r"^(git@|ssh://|git://|git\+)")


class RunnerStorage(Protocol):
    """A source of code."""

    def pull_code(self, folder: str) -> str:
        """Fetch the code below `folder`; return its folder."""
        ...

    def to_pull_step(self) -> dict[str, Any]:
        """The pull step with which a run fetches the code."""
        ...


class GitRepository:
    """Code in a git repository.

    Args:
        url: its URL or path.
        credentials: for an https URL: a mapping with `access_token` (text, or a saved Secret) and optionally
            `username`, or a saved credentials block.
        name: the folder to clone into; default: the repository's name.
        branch: a branch or tag; default: the repository's default branch.
        commit_sha: or this commit.
        include_submodules: also clone its submodules.
        pull_interval: accepted for compatibility; every run gets the newest code.
        directories: fetch only these folders.

    Raises:
        InvalidInput: both a branch and a commit, or a username without a token.
    """

    def __init__(
        self,
        url: str,
        credentials: Any = None,
        name: str | None = None,
        branch: str | None = None,
        commit_sha: str | None = None,
        include_submodules: bool = False,
        pull_interval: int | None = 60,
        directories: list[str] | None = None,
    ) -> None:
        if branch and commit_sha:
            raise InvalidInput("give a branch or a commit_sha, not both")
        told = credentials if isinstance(credentials, dict) else {}
        if told.get("username") and not (told.get("access_token") or told.get("password")):
            raise InvalidInput("credentials with a username need an access_token too")
        self.url = url.removeprefix("git+")
        self.credentials = credentials
        self.name = name
        self.branch = branch
        self.commit_sha = commit_sha
        self.include_submodules = include_submodules
        self.pull_interval = pull_interval
        self.directories = directories

    def pull_code(self, folder: str) -> str:
        """Clone the repository below `folder`, or update an existing clone; return the clone's folder.

        Raises:
            RunyardError: git failed.
        """
        name = self.name or _name_of(self.url)
        target = os.path.join(folder, name)
        git_clone(**self._options(), credentials=self.credentials, clone_directory_name=target)
        return target

    def to_pull_step(self) -> dict[str, Any]:
        """The step `git_clone`.

        Raises:
            InvalidInput: the token is plain text, which would be stored with the deployment.
        """
        options = {key: value for key, value in self._options().items() if value}
        if self.name:
            options["clone_directory_name"] = self.name
        if self.credentials is not None:
            options["credentials"] = _reference(self.credentials)
        return {"prefect.deployments.steps.git_clone": options}

    def _options(self) -> dict[str, Any]:
        return {
            "repository": self.url,
            "branch": self.branch,
            "commit_sha": self.commit_sha,
            "include_submodules": self.include_submodules,
            "directories": self.directories,
        }

    def __repr__(self) -> str:
        return f"GitRepository(url={self.url!r}, branch={self.branch!r})"


class LocalStorage:
    """Code in a folder of this machine.

    Args:
        path: the folder.
        pull_interval: accepted for compatibility.
    """

    def __init__(self, path: str | Path, pull_interval: int | None = None) -> None:
        self.path = os.path.abspath(os.path.expanduser(str(path)))
        self.pull_interval = pull_interval

    def pull_code(self, folder: str) -> str:
        """The folder itself.

        Raises:
            InvalidInput: it does not exist.
        """
        if not os.path.isdir(self.path):
            raise InvalidInput(f"folder {self.path} not found")
        return self.path

    def to_pull_step(self) -> dict[str, Any]:
        """The step `set_working_directory`."""
        return {"prefect.deployments.steps.set_working_directory": {"directory": self.path}}

    def __repr__(self) -> str:
        return f"LocalStorage(path={self.path!r})"


class RemoteStorage:
    """Code in an object store.

    Args:
        url: such as `s3://bucket/folder`.
        pull_interval: accepted for compatibility; every run gets the newest code.
        settings: options of the store, such as `region` or `endpoint`; secrets as saved blocks.

        Raises:
            InvalidInput: unknown kind of store.
    """

    def __init__(self, url: str, pull_interval: int | None = 60, **settings: Any) -> None:
        scheme, separator, _ = url.partition("://")
        if not separator or scheme in ("http", "https"):
            raise InvalidInput(f"{url} is not a supported object store URL such as s3://bucket/folder")
        self.url = url.rstrip("/")
        self.pull_interval = pull_interval
        self.settings = settings

    def pull_code(self, folder: str) -> str:
        """Copy the code below `folder`; return its folder.

        Raises:
            RunyardError: it cannot be read, or is empty.
        """
        # Only remote storage needs it (100 ms, with pydantic).
        from runyard.blocks.filesystems import RemoteFileSystem

        known = {name: plain(value) for name, value in self.settings.items()}
        target = os.path.join(folder, _name_of(self.url))
        fetch(RemoteFileSystem(basepath=self.url, settings=known), "", target, self.url)
        return target

    def to_pull_step(self) -> dict[str, Any]:
        """The step `pull_from_remote_storage`.

        Raises:
            InvalidInput: a secret is plain text, which would be stored with the deployment.
        """
        kept = {}
        for name, value in self.settings.items():
            if isinstance(value, str | int | bool):
                _refuse_plain(name, value)
                kept[name] = value
            else:
                kept[name] = _placeholder(value)
        return {"prefect.deployments.steps.pull_from_remote_storage": {"url": self.url, **kept}}

    def __repr__(self) -> str:
        return f"RemoteStorage(url={self.url!r})"


class BlockStorageAdapter:
    """Code in a saved filesystem block.

    Args:
        block: saved, with `get_directory`.
        pull_interval: accepted for compatibility.

    Raises:
        InvalidInput: it contains no files.
    """

    def __init__(self, block: Any, pull_interval: int | None = 60) -> None:
        if not hasattr(block, "get_directory"):
            raise InvalidInput(f"a block of type {type(block).__name__} contains no files to pull")
        self.block = block
        self.pull_interval = pull_interval

    def pull_code(self, folder: str) -> str:
        """Copy the code below `folder`; return its folder."""
        target = os.path.join(folder, type(self.block).__name__)
        fetch(self.block, "", target, repr(self))
        return target

    def to_pull_step(self) -> dict[str, Any]:
        """The step `pull_with_block`.

        Raises:
            InvalidInput: the block is not saved.
        """
        # prefect.blocks.TYPE.NAME
        _, _, kind, name = _placeholder(self.block).strip("{} ").split(".", 3)
        step = {"block_document_name": name, "block_type_slug": kind}
        return {"prefect.deployments.steps.pull_with_block": step}

    def __repr__(self) -> str:
        return f"a block of type {type(self.block).__name__}"


def storage_of(source: Any) -> RunnerStorage:
    """The storage of a source.

    Args:
        source: a git URL, an object store URL, a path, a storage or a saved block.

    Raises:
        InvalidInput: it is none of these.
    """
    if hasattr(source, "pull_code") and hasattr(source, "to_pull_step"):
        found: RunnerStorage = source
        return found
    if hasattr(source, "get_directory"):
        return BlockStorageAdapter(source)
    if isinstance(source, Path):
        return LocalStorage(source)
    if not isinstance(source, str):
        raise InvalidInput(f"invalid source of code {source!r}; use a git URL, a folder or a storage")
    parts = urlsplit(source)
    if parts.path.endswith(".git") or _GIT_HOST.match(source):
        return GitRepository(source)
    if parts.scheme in ("file", "local"):
        return LocalStorage(source.split("://", 1)[1])
    if "://" not in source:
        return LocalStorage(source)
    if is_object_url(source):
        return RemoteStorage(source)
    raise InvalidInput(
        f"unsupported source of code {source}; use a URL that ends in .git, one such as s3://bucket/folder, "
        "or a folder"
    )


def create_storage_from_source(source: Any, pull_interval: int | None = 60) -> RunnerStorage:
    """Like `storage_of`; `pull_interval` is accepted for compatibility."""
    return storage_of(source)


def _name_of(url: str) -> str:
    return re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git") or "repository"


def _reference(credentials: Any) -> Any:
    """Credentials as a deployment stores them: by the names of saved blocks."""
    if not isinstance(credentials, dict):
        return _placeholder(credentials)
    kept = {}
    for key, value in credentials.items():
        secret = key in ("access_token", "token", "password")
        _refuse_plain(key, value)
        kept["token" if secret else key] = value if isinstance(value, str) else _placeholder(value)
    return kept


def _refuse_plain(key: str, value: Any) -> None:
    """Refuse a secret as plain text, because the deployment would store it."""
    if isinstance(value, str) and looks_secret(key) and not value.strip().startswith("{{"):
        raise InvalidInput(
            f"the {key} would be stored with the deployment as plain text; save it with "
            "`runyard secret set NAME` and pass Secret.load(NAME), or '{{ prefect.blocks.secret.NAME }}'"
        )


def _placeholder(block: Any) -> str:
    if not hasattr(block, "get_block_placeholder"):
        raise InvalidInput(f"{type(block).__name__} is not a saved block; save it and load it by its name")
    return f"{{{{ {block.get_block_placeholder()} }}}}"
