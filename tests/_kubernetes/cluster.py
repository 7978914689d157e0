"""A whole cluster in this process: its API, its controllers and one node; and what a test does to it."""

from __future__ import annotations

import json
import threading
import time

from _kubernetes.kubelet import Kubelet
from _kubernetes.server import Fault, Server
from _kubernetes.store import ApiError, Store, now

_JOB_LABELS = ("job-name", "batch.kubernetes.io/job-name")


class Cluster:
    """A cluster whose pods are processes of this machine.

    Args:
        folder: for what its pods leave.
        tls: of its API, where that speaks TLS.
    """

    def __init__(self, folder, tls=None):
        self.store = Store()
        self.token = "a-token-of-the-tests"
        self.more_tokens = set()
        # (verb, group, resource) that are allowed, in a namespace or, as None, everywhere; None: all.
        self.rules = None
        self.calls = []
        self.created = []
        self.page = 500
        # How many pods a quota leaves room for; None: any.
        self.most_pods = None
        self._faults = []
        self._closing = False
        for name in ("kube-system", "default"):
            self.store.create("namespaces", "", {"metadata": {"name": name}})
        self.folder = folder
        self.tls = tls
        self.kubelet = Kubelet(self, folder / "node")
        self.server = Server(self, tls=tls)
        self.port = self.server.server_address[1]
        self._controller = threading.Thread(target=self._control, name="kubernetes-controller")
        self._controller.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, **cluster):
        """The path of a kubeconfig for it."""
        path = self.folder / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": {"server": self.url, **cluster}}],
                    "users": [{"name": "worker", "user": {"token": self.token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "worker"}}],
                }
            )
        )
        return path

    # What a test does

    def fault(self, **what):
        """Have the next requests go wrong; see Fault."""
        fault = Fault(**what)
        with self.store.lock:
            self._faults.append(fault)
        return fault

    def take_fault(self, verb, resource):
        with self.store.lock:
            for fault in self._faults:
                if fault.times and fault.verb in (None, verb) and fault.resource in (None, resource):
                    fault.times -= 1
                    fault.seen += 1
                    return fault
        return None

    def may(self, verb, group, resource, namespace):
        if self.rules is None:
            return True
        return any(
            (verb, group, resource) == rule[:3] and rule[3] in (None, namespace) for rule in self.rules
        )

    def stop_api(self):
        self.server.close()

    def start_api(self):
        self.server = Server(self, self.port, self.tls)

    def pods(self, phase=None):
        return [pod for pod in self.store.list("pods")[0] if phase in (None, pod["status"].get("phase"))]

    def disrupt(self, key, reason, message="by the test"):
        """Have the cluster end a pod for a reason of its own."""
        mark = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
        self.store.update("pods", *key, lambda pod: pod["status"].setdefault("conditions", []).append(mark))
        self.delete("pods", *key, {})

    def event(self, about, reason, message, kind="Normal"):
        its = about["metadata"]
        self.store.create(
            "events",
            its["namespace"],
            {
                "metadata": {"generateName": "event-"},
                "involvedObject": {"kind": about["kind"], "name": its["name"], "namespace": its["namespace"]},
                "type": kind,
                "reason": reason,
                "message": message,
                "lastTimestamp": now(),
            },
        )

    # Deleting

    def delete(self, resource, namespace, name, options):
        found = self.store.get(resource, namespace, name)
        if resource != "pods":
            self.store.remove(resource, namespace, name)
            return found
        grace = (options or {}).get("gracePeriodSeconds")
        if grace is None:
            grace = found["spec"].get("terminationGracePeriodSeconds", 30)

        def mark(pod):
            pod["metadata"].setdefault("deletionTimestamp", now())
            pod["metadata"]["deletionGracePeriodSeconds"] = grace

        self.store.update("pods", namespace, name, mark)
        key = (namespace, name)
        runs = False if self.kubelet.node_is_lost else self.kubelet.terminate(key, grace)
        if grace == 0 or not (runs or self.kubelet.node_is_lost):
            self.store.remove("pods", namespace, name)
        return found

    def remove_ended(self, key):
        """A pod that was to go has ended."""
        pod = self.store.objects.get(("pods", *key))
        if pod is not None and pod["metadata"].get("deletionTimestamp"):
            self.store.remove("pods", *key)

    # Controllers

    def _control(self):
        while not self._closing:
            seen = self.store.version
            try:
                for job in self.store.list("jobs")[0]:
                    self._look_after(job)
                self._collect()
            except ApiError as error:
                if error.code != 404:  # what was just listed was removed by another thread
                    raise
            self.store.wait(seen, 0.1)

    def _look_after(self, job):
        its, spec, status = job["metadata"], job["spec"], job["status"]
        key = (its["namespace"], its["name"])
        done = [each for each in status.get("conditions") or () if each["type"] in ("Complete", "Failed")]
        pods = [pod for pod in self.pods() if _owned_by(pod, its["uid"])]
        if done:
            ttl = spec.get("ttlSecondsAfterFinished")
            if ttl is not None and time.time() > status["ended"] + ttl:
                self.store.remove("jobs", *key)
            return
        known = set(status.get("counted") or ()) | {pod["metadata"]["uid"] for pod in pods}
        live = [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        won = [pod for pod in pods if pod["status"].get("phase") == "Succeeded"]
        failed = len(known) - len([pod for pod in live if not pod["metadata"].get("deletionTimestamp")])
        limit = spec.get("activeDeadlineSeconds")
        over = limit is not None and time.time() > status.get("started", time.time()) + limit

        def change(found):
            found["status"]["counted"] = sorted(known)
            found["status"].setdefault("started", time.time())
            found["status"]["failed"] = failed if not won else 0

        self.store.update("jobs", *key, change)
        if won:
            self._end(key, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        elif over:
            self._end(key, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
            for pod in live:
                self.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], {})
        elif failed > spec.get("backoffLimit", 6):
            self._end(key, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif not live and not spec.get("suspend"):
            self._make_pod(job)

    def _end(self, key, kind, reason, message):
        mark = {"type": kind, "status": "True", "reason": reason, "message": message}

        def change(job):
            job["status"].setdefault("conditions", []).append(mark)
            job["status"]["ended"] = time.time()

        self.store.update("jobs", *key, change)

    def _make_pod(self, job):
        its, template = job["metadata"], job["spec"]["template"]
        spec = template["spec"]
        if spec.get("serviceAccountName") == "none":
            if not [each for each in self.store.list("events")[0] if each["reason"] == "FailedCreate"]:
                self.event(job, "FailedCreate", 'serviceaccount "none" not found', "Warning")
            return
        there = [pod for pod in self.pods() if pod["status"].get("phase") in ("Pending", "Running")]
        if self.most_pods is not None and len(there) >= self.most_pods:
            words = (
                f'Error creating: pods "{its["name"]}" is forbidden: exceeded quota: team, requested: pods=1'
            )
            if words not in [each["message"] for each in self.store.list("events")[0]]:
                self.event(job, "FailedCreate", words, "Warning")
            return
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": its["name"], "uid": its["uid"]}
        metadata = {
            **template["metadata"],
            "generateName": f"{its['name']}-",
            "labels": {**template["metadata"].get("labels", {}), **dict.fromkeys(_JOB_LABELS, its["name"])},
            "ownerReferences": [owner],
        }
        fits = not spec.get("nodeSelector")
        scheduled = {"type": "PodScheduled", "status": "True"}
        if not fits:
            message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            scheduled = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
            }
        status = {"phase": "Pending", "conditions": [scheduled]}
        pod = self.store.create(
            "pods",
            its["namespace"],
            {"kind": "Pod", "metadata": metadata, "spec": dict(spec), "status": status},
        )
        if not fits:
            self.event(pod, "FailedScheduling", scheduled["message"], "Warning")
            return
        key = (its["namespace"], pod["metadata"]["name"])
        self.store.update("pods", *key, lambda found: found["spec"].update(nodeName="node-1"))
        self.event(pod, "Scheduled", f"Successfully assigned {'/'.join(key)} to node-1")
        self.kubelet.run(pod)

    def _collect(self):
        """Delete what belongs to something that is gone."""
        for resource in ("pods", "secrets"):
            for found in self.store.list(resource)[0]:
                its = found["metadata"]
                owners = {job["metadata"]["uid"] for job in self.store.list("jobs")[0]}
                wanted = [owner["uid"] for owner in its.get("ownerReferences") or ()]
                if wanted and not set(wanted) & owners and not its.get("deletionTimestamp"):
                    self.delete(resource, its["namespace"], its["name"], {})

    def close(self):
        # Who starts pods first, then who ends them.
        self._closing = True
        self._controller.join()
        self.server.close()
        self.kubelet.close()


def _owned_by(found, uid):
    return uid in [owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()]
