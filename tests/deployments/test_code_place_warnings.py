"""Warnings about code that runs on other machines, or in containers, would not find."""

from __future__ import annotations

import pytest
from runyard.client import LocalClient
from runyard.deployments.project.code_place_warnings import code_place_warnings, is_shared
from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.deployments.deployment_shapes import DeploymentApply, DeploymentsApply
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool

TYPES = {"machines": "process", "boxes": "docker"}


@pytest.fixture
def applied(client):
    """Applies a deployment; the result."""
    for name, kind in TYPES.items():
        client.call(create_work_pool, WorkPoolCreate(name=name, type=kind))

    def apply(pool="machines", **fields):
        given = {"name": "d", "flow_name": "f", "entrypoint": "f.py:f", "path": "/home/me/p", **fields}
        body = DeploymentsApply(deployments=[DeploymentApply(work_pool_name=pool, **given)], owner="file")
        return client.call(apply_deployments, body)

    return apply


def test_who_shares(client):
    local = isinstance(client, LocalClient) and client.database.dialect == "sqlite"
    assert is_shared(client) == (not local)


def test_a_folder_of_this_machine_is_told_once(applied):
    (line,) = code_place_warnings(applied(), TYPES, shared=True)
    assert line.startswith("f/d: runs use the code in /home/me/p of this machine; ")
    assert code_place_warnings(applied(), TYPES, shared=True) == []
    assert len(code_place_warnings(applied(path="/home/me/q"), TYPES, shared=True)) == 1
    assert code_place_warnings(applied(path="/home/me/r"), TYPES, shared=False) == []


def test_code_that_runs_bring_themselves_needs_no_warning(applied):
    assert code_place_warnings(applied(pull_steps=[{"a.b": {}}]), TYPES, shared=True) == []


def test_containers_do_not_see_the_folder(applied):
    (line,) = code_place_warnings(applied("boxes"), TYPES, shared=False)
    assert line.startswith("f/d: runs look for the code in /home/me/p of their container; add pull steps")
    mounted = {"volumes": ["/home/me:/home/me:ro"]}
    assert code_place_warnings(applied("boxes", name="e", job_variables=mounted), TYPES, shared=False) == []
    other = {"volumes": ["/home/me/pq:/home/me/pq"]}
    assert len(code_place_warnings(applied("boxes", name="g", job_variables=other), TYPES, shared=False)) == 1
