"""Runs in virtual environments: made once, shared, waited for, never used half-made; failures are told."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import stat
import sys
import zipfile
from importlib import metadata

import pytest
from _yard import DEADLINE_SECONDS, a_yard, is_gone, logs_of, until
from runyard.domain import job_templates
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools.work_pools import WorkPoolUpdate, update_work_pool
from runyard.workers.environments import environment_store
from runyard.workers.environments.make_environment import find_uv

FLOWS = """
import os, sys
from runyard import flow

@flow(name="work")
def where():
    import smallthing
    print("VALUE", smallthing.VALUE, sys.prefix)
"""
# An installer that takes no time. In the folder of the project, `hold` makes it wait and `broken` fail.
UV = """#!{python}
import os, sys, time, venv
said = os.open({calls!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(said, f"{{sys.argv[1]}} {{os.getpid()}}\\n".encode())
if sys.argv[1] == "venv":
    venv.create(sys.argv[-1], symlinks=True)
    sys.exit()
while os.path.exists("hold"):
    time.sleep(0.01)
if os.path.exists("broken"):
    print("Looking in https://me:{secret}@index.test/simple")
    print("error: there is no smallthing at https://me:{secret}@index.test/simple")
    sys.exit(3)
library = os.path.join(sys.argv[sys.argv.index("--python") + 1], "..", "..", "lib")
packages = os.path.join(os.path.normpath(library), *os.listdir(os.path.normpath(library)), "site-packages")
with open(os.path.join(packages, "rest.pth"), "w") as file:
    file.write({paths!r})
with open(os.path.join(packages, "smallthing.py"), "w") as file:
    file.write("VALUE = 42\\n")
"""
SECRET = "hunter2-very-long"


def paths():
    """Where this interpreter has its packages, as lines of a .pth file."""
    return "".join(f"{path}\n" for path in sys.path if path and os.path.isdir(path))


def write_wheel(folder, name, version, files):
    """Write a wheel by hand."""
    facts = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text.encode())}\n"
        wheel.writestr(f"{facts}/RECORD", f"{record}{facts}/RECORD,,\n")


@pytest.fixture(scope="module")
def shed(tmp_path_factory):
    """A folder of wheels from which a real installer can install Runyard without a network.

    What Runyard needs is there in name only, and this interpreter's packages do the work.
    """
    folder = tmp_path_factory.mktemp("shed")
    for line in metadata.requires("runyard"):
        if "extra ==" not in line:
            name = line.partition(">")[0]
            write_wheel(folder, name.replace("-", "_"), metadata.version(name), {})
    write_wheel(folder, "smallthing", "1.0", {"smallthing.py": "VALUE = 1\n", "smallthing_rest.pth": paths()})
    return folder


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as made:
        (made.folder / "flows.py").write_text(FLOWS)
        (made.folder / "requirements.txt").write_text("smallthing\n")
        yield made


@pytest.fixture
def quick(yard, tmp_path):
    """A yard whose worker finds an installer that takes no time."""
    programs = tmp_path / "programs"
    programs.mkdir()
    yard.calls = tmp_path / "calls"
    uv = programs / "uv"
    uv.write_text(UV.format(python=sys.executable, calls=str(yard.calls), paths=paths(), secret=SECRET))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    yard.environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return yard


def start(yard, environment="auto", entrypoint="flows.py:where", **more):
    return yard.run(
        entrypoint=entrypoint, job_variables={"environment": environment, **more.pop("job", {})}, **more
    )


def lines(yard, run):
    return [record.message for record in logs_of(yard, run)]


def value(yard, run):
    """The value and the environment that a run printed."""
    yard.ended(run, "COMPLETED")
    printed = until(lambda: [line for line in lines(yard, run) if line.startswith("VALUE")], "what it prints")
    _, number, prefix = printed[0].split(" ", 2)
    return number, prefix


def calls(yard, kind):
    text = yard.calls.read_text() if yard.calls.exists() else ""
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{kind} ")]


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_run_has_the_packages_of_its_project_and_the_next_one_too(yard, shed, tmp_path, installer):
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(shed)}
    offline |= {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(shed), "UV_NO_CONFIG": "1"}
    offline |= {"PIP_CONSTRAINT": "", "UV_CACHE_DIR": str(tmp_path / "cache")}
    if installer == "uv":
        if find_uv() is None:
            pytest.skip("uv is not installed")
    else:
        without = [part for part in os.environ["PATH"].split(os.pathsep) if not os.path.exists(f"{part}/uv")]
        offline |= {"PATH": os.pathsep.join(without), "HOME": str(tmp_path)}
        if os.path.exists(os.path.join(os.path.dirname(sys.executable), "uv")):
            pytest.skip("uv is found before pip")
    first = start(yard)
    yard.worker(**offline)
    number, prefix = value(yard, first)
    assert number == "1"
    assert prefix.startswith(environment_store.home())
    assert any(line.endswith(f"of requirements.txt with {installer}") for line in lines(yard, first))
    second = start(yard)
    assert value(yard, second) == ("1", prefix)
    assert not any(line.startswith("Making") for line in lines(yard, second))


def test_runs_that_start_together_make_their_environment_once(quick):
    (quick.folder / "hold").touch()
    runs = [start(quick), start(quick)]
    quick.worker()
    until(lambda: calls(quick, "pip"), "the installer")
    until(
        lambda: [line for run in runs for line in lines(quick, run) if "waiting" in line], "the other's wait"
    )
    (quick.folder / "hold").unlink()
    assert len({value(quick, run) for run in runs}) == 1
    assert len(calls(quick, "venv")) == 1


def test_projects_of_the_same_content_share_one(quick):
    other = quick.folder / "other"
    other.mkdir()
    shutil.copy(quick.folder / "requirements.txt", other / "requirements.txt")
    first, second = start(quick), start(quick, "other/requirements.txt")
    quick.worker(limit=1)
    assert value(quick, first) == value(quick, second)


def test_a_failed_environment_is_told_and_tried_again(quick):
    (quick.folder / "broken").touch()
    run = start(quick)
    quick.worker()
    state = quick.ended(run, "CRASHED")
    assert "uv pip install ended with exit code 3: error: there is no smallthing" in state.message
    said = until(
        lambda: [line for line in lines(quick, run) if "there is no smallthing" in line], "its lines"
    )
    assert SECRET not in state.message + "".join(lines(quick, run)) + quick.said()
    assert said
    assert not environment_store.listed()
    (quick.folder / "broken").unlink()
    assert value(quick, start(quick))[0] == "42"


def test_a_cancelled_run_stops_its_installer(quick):
    (quick.folder / "hold").touch()
    run = start(quick)
    worker = quick.worker(run_once=True)
    (pid,) = until(lambda: calls(quick, "pip"), "the installer")
    cancelling = SetState(state=StateCreate(type="CANCELLING"))
    quick.client.call(set_flow_run_state, run, cancelling)
    quick.ended(run, "CANCELLED")
    until(lambda: is_gone(pid), "the end of the installer")
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert calls(quick, "pip") == [pid], "its hooks, of which nothing is known yet, have it made again"
    (quick.folder / "hold").unlink()
    quick.worker()
    assert value(quick, start(quick))[0] == "42"
    assert len([name for name in os.listdir(environment_store.home()) if "-" in name]) == 1


def test_what_a_killed_maker_left_is_never_used(quick):
    (quick.folder / "hold").touch()
    run = start(quick)
    worker = quick.worker()
    (pid,) = until(lambda: calls(quick, "pip"), "the installer")
    worker.kill()
    until(lambda: is_gone(pid), "the end of the installer")
    (left,) = [name for name in os.listdir(environment_store.home()) if "-" in name]
    (quick.folder / "hold").unlink()
    quick.worker("second")
    _, prefix = value(quick, run)
    assert os.path.basename(prefix) != left
    assert os.path.basename(prefix) in os.listdir(environment_store.home())
    assert left not in os.listdir(environment_store.home())


def test_code_is_pulled_once_and_its_files_are_found(quick, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("flows.py", "requirements.txt"):
        (quick.folder / name).rename(source / name)
    copy = f"mkdir code\ncp {source}/flows.py {source}/requirements.txt code\nmkdir {tmp_path}/pulled"
    steps = [{"run_shell_script": {"script": copy}}, {"set_working_directory": {"directory": "code"}}]
    run = start(quick, policies={"pull_steps": steps})
    quick.worker()
    assert value(quick, run)[0] == "42"


def test_a_command_finds_the_environment_first(quick):
    command = "python -c 'import smallthing, sys; print(sys.prefix)'"
    run = start(quick, job={"command": command})
    quick.worker()
    assert until(
        lambda: [line for line in lines(quick, run) if line.startswith(environment_store.home())], "its line"
    )


def test_an_environment_of_the_user_is_taken_as_it_is(quick):
    first = start(quick)
    quick.worker()
    _, prefix = value(quick, first)
    shutil.copytree(prefix, quick.folder / "own", symlinks=True)
    assert value(quick, start(quick, "own"))[1] == str(quick.folder / "own")


def test_a_pool_from_before_there_were_environments_takes_the_variable(quick):
    template = job_templates.default("process")
    del template["job_configuration"]["environment"], template["variables"]["properties"]["environment"]
    quick.client.call(update_work_pool, "pool", WorkPoolUpdate(base_job_template=template))
    run = start(quick)
    quick.worker()
    assert value(quick, run)[0] == "42"


@pytest.mark.parametrize(
    ("environment", "files", "told"),
    [
        ("auto", {}, "environment: auto found none of"),
        ("missing.txt", {}, "environment: file not found"),
        ("auto", {"pyproject.toml": "[project\n"}, "is invalid"),
        ("auto", {"pyproject.toml": "[tool.ruff]\n"}, "has no [project] table"),
        ("auto", {"pyproject.toml": '[project]\ndynamic = ["dependencies"]\n'}, "dependencies are dynamic"),
        ("auto", {"requirements.txt": "./gone\n"}, "which does not exist"),
        (
            "auto",
            {"pyproject.toml": '[project]\nrequires-python = ">=3.11,<3.11"\n'},
            "requires Python >=3.11,<3.11, and",
        ),
    ],
)
def test_files_that_say_nothing_crash_the_run_with_the_reason(quick, environment, files, told):
    (quick.folder / "requirements.txt").unlink()
    for name, text in files.items():
        (quick.folder / name).write_text(text)
    run = start(quick, environment)
    quick.worker()
    assert told in quick.ended(run, "CRASHED").message
