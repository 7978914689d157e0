"""`runyard secret`: values that never are on a command line, in any place where several do it at once."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from runyard.blocks.system import Secret

CLEAR = "hunter2-the-whole-secret"


def test_rotations_at_once_lose_nothing(home, program):
    key_file = home / "secret.key"
    for number in range(5):
        Secret(value=f"{CLEAR}-{number}").save(f"secret-{number}")
    before = key_file.read_text()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: program("secret", "rotate"), range(3)))
    after = key_file.read_text()
    assert before not in after
    assert len(after.split()) == 1
    assert [Secret.load(f"secret-{number}").get() for number in range(5)] == [
        f"{CLEAR}-{number}" for number in range(5)
    ]


def test_a_person_is_asked_without_echo(home):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "secret", "set", "my-key"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(os.environ),
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for _ in range(2):  # asked for once, and once more to be sure
        while not shown.endswith(b": "):
            shown += os.read(ours, 1000)
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            assert CLEAR.encode() not in file.read()
        os.write(ours, CLEAR.encode() + b"\n")
        shown += os.read(ours, 1)
    try:
        while part := os.read(ours, 1000):
            shown += part
    except OSError:
        pass  # Linux says so when the other side is closed
    assert process.wait() == 0, shown
    os.close(ours)
    assert CLEAR.encode() not in shown
    assert Secret.load("my-key").get() == CLEAR


def test_a_rotation_that_cannot_decrypt_leaves_the_key_as_it_was(home, runyard):
    Secret(value=CLEAR).save("mine")
    key = home / "secret.key"
    right = key.read_text()
    key.write_text("A" * 43 + "=\n")
    assert "another key" in runyard("secret", "rotate", code=1).err
    assert key.read_text() == "A" * 43 + "=\n"
    key.write_text(right)
    runyard("secret", "rotate")
    assert Secret.load("mine").get() == CLEAR
