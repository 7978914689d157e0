"""`import prefect` gives Runyard's own modules, where the setting wants it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runyard.base.errors import SettingError
from runyard.compat import imports, module_table


@pytest.fixture
def hook(home):
    """The import hook, and `prefect` forgotten before and after."""
    imports.uninstall()
    yield imports
    imports.uninstall()


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    "name", [name for name, ours in module_table.MODULES.items() if _exists(ours) and name != "prefect"]
)
def test_a_module_of_prefect_is_ours_and_no_copy(hook, name):
    assert hook.install(deployed=True)
    ours = importlib.import_module(module_table.MODULES[name])
    before = ours.__spec__
    assert importlib.import_module(name) is ours
    assert ours.__spec__ is before
    assert ours.__name__ == module_table.MODULES[name]


def test_every_name_in_the_table_leads_somewhere():
    assert {ours for ours in module_table.MODULES.values() if not _exists(ours)} == set()


def test_the_forms_of_import(hook):
    hook.install(deployed=True)
    names: dict = {}
    exec("import prefect\nimport prefect.futures as f\nfrom prefect import flow", names)
    exec("from prefect.flows import Flow", names)
    import runyard
    import runyard.engine.futures

    # A front: what is imported below `prefect` must not land in `runyard`.
    assert names["prefect"].flow is runyard.flow
    assert set(names["prefect"].__all__) == set(runyard.__all__)
    assert names["f"].as_completed is runyard.engine.futures.as_completed
    assert names["flow"] is runyard.flow
    assert names["Flow"] is runyard.Flow


def test_an_unknown_module_says_what_to_use(hook):
    hook.install(deployed=True)
    with pytest.raises(ModuleNotFoundError, match=r"no prefect\.agent: .*runyard worker start"):
        importlib.import_module("prefect.agent")
    with pytest.raises(ModuleNotFoundError, match=r"no prefect\.server\.api: .*runyard server start"):
        importlib.import_module("prefect.server.api")
    with pytest.raises(ModuleNotFoundError, match=r"no prefect\.quite_unknown; "):
        importlib.import_module("prefect.quite_unknown")


def test_an_unknown_name_says_what_to_use(hook):
    hook.install(deployed=True)
    with pytest.raises(ImportError) as caught:
        exec("from prefect.filesystems import SMB")
    assert "mount the share" in (hook.explain(caught.value) or "")
    assert hook.explain(ImportError("No module named 'pandas'")) is None


def test_other_modules_are_left_alone(hook):
    hook.install(deployed=True)
    assert imports.Finder().find_spec("prefect_aws") is None
    with pytest.raises(ModuleNotFoundError, match="No module named 'prefect_no_such'"):
        importlib.import_module("prefect_no_such")


def test_installing_twice_is_installing_once(hook):
    assert hook.install(deployed=True)
    assert hook.install()
    assert sum(isinstance(finder, imports.Finder) for finder in sys.meta_path) == 1


@pytest.mark.parametrize(
    ("setting", "deployed", "real", "expected"),
    [
        ("auto", False, False, True),
        ("auto", False, True, False),
        ("auto", True, True, True),
        ("always", False, True, True),
        ("never", True, False, False),
    ],
)
def test_the_setting_decides_where_the_real_prefect_is_installed(
    hook, monkeypatch, tmp_path, setting, deployed, real, expected
):
    if real:
        (tmp_path / "prefect.py").write_text("flow = 'the real one'\n")
        monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RUNYARD_PREFECT_IMPORTS", setting)
    assert hook.install(deployed=deployed) is expected
    if real:
        flow = importlib.import_module("prefect").flow
        assert (flow == "the real one") is not expected
        sys.modules.pop("prefect", None)


def test_a_wrong_setting_is_refused(hook, monkeypatch):
    monkeypatch.setenv("RUNYARD_PREFECT_IMPORTS", "sometimes")
    with pytest.raises(SettingError, match="always, never, auto"):
        hook.install()


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runyard", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_python_m_runyard_runs_a_script(home, tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    (tmp_path / "script.py").write_text(
        "import sys, pickle\nfrom beside import WORD\nfrom prefect import flow\nimport prefect\n"
        "class Thing: pass\n"
        "if __name__ == '__main__':\n"
        "    pickle.loads(pickle.dumps(Thing()))\n"
        "    print(prefect.__name__, WORD, sys.argv, __file__)\n"
    )
    done = _run(tmp_path, "script.py", "--x", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"prefect beside ['script.py', '--x', '1'] {tmp_path / 'script.py'}\n"


@pytest.mark.parametrize("future", [False, True])
def test_only_a_scripts_own_future_statements_hold_in_it(home, tmp_path, future):
    (tmp_path / "program.py").write_text(
        ("from __future__ import annotations\n" if future else "")
        + """
from prefect import flow
from pydantic import BaseModel

def make():
    class Size(BaseModel):
        width: int

    @flow
    def fit(size: Size):
        return type(size).__name__

    return fit

