"""A folder for a project, and an interpreter that forgets what was loaded from it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from runyard.compat import imports


@pytest.fixture
def project_folder(tmp_path, monkeypatch, home):
    """An empty folder, the current one; modules and import paths are restored afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield folder
    imports.uninstall()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def write(project_folder):
    """Write a file of the project: `write("flows/etl.py", text)`."""

    def put(path: str, text: str) -> Path:
        file = project_folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    return put
