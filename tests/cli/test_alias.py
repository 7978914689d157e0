"""`runyard alias`: in real shells, `prefect` calls Runyard and completes like it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from runyard_cli.shared.alias_functions import SHELLS, shell_of

_RUN = {
    "bash": ["bash", "--norc", "-c"],
    "zsh": ["zsh", "-f", "-c"],
    "fish": ["fish", "--no-config", "-c"],
}
_READ = {
    "bash": 'eval "$(runyard alias bash)"',
    "zsh": 'eval "$(runyard alias zsh)"',
    "fish": "runyard alias fish | source",
}


@pytest.fixture(params=list(_RUN))
def shell(request, home, tmp_path):
    """Runs lines in a shell that has read the function; a program `prefect` stands on its path too."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "prefect").write_text("#!/bin/sh\necho another program\n")
    (programs / "runyard").write_text(f'#!/bin/sh\nexec {sys.executable} -m runyard_cli.main "$@"\n')
    for file in programs.iterdir():
        file.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def run(lines):
        done = subprocess.run(
            [*_RUN[name], f"{_READ[name]}\n{lines}"],
            env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    run.name = name
    return run


def test_prefect_is_runyard_with_all_words_and_the_exit_code(shell):
    code, out, err = shell("prefect variable set a 'c  $d' && prefect variable get a")
    assert (code, out.splitlines()[-1], err) == (0, "c  $d", "")
    code, _, err = shell("prefect variable get none")
    assert code == 1
    assert "none" in err


def test_input_goes_through(shell):
    code, out, _ = shell("echo '{\"limit\": 1}' | prefect api POST /flow_runs/filter --data -")
    assert (code, out) == (0, "[]\n")


def test_it_completes_like_runyard(shell):
    if shell.name == "zsh":
        pytest.skip("zsh completes only on a terminal")
    lines = {
        "bash": 'eval "$(runyard completion bash)"\neval "$(runyard alias bash)"\n'
        "COMP_WORDS=(prefect wor); COMP_CWORD=1; COMP_LINE='prefect wor'; COMP_POINT=11\n"
        'entry=$(complete -p prefect); entry=${entry##*-F }; "${entry%% *}" prefect wor prefect\n'
        'printf "%s\\n" "${COMPREPLY[@]}"',
        "fish": 'runyard completion fish | source\ncomplete -C "prefect wor"',
    }
    code, out, _ = shell(lines[shell.name])
    names = {line.split("\t")[0].strip() for line in out.splitlines()}
    assert (code, names) == (0, {"work-pool", "work-queue", "worker"})


def test_it_can_be_undone(shell):
    undo = {"bash": "unset -f prefect", "zsh": "unfunction prefect", "fish": "functions --erase prefect"}
    assert shell(f"{undo[shell.name]}\nprefect")[:2] == (0, "another program\n")


def test_without_a_word_it_is_the_shell_that_runs(runyard, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert runyard("alias").out == runyard("alias", "fish").out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "bash, zsh, fish, powershell" in runyard("alias", code=2).err
    monkeypatch.delenv("SHELL")
    runyard("alias", code=2)
    assert "'ksh' is not one of" in runyard("alias", "ksh", code=2).err


def test_each_shell_has_its_function(runyard):
    for shell in SHELLS:
        assert "prefect" in runyard("alias", shell).out
    assert "@args" in runyard("alias", "PowerShell").out


def test_shells_are_known_by_their_programs():
    known = {"/bin/zsh": "zsh", "C:\\Program Files\\PowerShell\\7\\pwsh.exe": "powershell", "/bin/sh": None}
    assert {path: shell_of(path) for path in known} == known