fit = make()
print(fit.fn.__annotations__["size"].__class__.__name__, fit.fn.__code__.co_flags >> 20 & 0xF)
"""
    )
    plain = subprocess.run(
        [sys.executable, "-c", "import sys; from runyard.compat import imports; imports.install();"
         "import runpy; runpy.run_path('program.py', run_name='__main__')"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    ours = _run(tmp_path, "program.py")
    assert ours.returncode == 0, ours.stderr
    assert ours.stdout == plain.stdout
    assert ours.stdout.startswith("str" if future else "ModelMetaclass")


def test_python_m_runyard_runs_a_module(home, tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__main__.py").write_text(
        "import sys\nfrom beside import WORD\nfrom prefect import flow\n"
        "if __name__ == '__main__':\n"
        "    print(flow.__module__, WORD, sys.argv[1:])\n"
    )
    done = _run(tmp_path, "-m", "tool", "-x", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "runyard.sdk.flows beside ['-x', '1']\n"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_tests_written_for_prefect_run(home, tmp_path, workers):
    (tmp_path / "conftest.py").write_text("from prefect.logging import get_run_logger\n")
    (tmp_path / "test_flows.py").write_text(
        "from prefect import flow\n"
        "from prefect.testing.utilities import prefect_test_harness\n"
        "@flow\ndef answer():\n    return 42\n"
        "def test_answer():\n    with prefect_test_harness():\n        assert answer() == 42\n"
    )
    done = _pytest(tmp_path, *workers)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_tests_may_be_kept_from_it_by_the_setting(home, tmp_path, monkeypatch):
    (tmp_path / "test_flows.py").write_text("import prefect\n")
    monkeypatch.setenv("RUNYARD_PREFECT_IMPORTS", "never")
    assert "No module named 'prefect'" in _pytest(tmp_path).stdout
    monkeypatch.setenv("RUNYARD_PREFECT_IMPORTS", "sometimes")
    done = _pytest(tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: RUNYARD_PREFECT_IMPORTS='sometimes' is not one of always, never, auto" in done.stderr


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nowhere"], "Error: module nowhere not found in this Python or in "),
        (["-m", "nowhere.at_all"], "Error: module nowhere.at_all not found in this"),
        (["-m"], "Error: -m wants the name of a module, as in: python -m runyard -m pytest tests/"),
    ],
)
def test_a_missing_module_is_one_line(home, tmp_path, arguments, message):
    done = _run(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_missing_script_is_one_line(home, tmp_path):
    done = _run(tmp_path, "missing.py")
    assert (done.returncode, done.stderr) == (
        1,
        "Error: file missing.py not found\n",
    )


def test_a_scripts_missing_name_comes_with_advice(home, tmp_path):
    (tmp_path / "script.py").write_text("from prefect.filesystems import SMB\n")
    done = _run(tmp_path, "script.py")
    assert done.returncode == 1
    assert "mount the share and use its path" in done.stderr


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("from prefect_shell import ShellOperation", "call subprocess from a task"),
        ("from prefect_aws.s3 import S3Bucket", "call the provider's own library from a task"),
    ],
)
def test_an_integration_that_is_missing_comes_with_advice(home, tmp_path, line, hint):
    (tmp_path / "script.py").write_text(f"{line}\n")
    done = _run(tmp_path, "script.py")
    assert done.returncode == 1
    assert "an integration of Prefect, which Runyard does not have" in done.stderr
    assert hint in done.stderr


def test_a_package_of_ones_own_is_not_called_an_integration(home, tmp_path):
    (tmp_path / "script.py").write_text("import prefect_unheard_of\n")
    done = _run(tmp_path, "script.py")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'prefect_unheard_of'"


def test_a_folder_named_prefect_is_not_taken_for_it(home, tmp_path):
    (tmp_path / "prefect").mkdir()
    (tmp_path / "script.py").write_text("from prefect import flow\nprint(flow.__module__)\n")
    assert _run(tmp_path, "script.py").stdout == "runyard.sdk.flows\n"


EVERY_NAME = """
import sys
from importlib import import_module
from types import ModuleType
from runyard.compat.module_table import MODULES

wrong = []
# Modules that are names of others on purpose, such as `from prefect import states`.
homes = {*MODULES.values(), *(f"runyard.{name}" for name in ("deployments", "runtime", "states"))}
ours = {name: home for name, home in MODULES.items() if not name.startswith("prefect_")}
modules = {name: import_module(home) for name, home in ours.items()}
for theirs, module in modules.items():
    for name in getattr(module, "__all__", ()):
        values = [getattr(module, name) for _ in range(2)]
        is_module = isinstance(values[0], ModuleType) and values[0].__name__ not in homes
        if values[0] is not values[1] or is_module:
            wrong.append(f"{theirs}.{name}")
print(wrong)
"""


def test_a_name_is_the_same_each_time_and_no_module_of_that_name(home):
    """A late name of a package would be hidden by a submodule called the same, once that is imported."""
    done = subprocess.run([sys.executable, "-c", EVERY_NAME], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "module", ["prefect", "prefect.deployments", "prefect.deployments.flow_runs", "runyard.deployments"]
)
def test_run_deployment_is_the_function(home, module):
    program = f"from runyard.compat import imports; imports.install(); from {module} import run_deployment"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; run_deployment('no/such')"],
        env={**os.environ, "RUNYARD_PREFECT_IMPORTS": "always"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-1].startswith("runyard.base.errors.NotFound: "), done.stderr
