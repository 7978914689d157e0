"""Builds a wheel of the installed Runyard for the environments of runs, so that they use the same version.

The wheel contains the installed files. So this needs no network and no build, an editable installation stays
editable, and the installer resolves Runyard's dependencies together with those of the project.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from functools import cached_property
from importlib import metadata

from runyard.base.errors import RunyardError

NAME = "runyard"
# Files in `.dist-info` that describe the installation, not the package.
_INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json")


class Installation:
    """The installed distribution that this process runs.

    Raises:
        RunyardError: Runyard was not installed as a package.
    """

    def __init__(self) -> None:
        try:
            self._distribution = metadata.distribution(NAME)
        except metadata.PackageNotFoundError as error:
            raise RunyardError(
                "environments need Runyard to be installed as a package where the worker runs: "
                "pip install runyard"
            ) from error
        self.version = self._distribution.version

    @cached_property
    def _files(self) -> list[metadata.PackagePath]:
        files = self._distribution.files
        if not files:
            raise RunyardError("Runyard's installation has no list of its files (RECORD); reinstall it")
        return [file for file in files if _belongs(file)]

    def digest(self) -> str:
        """A digest of the installed files, computed from the hashes that the installer recorded."""
        lines = sorted(f"{file}:{file.hash.value if file.hash else ''}" for file in self._files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def write_wheel(self, folder: str) -> str:
        """Write the wheel into a folder; return its path.

        Raises:
            OSError: it cannot be written, or an installed file cannot be read.
        """
        path = os.path.join(folder, f"{NAME}-{self.version}-py3-none-any.whl")
        facts = next(file.parts[0] for file in self._files if file.name == "METADATA")
        record = []
        # Not compressed: the wheel is used only for some seconds.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as wheel:
            for file in self._files:
                data = file.read_binary()
                wheel.writestr(zipfile.ZipInfo(file.as_posix()), data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                record.append(f"{file.as_posix()},sha256={digest},{len(data)}")
            record.append(f"{facts}/RECORD,,")
            wheel.writestr(zipfile.ZipInfo(f"{facts}/RECORD"), "\n".join(record) + "\n")
        return path


def _belongs(file: metadata.PackagePath) -> bool:
    """Whether an installed file belongs into the wheel; the installer recreates scripts."""
    parts = file.parts
    if ".." in parts or "__pycache__" in parts or file.is_absolute():
        return False
    return not (len(parts) > 1 and parts[0].endswith(".dist-info") and parts[-1] in _INSTALLERS)
