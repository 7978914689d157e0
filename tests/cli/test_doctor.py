"""`runyard doctor` finds what is broken."""

from __future__ import annotations

import subprocess

import pytest

FLOW = "from prefect import flow\n\n@flow\ndef my_flow():\n    pass\n"


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    (tmp_path / "a.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "my-pool", "--type", "process")
    runyard("deploy", "a.py:my_flow", "-n", "nightly", "-p", "my-pool")


def found(runyard, code=0):
    """The checks that are not ok, by name."""
    checks = runyard("doctor", "-o", "json", code=code).json
    assert {check["status"] for check in checks} <= {"ok", "warning", "problem"}
    return {check["name"]: check for check in checks if check["status"] != "ok"}


def test_all_is_well_in_a_fresh_home_and_after(runyard, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "All is well." in runyard("doctor").out
    runyard("work-pool", "create", "my-pool", "--type", "process")
    assert "is not damaged" in runyard("doctor").out


def test_runs_that_wait_for_a_worker(runyard, deployed):
    runyard("deployment", "run", "nightly")
    problem = found(runyard, code=1)["workers"]
    assert problem["command"] == "runyard worker start --pool my-pool"
    runyard("worker", "start", "--pool", "my-pool", "--run-once")
    assert found(runyard) == {}


def test_a_late_run_with_its_reason(runyard, deployed, monkeypatch):
    monkeypatch.setenv("RUNYARD_SCHEDULER_LATE_SECONDS", "0")
    runyard("work-queue", "set-concurrency-limit", "default", "0", "-p", "my-pool")
    runyard("deployment", "run", "nightly")
    assert "limit" in found(runyard, code=1)["runs"]["text"]


def test_a_missing_worker_is_said_once_and_not_of_each_of_its_late_runs(runyard, deployed, monkeypatch):
    monkeypatch.setenv("RUNYARD_SCHEDULER_LATE_SECONDS", "0")
    for _ in range(3):
        runyard("deployment", "run", "nightly")
    said = runyard("doctor", code=1).out
    assert "pool 'my-pool' has 3 waiting runs and no online worker" in said
    assert said.lower().count("online") == 1
    assert list(found(runyard, code=1)) == ["workers"]


def test_a_damaged_database(runyard, deployed, home):
    file = home / "runyard.db"
    for extra in ("runyard.db-wal", "runyard.db-shm"):
        (home / extra).unlink(missing_ok=True)
    data = bytearray(file.read_bytes())
    data[4096:] = b"x" * (len(data) - 4096)
    file.write_bytes(data)
    assert "database" in found(runyard, code=1)


@pytest.mark.parametrize(("name", "file"), [("token", "api.token"), ("profiles", "profiles.toml")])
def test_a_file_that_others_may_read(runyard, home, name, file):
    runyard("flow", "ls")
    (home / file).touch()
    (home / file).chmod(0o640)
    assert found(runyard, code=1)[name]["command"] == f"chmod 600 {home / file}"
    (home / file).chmod(0o600)
    assert name not in found(runyard)


@pytest.mark.parametrize(
    ("name", "mode"), [("runyard.db", 0o644), ("storage", 0o755), ("old backup.db", 0o640)]
)
def test_data_that_others_may_read(runyard, home, name, mode):
    runyard("flow", "ls")
    if name == "storage":
        (home / name).mkdir()
    else:
        (home / name).touch()
    (home / name).chmod(mode)
    assert "if they could enter" in found(runyard)["files"]["text"]
    home.chmod(0o755)
    told = found(runyard, code=1)["files"]
    assert str(home / name) in told["text"]
    subprocess.run(["bash", "-c", told["command"]], check=True)
    assert "files" not in found(runyard)


def test_a_database_outside_of_the_home_that_others_may_read(runyard, home, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    runyard("flow", "ls")
    (tmp_path / "other.db").chmod(0o644)
    assert str(tmp_path / "other.db") in found(runyard)["files"]["text"]


def test_a_home_that_others_may_write(runyard, home):
    runyard("flow", "ls")
    home.chmod(0o777)
    assert found(runyard, code=1)["home"]["command"] == f"chmod go-rwx {home}"


def test_a_key_that_others_may_read(runyard, home):
    home.mkdir(exist_ok=True)
    (home / "secret.key").write_text("k")
    (home / "secret.key").chmod(0o644)
    assert found(runyard, code=1)["key"]["command"].startswith("chmod 600 ")


def test_an_api_that_does_not_answer(runyard, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    assert "http://127.0.0.1:9/api" in found(runyard, code=1)["API"]["text"]
    assert list(found(runyard, code=1)) == ["API"]


def test_a_wrong_setting(runyard, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "loud")
    assert "loud" in found(runyard, code=1)["settings"]["text"]


def test_docker_is_asked_where_a_pool_needs_it(runyard, home, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    runyard("work-pool", "create", "boxes", "--type", "docker")
    assert "does not answer" in found(runyard, code=1)["Docker"]["text"]


def test_a_home_that_cannot_be_made(runyard, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / "file"))
    assert set(found(runyard, code=1)) == {"home"}
    assert "the first command makes it" not in runyard("doctor", code=1).out
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / "file" / "below"))
    assert "is not a folder" in found(runyard, code=1)["home"]["text"]


SCHEDULED = """
deployments:
  - name: nightly
    entrypoint: a.py:my_flow
    work_pool: {name: my-pool}
    schedules: [{cron: "0 6 * * *"}, {cron: "0 7 * * *"}]
"""


def test_schedules_of_a_pool_that_no_worker_serves(runyard, deployed, tmp_path):
    (tmp_path / "prefect.yaml").write_text(SCHEDULED)
    runyard("deploy", "--all")
    told = found(runyard)["workers"]
    assert told["text"].startswith("no worker serves pool 'my-pool'; 2 schedules depend on it, next due in ")
    assert told["command"] == "runyard worker start --pool my-pool"
    assert "All is well" not in runyard("doctor").out
    runyard("deployment", "run", "nightly")
    told = found(runyard, code=1)["workers"]["text"]
    assert "has 1 waiting run and no online worker; 2 schedules depend on it" in told
    runyard("worker", "start", "--pool", "my-pool", "--run-once")
    runyard("deployment", "pause", "nightly")
    assert found(runyard) == {}


def test_the_key_is_tried(runyard, home):
    from runyard.blocks.system import Secret

    Secret(value="x" * 20).save("mine")
    checks = {check["name"]: check for check in runyard("doctor", "-o", "json").json}
    assert checks["secrets"]["status"] == "ok"
    (home / "secret.key").write_text("A" * 43 + "=\n")
    assert "encrypted with another key" in found(runyard, code=1)["secrets"]["text"]
