"""A yard whose pool is of type kubernetes, on a cluster of its own in this process."""

from __future__ import annotations

from _docker_yard import MORE_FLOWS
from _kubernetes import Cluster
from _yard import Yard, logs_of
from runyard.operations.work_pools.work_pools import WorkPoolUpdate, read_work_pool, update_work_pool

# For a run that is not to start: others may take longer, on a busy machine.
GIVEN_UP_SOON = {"pod_watch_timeout_seconds": 2, "pending_timeout_seconds": 2}


class KubernetesYard(Yard):
    """A yard whose pool is of type kubernetes."""

    pool_type = "kubernetes"

    def __init__(self, folder):
        super().__init__(folder)
        (folder / "more.py").write_text(MORE_FLOWS)
        (folder / "cluster").mkdir()
        self.cluster = Cluster(folder / "cluster")
        self.environment["KUBECONFIG"] = str(self.cluster.kubeconfig())

    def job_variables(self):
        return {"image": "flows:1"}

    def pool_template(self):
        return self.client.call(read_work_pool, "pool").base_job_template

    def change_pool(self, template):
        self.client.call(update_work_pool, "pool", WorkPoolUpdate(base_job_template=template))

    def jobs(self):
        return self.cluster.store.list("jobs")[0]

    def secrets(self):
        return self.cluster.store.list("secrets")[0]

    def pod(self, run):
        """The latest pod of a run, as (namespace, name)."""
        pods = self.cluster.store.list("pods", labels=f"runyard.io/flow-run-id={run}")[0]
        its = max(pods, key=lambda pod: int(pod["metadata"]["resourceVersion"]))["metadata"]
        return its["namespace"], its["name"]

    def kill_job(self, run):
        self.cluster.kubelet.kill(self.pod(run))

    def end_job(self, run):
        self.cluster.kubelet.terminate(self.pod(run), 30)

    def end_engine(self):
        self.cluster.close()


def printed(yard, run):
    return [log.message for log in logs_of(yard, run)]
