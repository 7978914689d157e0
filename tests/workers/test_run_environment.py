"""What a run's own process does to its output, its descriptors and its environment."""

from __future__ import annotations

import os

import pytest
from _yard import DEADLINE_SECONDS, a_yard, logs_of, until
from runyard.base.redaction import STARS
from runyard.blocks.system import Secret

CLEAR = 's3cret "quoted" é/+'

FLOWS = """
import base64, json, logging, os, subprocess, sys, threading, urllib.parse
from runyard import flow, get_run_logger
from runyard.variables import Variable
from runyard.blocks.system import Secret

@flow(name="work")
def tells():
    text, pin = Secret.load("key").get(), Secret.load("pin").get()
    data = text.encode()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("other").warning("basic %s", text)
    sys.stdout.buffer.write(b"buffer " + data + b"\\n"); sys.stdout.buffer.flush()
    os.write(1, b"first " + data[:5])
    os.write(1, data[5:] + b"\\n")
    print("original", text, file=sys.__stderr__, flush=True)
    subprocess.run([sys.executable, "-c", "import sys; print('child', sys.argv[1])", text])
    print(repr(text), json.dumps(text), urllib.parse.quote(text), base64.b64encode(data).decode())
    print("pin", pin, {"pin": pin}, flush=True)
    get_run_logger().info("json %s", json.dumps({"text": text}))

    def fail():
        raise RuntimeError(f"thread {text}")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    raise ValueError(f"refused: {text}")

@flow(name="work")
def closes(reads: bool):
    if reads:
        Variable.get("anything", None)
    print("before", flush=True)
    os.closerange(3, 4096)
    files = [os.open("mine", os.O_RDWR | os.O_CREAT) for _ in range(40)]
    get_run_logger().info("after")
    assert os.stat("mine").st_size == 0, open("mine").read()
"""


WHICH = """
from runyard import flow
import stale

@flow(name="work")
def which():
    print("version", stale.VERSION)
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "more.py").write_text(FLOWS)
        yield yard


@pytest.mark.parametrize("variables", [{}, {"env": {"PYTHONHASHSEED": "1"}}], ids=["forked", "executed"])
def test_a_secret_shows_nowhere_whatever_wrote_it(yard, variables):
    Secret(value=CLEAR).save("key")
    Secret(value=987654).save("pin")
    run = yard.run(entrypoint="more.py:tells", job_variables=variables)
    worker = yard.worker(run_once=True)
    assert worker.wait(DEADLINE_SECONDS) == 0
    state = yard.ended(run, "FAILED")
    assert state.message.endswith(f"refused: {STARS}")
    kept = "\n".join(log.message for log in logs_of(yard, run))
    for text in (kept, yard.said()):
        for word in ("basic", "buffer", "first", "original", "child", "thread"):
            assert f"{word} {STARS}" in text, word
        assert f"'{STARS}' \"{STARS}\" {STARS} {STARS}" in text
        assert f"pin {STARS} {{'pin': {STARS}}}" in text
        for part in ("s3cret", "quoted", "987654", "czNjcmV0"):
            assert part not in text


@pytest.mark.parametrize(
    "env",
    [
        {"RUNYARD_HOME": "elsewhere"},
        {"RUNYARD_DATABASE_URL": "sqlite:///other.db"},
        {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
        {"RUNYARD_HOME": "elsewhere", "PYTHONHASHSEED": "1"},
    ],
    ids=lambda env: "+".join(env),
)
def test_a_run_that_looks_for_itself_in_another_place_crashes_and_says_so(yard, env):
    run = yard.run(job_variables={"env": env})
    assert yard.worker(run_once=True).wait(DEADLINE_SECONDS) == 0
    state = yard.ended(run, "CRASHED")
    assert "could not begin" in state.message
    assert "runyard.db" in state.message
    assert yard.notes() == []
    assert yard.leases() == []
    others = [*yard.folder.rglob("elsewhere"), *yard.folder.rglob("other.db")]
    assert others == [], "it left a database there"


def test_a_run_gets_the_packages_that_were_installed_before_it(yard, tmp_path):
    folder = tmp_path / "site-packages"
    (folder / "stale-1.dist-info").mkdir(parents=True)
    # As what a launcher loads for its runs.
    (folder / "sitecustomize.py").write_text("import stale\n")
    (folder / "stale.py").write_text("VERSION = 1\n")
    (yard.folder / "which.py").write_text(WHICH)
    path = os.pathsep.join((str(folder), *filter(None, [os.environ.get("PYTHONPATH")])))
    yard.worker(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    for version in (1, 2):
        (folder / "stale.py").write_text(f"VERSION = {version}\n")
        if version == 2:
            (folder / "stale-1.dist-info").rename(folder / "stale-2.dist-info")
        run = yard.run(entrypoint="which.py:which")
        yard.ended(run, "COMPLETED")
        said = f"version {version}"
        until(lambda run=run, said=said: said in [log.message for log in logs_of(yard, run)], said)
    assert "Installed packages have changed" in yard.said()


@pytest.mark.parametrize("reads", [True, False])
def test_a_run_that_closes_its_descriptors_ends_and_writes_into_no_file_of_its_own(yard, reads):
    run = yard.run(entrypoint="more.py:closes", reads=reads)
    yard.worker()
    if reads:  # it had a connection
        yard.ended(run, "CRASHED")
        said = "closed its own connection"
        until(lambda: any(said in log.message for log in logs_of(yard, run)), "the log")
    else:
        yard.ended(run, "COMPLETED")
    assert (yard.folder / "mine").stat().st_size == 0
