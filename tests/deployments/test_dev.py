"""Development sessions: their pool, the copies of deployments in it, and the files that are watched."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from runyard.base.errors import EntrypointError, NotFound, RunyardError
from runyard.client import LocalClient
from runyard.deployments.dev import dev_pool
from runyard.deployments.dev.copies import Wanted, deploy_copies
from runyard.deployments.dev.deploy_process import DeployProcess
from runyard.deployments.dev.saved_files import SavedFiles
from runyard.operations.deployments.deployments import DeploymentFlowRunCreate, filter_deployments
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.flow_runs import filter_flow_runs
from runyard.operations.schemas import Listing
from runyard.operations.work_pools.list_work_pools import list_work_pools
from runyard.operations.work_pools.work_pools import (
    WorkPoolCreate,
    WorkPoolUpdate,
    create_work_pool,
    update_work_pool,
)

FLOWS = '''\
from prefect import flow

@flow
def etl(size: int = 1):
    """Load a day."""

@flow
def report(month: str):
    pass
'''
PROJECT = """\
name: mine
build:
- prefect.deployments.steps.run_shell_script: {id: sha, script: "touch built"}
pull:
- prefect.deployments.steps.git_clone: {repository: "https://example.invalid/r.git"}
deployments:
- name: daily
  entrypoint: flows.py:etl
  version: "{{ sha.stdout }}"
  parameters: {size: 3}
  schedules: [{cron: "0 6 * * *"}]
  work_pool: {name: boxes, job_variables: {image: "i", env: {MODE: test}}}
- name: weekly
  entrypoint: flows.py:report
