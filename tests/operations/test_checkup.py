"""What `runyard doctor` is told, four ways: unreadable secrets, and schedules that no worker serves."""

from __future__ import annotations

from runyard.blocks.system import Secret
from runyard.operations.deployments import deployments
from runyard.operations.installation.checkup import read_checkup
from runyard.operations.work_pools import work_pools, workers


def deploy(client, name, pool, *crons, **fields):
    item = {
        "flow_name": "etl", "name": name, "work_pool_name": pool,
        "schedules": [{"schedule": {"cron": cron, "timezone": "UTC"}} for cron in crons], **fields,
    }  # fmt: skip
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def test_pools_with_schedules_and_no_worker(client):
    for name in ("one", "two", "three"):
        client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=name))
    deploy(client, "a", "one", "0 6 * * *", "0 7 * * *")
    deploy(client, "b", "one", "0 8 * * *")
    deploy(client, "c", "two", "0 9 * * *")
    deploy(client, "d", "three")
    deploy(client, "e", "three", "0 9 * * *", paused=True)
    client.call(workers.heartbeat_worker, "two", workers.WorkerHeartbeat(name="w"))
    found = client.call(read_checkup)["unserved"]
    assert [(each["name"], each["type"], each["schedules"]) for each in found] == [("one", "process", 3)]
    assert found[0]["next_us"] > client.call(read_checkup)["now_us"]


def test_blocks_that_the_key_does_not_decrypt(client, home):
    assert client.call(read_checkup)["secrets"] == {"count": 0, "names": [], "reason": ""}
    for number in range(7):
        Secret(value="x" * 20).save(f"s{number}")
    assert client.call(read_checkup)["secrets"]["count"] == 0
    (home / "secret.key").rename(home / "away.key")
    found = client.call(read_checkup)["secrets"]
    assert found["count"] == 7
    assert found["names"] == [f"secret/s{number}" for number in range(5)]
    assert "was not found" in found["reason"]
    assert client.call(read_checkup)["encrypted"] is True
