"""`worker install --systemd`: a unit that starts the worker, for whatever names there are."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.workers.systemd import unit


def printed(*arguments, code=0, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main", "worker", "install", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def value(text, name):
    return re.search(rf"^{name}=(.*)$", text, re.M)[1]


def words_of(line):
    """As systemd reads a command line: quotes and backslashes, then `%%` and `$$`."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]


def test_the_unit_starts_the_worker_of_this_installation(home):
    done = printed(
        "--systemd", "--pool", "nightly", "--limit", "3", "--work-queue", "urgent", "--name", "n 1"
    )
    words = words_of(value(done.stdout, "ExecStart"))
    assert words == [
        sys.executable, "-m", "runyard_cli.main", "worker", "start", "--pool", "nightly",
        "--name", "n 1", "--limit", "3", "--work-queue", "urgent",
    ]  # fmt: skip
    assert value(done.stdout, "Environment") == f"RUNYARD_HOME={home}"
    assert value(done.stdout, "User") == pwd.getpwuid(os.geteuid()).pw_name
    assert (value(done.stdout, "KillMode"), value(done.stdout, "TimeoutStopSec")) == ("mixed", "55")
    assert "systemctl enable --now runyard-worker" in done.stderr
    assert subprocess.run([*words, "--help"], capture_output=True, timeout=60).returncode == 0


def test_a_unit_of_a_user_and_an_address_with_a_password(home):
    done = printed("--systemd", "-p", "p", "--user", RUNYARD_API_URL="http://u:geheim@host:4200/api")
    assert value(done.stdout, "WantedBy") == "default.target"
    assert "User=" not in done.stdout
    assert "geheim" not in done.stdout + done.stderr
    assert "RUNYARD_API_URL holds a password: set it in the unit's EnvironmentFile" in done.stderr
    plain = printed("--systemd", "-p", "p", RUNYARD_API_URL="http://host:4200/api").stdout
    assert "Environment=RUNYARD_API_URL=http://host:4200/api\n" in plain


def test_what_is_missing_or_cannot_be_said(home):
    assert "--systemd" in printed("--pool", "p", code=2).stderr
    assert "--pool" in printed("--systemd", code=2, RUNYARD_DEFAULT_WORK_POOL_NAME="").stderr
    assert "cannot have '%'" in printed("--systemd", "--pool", "p", "--name", "50%", code=1).stderr
    assert "control character" in printed("--systemd", "--pool", "a\nExecStart=/bin/false", code=1).stderr


names = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1)


@given(names, names)
def test_every_word_comes_back(word, variable):
    text = unit(["/bin/x", word], "d", {"NAME": variable}, 40)
    assert words_of(value(text, "ExecStart")) == ["/bin/x", word]
    (assignment,) = shlex.split(value(text, "Environment"))
    assert assignment.replace("%%", "%") == f"NAME={variable}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_it(home, tmp_path):
    path = tmp_path / "runyard-worker.service"
    path.write_text(printed("--systemd", "--pool", 'a "b" $c %d', "--limit", "2").stdout)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60
    )
    assert "runyard-worker" not in done.stderr, done.stderr
