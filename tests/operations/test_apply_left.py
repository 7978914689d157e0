"""What applying a file's deployments says of new ones, and of those that the file no longer has."""

from __future__ import annotations

from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.deployments.deployment_shapes import DeploymentApply, DeploymentsApply
from runyard.operations.deployments.deployments import filter_deployments
from runyard.operations.schemas import Listing
from runyard.operations.work_pools import work_pools


def apply(client, *names, **options):
    """Apply deployments of these names: name -> action."""
    deployments = [DeploymentApply(name=name, flow_name="f", entrypoint="f.py:f") for name in names]
    body = DeploymentsApply(deployments=deployments, owner="file", **options)
    return {each.deployment.name: each.action for each in client.call(apply_deployments, body)}


def test_what_left_the_file_is_named_and_stays(client):
    assert apply(client, "a", "b", whole=True) == {"a": "created", "b": "created"}
    assert apply(client, "a", whole=True) == {"a": "unchanged", "b": "left"}
    assert apply(client, "a") == {"a": "unchanged"}
    assert len(client.call(filter_deployments, Listing())) == 2
    assert apply(client, "a", whole=True, prune=True) == {"a": "unchanged", "b": "deleted"}
    assert apply(client, "a", whole=True) == {"a": "unchanged"}


def test_a_new_deployment_says_its_fields(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    given = DeploymentApply(
        name="a",
        flow_name="f",
        entrypoint="f.py:f",
        work_pool_name="machines",
        tags=["x"],
        schedules=[{"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}}],
    )
    body = DeploymentsApply(deployments=[given], owner="file", dry_run=True)
    (applied,) = client.call(apply_deployments, body)
    fields = {change.field: (change.before, change.after) for change in applied.changes}
    assert fields["entrypoint"] == (None, "f.py:f")
    assert fields["work_pool"] == (None, "machines")
    assert fields["tags"] == (None, ["x"])
    assert fields["schedules"][0] is None