"""


def deployments(client):
    return {each.name: each for each in client.call(filter_deployments, Listing())}


def test_copies_run_the_code_of_the_folder(client, write, project_folder):
    write("flows.py", FLOWS)
    write("prefect.yaml", PROJECT)
    pool = dev_pool.open_pool(client)
    copied = deploy_copies(client, Wanted(pool, "prefect.yaml"))
    assert [(each.name, each.action, each.needs) for each in copied.copies] == [
        ("etl/daily-dev", "created", []),
        ("report/weekly-dev", "created", ["month"]),
    ]
    assert copied.warnings == ["deployment daily: left out, as only build steps tell it: version"]
    daily = deployments(client)["daily-dev"]
    assert (daily.work_pool_name, daily.path, daily.pull_steps) == ("dev", str(project_folder), None)
    assert (daily.parameters, daily.schedules) == ({"size": 3}, [])
    assert daily.job_variables == {"env": {"MODE": "test"}}
    assert not os.path.exists("built")
    again = deploy_copies(client, Wanted(pool, "prefect.yaml", names=["weekly"]))
    assert [(each.name, each.action) for each in again.copies] == [("report/weekly-dev", "unchanged")]
    deploy_copies(client, Wanted(pool, "prefect.yaml", schedules=True))
    assert [each.schedule.cron for each in deployments(client)["daily-dev"].schedules] == ["0 6 * * *"]


def test_flows_without_a_file(client, write):
    write("jobs/flows.py", FLOWS)
    pool = dev_pool.open_pool(client)

    def names(entrypoint=None, *names):
        wanted = Wanted(pool, "prefect.yaml", entrypoint, list(names))
        return [each.name for each in deploy_copies(client, wanted).copies]

    assert names() == ["etl/etl-dev", "report/report-dev"]
    assert names("jobs/flows.py") == ["etl/etl-dev", "report/report-dev"]
    assert names("./jobs/flows.py:report") == ["report/report-dev"]
    assert names(None, "etl") == ["etl/etl-dev"]
    with pytest.raises(NotFound, match="no flow 'etll' found here; did you mean 'etl'"):
        names(None, "etll")
    with pytest.raises(NotFound, match=r"no flow found in none\.py"):
        names("none.py")


def test_without_flows_it_says_what_to_do(client, project_folder):
    with pytest.raises(NotFound, match="runyard init"):
        deploy_copies(client, Wanted(dev_pool.open_pool(client), "prefect.yaml"))


def test_broken_code_changes_nothing(client, write):
    write("flows.py", FLOWS)
    write("prefect.yaml", PROJECT)
    pool = dev_pool.open_pool(client)
    deploy_copies(client, Wanted(pool, "prefect.yaml"))
    write("flows.py", FLOWS.replace("size: int = 1", "size: int ="))
    with pytest.raises(EntrypointError, match=r"flows\.py"):
        deploy_copies(client, Wanted(pool, "prefect.yaml"))
    assert sorted(deployments(client)) == ["daily-dev", "weekly-dev"]


def test_a_session_leaves_nothing(client, write):
    write("flows.py", FLOWS)
    write("prefect.yaml", PROJECT)
    first, second = dev_pool.open_pool(client), dev_pool.open_pool(client)
    assert (first, second) == ("dev", "dev-2")
    deploy_copies(client, Wanted(first, "prefect.yaml"))
    deploy_copies(client, Wanted(second, "prefect.yaml"))
    for name in ("weekly-dev", "weekly-dev-2"):
        client.call(
            create_flow_run_from_deployment,
            deployments(client)[name].id,
            DeploymentFlowRunCreate(parameters={"month": "1"}),
        )
    dev_pool.discard_pool(client, first)
    assert [pool["name"] for pool in client.call(list_work_pools)] == ["dev-2"]
    assert sorted(deployments(client)) == ["daily-dev-2", "weekly-dev-2"]
    assert len(client.call(filter_flow_runs, Listing())) == 1
    dev_pool.discard_pool(client, first)  # once more is fine


def test_what_a_killed_session_left_is_deleted(client):
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    pool = dev_pool.open_pool(client)
    (own,) = client.call(list_work_pools)
    client.call(create_work_pool, WorkPoolCreate(name="mine", type="process", description="dev"))
    said = []
    dev_pool.discard_left(client, said.append)
    assert said == []  # this process is alive
    theirs = own["description"].replace(f"process {os.getpid()} ", f"process {ended.pid} ")
    client.call(update_work_pool, pool, WorkPoolUpdate(description=theirs + ".elsewhere"))
    dev_pool.discard_left(client, said.append)
    assert said == []  # another machine
    client.call(update_work_pool, pool, WorkPoolUpdate(description=theirs))
    dev_pool.discard_left(client, said.append)
    assert said == ["Deleted pool 'dev', which a killed session had left."]
    assert [each["name"] for each in client.call(list_work_pools)] == ["mine"]


def test_a_deploy_is_a_process_of_its_own(write, capfd):
    client = LocalClient()
    pool = dev_pool.open_pool(client)
    write("flows.py", "print('loaded')\n" + FLOWS)
    write("inspect.py", "raise SystemExit('not the standard library')\n")
    wanted = Wanted(pool, "prefect.yaml")
    copied = DeployProcess(wanted).wait()
    assert [each.name for each in copied.copies] == ["etl/etl-dev", "report/report-dev"]
    assert capfd.readouterr() == ("", "loaded\n")
    write("flows.py", "import os\nos._exit(7)\n" + FLOWS)
    with pytest.raises(RunyardError, match="exit code 7"):
        DeployProcess(wanted).wait()
    write("flows.py", "from prefect import flow\n@flow\ndef etl(:\n")
    with pytest.raises(RunyardError):
        DeployProcess(wanted).wait()


def test_saved_files_are_noticed_once(write):
    write("flows/etl.py", FLOWS)
    write("prefect.yaml", PROJECT)
    write("env/pyvenv.cfg", "")
    write("env/lib.py", "")
    files = SavedFiles("prefect.yaml")

    def changed():
        files._next_look = 0.0
        return files.changed()

    assert changed() == []
    write("prefect.yaml", PROJECT + "\n")
    write("flows/new.py", FLOWS)
    write("env/lib.py", "changed")
    assert changed() == ["flows/new.py", "prefect.yaml"]
    assert changed() == []
    os.remove("flows/new.py")
    assert changed() == ["flows/new.py"]


def test_a_file_that_got_its_end_in_the_same_tick_of_the_clock_has_changed(write):
    file = write("prefect.yaml", "name: m")
    files = SavedFiles("prefect.yaml")
    at = file.stat().st_mtime_ns
    file.write_text("name: mine\n")
    os.utime(file, ns=(at, at))
    assert files.changed() == ["prefect.yaml"]
