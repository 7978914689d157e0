"""Runyard itself as it is installed here, for the environments of runs: the same version as the worker's.

Its installed files are put together as a wheel again. So it needs neither a network nor a build, an
installation from a checkout (editable) stays one, and the installer sees which versions Runyard needs beside
those that the project asks for.
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
# Of the folder of facts: what an installer wrote about itself, not about the package.
_INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json")


class Installation:
    """The distribution that this process runs.

    Raises:
        RunyardError: it was not installed by an installer of packages.
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
            raise RunyardError("Runyard's installation has no list of its files (RECORD); install it again")
        return [file for file in files if _belongs(file)]

    def digest(self) -> str:
        """Of what is installed, by the hashes that its installer wrote down."""
        lines = sorted(f"{file}:{file.hash.value if file.hash else ''}" for file in self._files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def write_wheel(self, folder: str) -> str:
        """Write the wheel into a folder; its path.

        Raises:
            OSError: it cannot be written, or a file of the installation cannot be read.
        """
        path = os.path.join(folder, f"{NAME}-{self.version}-py3-none-any.whl")
        facts = next(file.parts[0] for file in self._files if file.name == "METADATA")
        record = []
        # Stored as it is: the wheel lives for some seconds.
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
    """Whether an installed file is one of the package: its programs are made anew."""
    parts = file.parts
    if ".." in parts or "__pycache__" in parts or file.is_absolute():
        return False
    return not (len(parts) > 1 and parts[0].endswith(".dist-info") and parts[-1] in _INSTALLERS)
