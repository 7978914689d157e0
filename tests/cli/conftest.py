"""Typing commands: `runyard` in this process, which is fast, or as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from runyard.client import LocalClient
from runyard_cli.main import main


class Answer:
    """What a command printed and how it ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        """Its output, read as JSON."""
        return json.loads(self.out)


@pytest.fixture
def runyard(home, capsys, monkeypatch):
    """Runs a command line in this process; fails unless it ends with `code`."""

    def type_(*arguments, code=0):
        monkeypatch.delenv("RUNYARD_DEBUG", raising=False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        answer = Answer(ended.value.code, printed.out, printed.err)
        assert answer.code == code, f"exit {answer.code}\n{answer.out}\n{answer.err}"
        return answer

    return type_


@pytest.fixture
def program(home):
    """Runs a command line as a process of its own."""

    def start(*arguments, code=0, **fields):
        done = subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            timeout=180,
            **fields,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Answer(done.returncode, done.stdout, done.stderr)

    return start


@pytest.fixture
def store(home):
    """A client on the database that the commands use."""
    return LocalClient()


FLOW = '''
from prefect import flow

@flow
def my_etl_flow(date: str = None, size: int = 1):
    """Daily ETL flow"""
'''


@pytest.fixture
def project(tmp_path, monkeypatch, runyard):
    """A folder with flows/etl.py; write its prefect.yaml by calling it with the deployments."""
    folder = tmp_path / "project"
    (folder / "flows").mkdir(parents=True)
    (folder / "flows" / "etl.py").write_text(FLOW)
    monkeypatch.chdir(folder)
    runyard("work-pool", "create", "pool", "--type", "process")

    def write(*deployments, file="prefect.yaml", **more):
        entries = [
            {"entrypoint": "flows/etl.py:my_etl_flow", "work_pool": {"name": "pool"}, **each}
            for each in deployments
        ]
        (folder / file).write_text(yaml.safe_dump({"name": "mine", **more, "deployments": entries}))

    write.folder = folder
    return write
