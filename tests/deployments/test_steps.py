"""Steps: finding them, their inputs and outputs, and those that come along."""

from __future__ import annotations

import os

import pytest
from runyard.base.errors import InvalidInput, ProjectError, RunyardError
from runyard.deployments import steps


@pytest.mark.parametrize(
    "name",
    [
        "prefect.deployments.steps.run_shell_script",
        "prefect.deployments.steps.utility.run_shell_script",
        "prefect.projects.steps.run_shell_script",
        "runyard.deployments.steps.run_shell_script",
        "run_shell_script",
    ],
)
def test_the_steps_that_come_along_are_found_by_every_name(project_folder, name):
    assert steps.resolve(name) is steps.run_shell_script


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module.step", "cannot be imported"),
        ("os.no_such_function", "os has no 'no_such_function'"),
        ("os.sep", "is not a function"),
    ],
)
def test_a_step_that_cannot_be_found(project_folder, name, message):
    with pytest.raises(InvalidInput, match=message):
        steps.resolve(name)


@pytest.mark.parametrize("step", [{}, {"a": {}, "b": {}}, "a", {"a": [1]}])
def test_malformed_steps(step):
    with pytest.raises(ProjectError):
        steps.check_steps([step])


def test_outputs_flow_from_step_to_step_flat_and_by_id(write, monkeypatch):
    write("my_steps.py", "def make(**given):\n    return given\n\nasync def later(x):\n    return {'y': x}\n")
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setenv("WHO", "env")
    outputs = steps.run_steps(
        [
            {"my_steps.make": {"id": "first", "items": [1, 2]}},
            {"my_steps.make": {"copy": "{{ first.items }}", "who": "{{ $WHO }}"}},
            {"my_steps.later": {"x": "{{ copy[1] }}"}},
        ]
    )
    assert outputs == {"items": [1, 2], "first": {"items": [1, 2]}, "copy": [1, 2], "who": "env", "y": 2}


def test_a_result_that_is_no_mapping_is_no_output(project_folder):
    assert steps.run_steps([{"os.getcwd": None}]) == {}


def test_a_step_that_raises_is_named(project_folder):
    with pytest.raises(RunyardError, match=r"step os.listdir failed: FileNotFoundError"):
        steps.run_steps([{"os.listdir": {"path": "/no/such/folder"}}])


def test_stored_objects_that_are_missing_say_what_to_type(project_folder):
    with pytest.raises(ProjectError, match=r"step os.getcwd: .*runyard secret set x"):
        steps.run_steps([{"os.getcwd": {"x": "{{ prefect.blocks.secret.x }}"}}])


def test_pull_steps_lead_to_the_directory(write, project_folder):
    write("inner/deeper/flow.py", "")
    found = steps.run_pull_steps(
        [
            {"prefect.deployments.steps.set_working_directory": {"directory": "inner"}},
            {"set_working_directory": {"directory": "deeper"}},
            {"run_shell_script": {"script": "pwd", "stream_output": False}},
        ]
    )
    assert found == str(project_folder / "inner" / "deeper") == os.getcwd()


# As git_clone: a folder below the current one, put out by its relative name.
FETCHING = """
import os

def fetch(name):
    os.makedirs(f"{name}/inner")
    with open(f"{name}/file.txt", "w") as file:
        file.write(name)
    return {"directory": name}
"""


@pytest.mark.parametrize("second", ["{{ code.directory }}", "{{ directory }}", "code"])
def test_what_a_pull_step_puts_out_leads_there_from_those_after_it(
    write, project_folder, monkeypatch, second
):
    write("fetching.py", FETCHING)
    monkeypatch.syspath_prepend(str(project_folder))
    found = steps.run_pull_steps(
        [
            {"fetching.fetch": {"id": "code", "name": "code"}},
            {"run_shell_script": {"script": "cat file.txt", "directory": second, "stream_output": False}},
            {"set_working_directory": {"directory": f"{second}/inner"}},
            {"run_shell_script": {"script": "cat {{ code.directory }}/file.txt", "stream_output": False}},
        ]
    )
    assert found == str(project_folder / "code" / "inner") == os.getcwd()


def test_clones_stand_side_by_side_and_the_last_one_is_where_the_run_starts(
    write, project_folder, monkeypatch
):
    write("fetching.py", FETCHING)
    monkeypatch.syspath_prepend(str(project_folder))
    found = steps.run_pull_steps(
        [{"fetching.fetch": {"name": "first"}}, {"fetching.fetch": {"name": "second"}}]
    )
    assert found == str(project_folder / "second") == os.getcwd()
    assert (project_folder / "first" / "file.txt").exists()


def test_a_missing_working_directory(project_folder):
    with pytest.raises(InvalidInput, match=r"directory .*nowhere not found"):
        steps.set_working_directory("nowhere")


def test_a_script_runs_line_by_line(project_folder, capfd):
    script = "# a comment\n\nsh -c 'echo out'\nsh -c 'echo err >&2'\n"
    assert steps.run_shell_script(script) == {"stdout": "out", "stderr": "err"}
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("out\n", "err\n")
    steps.run_shell_script(script, stream_output=False)
    assert capfd.readouterr().out == ""


def test_a_script_has_an_environment_a_directory_and_perhaps_a_shell(write, project_folder):
    write("sub/x", "")

    def out(script: str, **options) -> str:
        return steps.run_shell_script(script, stream_output=False, **options)["stdout"]

    assert out("ls", directory="sub") == "x"
    assert out("echo $NAME", env={"NAME": "n"}) == "$NAME"
    assert out("echo $NAME", env={"NAME": "n"}, expand_env_vars=True) == "n"
    assert out("for i in 1 2; do echo $i; done | tail -1", shell=True) == "2"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sh -c 'echo why >&2; exit 3'", "exit code 3: why"),
        ("no-such-command --x", "cannot run: No such file"),
    ],
)
def test_a_failing_command_says_why(project_folder, script, message):
    with pytest.raises(RunyardError, match=message):
        steps.run_shell_script(script, stream_output=False)


def test_later_lines_do_not_run_after_a_failure(project_folder):
    with pytest.raises(RunyardError):
        steps.run_shell_script("false\ntouch late", stream_output=False)
    assert not (project_folder / "late").exists()


def test_missing_requirements(project_folder):
    with pytest.raises(InvalidInput, match=r"requirements\.txt"):
        steps.pip_install_requirements()
