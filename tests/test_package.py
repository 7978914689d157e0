"""The package: its version, what is installed with it, and how it is started."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import runyard
from runyard.store import migrate

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_is_the_same_everywhere():
    assert runyard.__version__ == PROJECT["project"]["version"] == metadata.version("runyard")


def test_types_and_data_files_are_in_the_packages_of_the_wheel():
    packages = [
        ROOT / package for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ]
    assert [package.name for package in packages] == ["runyard", "runyard_cli", "runyard_templates"]
    assert (ROOT / "core/runyard/py.typed").is_file()
    assert resources.files("runyard").joinpath("py.typed").is_file()
    assert resources.files("runyard_templates").joinpath("recipes/parts/head.yaml").is_file()
    assert resources.files("runyard").joinpath("store/migrations/0001_initial.sql").is_file()


def test_the_console_script_is_the_command_line():
    scripts = {entry.name: entry.value for entry in metadata.entry_points(group="console_scripts")}
    assert scripts["runyard"] == "runyard_cli.main:main"


def test_latest_is_the_newest_migration():
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "core/runyard/store/migrations").glob("*.sql"))
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == migrate.LATEST


def test_python_m_runyard_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "runyard", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deploy" in done.stdout


def test_what_the_makefile_and_the_readme_need_is_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("test", "lint", "types", "demo", "bench"):
        assert f"\n{target}:" in makefile
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
