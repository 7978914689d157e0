"""The names of `prefect.utilities.filesystem` that scripts use: paths and folders."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pathspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "filename",
    "filter_files",
    "is_local_path",
    "relative_path_to_current_platform",
    "tmpchdir",
    "to_display_path",
]


@contextmanager
def tmpchdir(path: str | os.PathLike[str]) -> Iterator[str]:
    """Context manager: change the current folder.

    Args:
        path: the folder, or a file in it.
    """
    folder = os.path.abspath(path)
    if os.path.isfile(folder):
        folder = os.path.dirname(folder)
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


def filter_files(
    root: str = ".",
    ignore_patterns: Iterable[str] | None = None,
    include_dirs: bool = True,
    *,
    as_posix: bool = False,
) -> set[str]:
    """The files of a folder that no pattern excludes, as relative paths.

    Args:
        ignore_patterns: in the syntax of .gitignore.
        include_dirs: also the folders.
        as_posix: with `/` on every system.
    """
    base = Path(root)
    spec = pathspec.GitIgnoreSpec.from_lines(ignore_patterns or ())
    found = set()
    for path in base.rglob("*"):
        shown = path.relative_to(base).as_posix()
        is_folder = path.is_dir() and not path.is_symlink()
        if (include_dirs or not is_folder) and not spec.match_file(f"{shown}/" if is_folder else shown):
            found.add(shown if as_posix else str(Path(shown)))
    return found


def is_local_path(path: Any) -> bool:
    """Whether a path is local, not a URL such as `s3://`."""
    text = str(path)
    return "://" not in text or text.startswith(("file://", "local://"))


def filename(path: str) -> str:
    """The last part of a path or URL."""
    return path.replace(os.sep, "/").rpartition("/")[2]


def relative_path_to_current_platform(path_str: str) -> Path:
    """Convert a relative path, written on any system, for this system."""
    return Path(PureWindowsPath(path_str).as_posix())


def to_display_path(path: str | os.PathLike[str], relative_to: str | os.PathLike[str] | None = None) -> str:
    """The shortest form of a path: relative to a folder (default: the current one), or absolute."""
    whole = Path(path).resolve()
    near = os.path.relpath(whole, Path(relative_to or ".").resolve())
    return near if len(near) < len(str(whole)) else str(whole)
