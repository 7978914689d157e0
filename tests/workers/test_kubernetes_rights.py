"""The rights in docs/kubernetes are what a worker uses: nothing is missing, nothing is too much."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml
from _kubernetes_yard import KubernetesYard
from _yard import a_yard, until

DOCS = Path(__file__).parents[2] / "docs" / "kubernetes"
ROLES = {"rbac.yaml": "Role", "rbac-all-namespaces.yaml": "ClusterRole"}


def rules_of(name):
    """The rules of a file, as the cluster takes them."""
    documents = list(yaml.safe_load_all((DOCS / name).read_text()))
    role = next(found for found in documents if found["kind"] == ROLES[name])
    found = set()
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    where = rule.get("resourceNames", [role["metadata"].get("namespace")])[0]
                    found.add((verb, group, resource, where))
    return found


@pytest.mark.parametrize("name", ROLES)
def test_the_rights_are_those_that_are_used(home, tmp_path, name):
    with a_yard(tmp_path, KubernetesYard) as yard:
        cluster = yard.cluster
        cluster.store.create("namespaces", "", {"metadata": {"name": "runyard"}})
        cluster.rules = rules_of(name)
        template = yard.pool_template()
        template["variables"]["properties"]["namespace"]["default"] = "runyard"
        yard.change_pool(template)
        run = yard.run(stubborn=True)
        first = yard.worker("first")
        until(lambda: yard.is_running(run), "the start")
        first.kill()
        first.wait()
        second = yard.worker("second", RUNYARD_WORKER_KILL_GRACE_SECONDS="600")
        until(lambda: [one["owner"] for one in yard.leases()] == ["second"], "the adoption")
        # A signal lets it finish, a second cancels it, a third kills it.
        for word in ("may finish", "is being cancelled", None):
            second.send_signal(signal.SIGTERM)
            if word:
                until(lambda word=word: word in yard.said("second"), word)
        assert second.wait(60) == 0
        used = {call[:3] for call in cluster.calls}
        assert used == {rule[:3] for rule in cluster.rules}
        elsewhere = yard.run(job_variables={"namespace": "default"})
        yard.worker("third")
        if name == "rbac.yaml":
            message = yard.ended(elsewhere, "CRASHED").message
            assert "this worker may read Jobs only in 'runyard'" in message
        else:
            yard.release()
            yard.ended(elsewhere, "COMPLETED")


def test_a_worker_without_rights_says_where_they_are(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        yard.cluster.rules = set()
        assert yard.worker().wait(60) != 0
        said = yard.said()
        assert "is forbidden" in said
        assert "docs/kubernetes/rbac.yaml" in said
        assert "Traceback" not in said


def test_the_manifests_in_the_docs_are_valid():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for path in DOCS.glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            for version in ("1.33", "1.34", "1.35", "1.36", "1.37"):
                kubernetes_validate.validate(document, version, strict=True)
