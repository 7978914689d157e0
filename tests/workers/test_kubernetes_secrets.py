"""Secrets of runs in Kubernetes: kept in a Secret wherever a container can take them there, else refused."""

from __future__ import annotations

import copy
import json

import pytest
from _kubernetes_yard import KubernetesYard, printed
from _yard import a_yard
from pydantic import SecretStr
from runyard.base.errors import InvalidInput
from runyard.blocks.core import Block
from runyard.blocks.system import Secret
from runyard.domain import job_secrets, job_templates

WORD = "{{ prefect.blocks.secret.word }}"
TEMPLATE = job_templates.default("kubernetes")


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        Secret(value="quite-a-secret").save("word")
        yield yard


def spec_of(template):
    return template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]


def changed(path, value):
    """The template with a value at a place of its manifest."""
    template = copy.deepcopy(TEMPLATE)
    at = template["job_configuration"]["job_manifest"]
    *parts, last = path.split(".")
    for part in parts:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    at[last] = value
    return template


SHOWN = [
    ("metadata.annotations", {"a": WORD}, "annotations.a"),
    ("metadata.labels", {"a": f"x {WORD}"}, "labels.a"),
    ("spec.template.spec.volumes", [{"csi": {"volumeAttributes": {"key": WORD}}}], "volumes.0.csi"),
    ("spec.template.spec.containers.0.image", "registry/{{ $REGISTRY_TOKEN }}/x", "containers.0.image"),
    ("spec.template.spec.containers.0.workingDir", "{{ env.API_KEY }}", "containers.0.workingDir"),
]


@pytest.mark.parametrize(("path", "value", "place"), SHOWN)
def test_a_template_that_would_show_a_secret_is_refused(yard, path, value, place):
    with pytest.raises(
        InvalidInput, match=f"{place}.* would show a secret to everybody .*; move it to env, args or"
    ):
        yard.change_pool(changed(path, value))


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"annotations": {"a": WORD}}, "annotations.a"),
        ({"image": f"registry/x:{WORD}"}, "image"),
        ({"labels": {"a": "{{ $PREFECT_API_KEY }}"}}, "labels.a"),
        ({"annotations.deep": WORD}, "annotations.deep"),
    ],
)
def test_a_variable_that_would_show_a_secret_is_refused_when_it_is_given(yard, variables, place):
    with pytest.raises(InvalidInput, match=f"{place} would show a secret"):
        yard.run(job_variables=variables)


class ClusterLogin(Block):
    user: str
    password: SecretStr


def test_what_could_not_be_known_before_is_refused_by_the_worker(yard):
    yard.change_pool(
        changed("metadata.annotations", {"who": "{{ prefect.blocks.clusterlogin.later.user }}", "all": "-"})
    )
    fine = yard.run(job_variables={"annotations": {"a": "{{ prefect.blocks.clusterlogin.later.user }}"}})
    run = yard.run(job_variables={"annotations": {"a": "{{ prefect.blocks.clusterlogin.later.password }}"}})
    ClusterLogin(user="somebody", password="quite-a-password").save("later")
    yard.release()
    yard.worker()
    assert "annotations.a would show a secret" in yard.ended(run, "CRASHED").message
    yard.ended(fine, "COMPLETED")
    made = [found for found in yard.cluster.created if found["kind"] == "Job"]
    assert len(made) == 1
    assert made[0]["metadata"]["annotations"]["who"] == "somebody"
    assert "quite-a-password" not in yard.said()


def test_a_secret_by_the_schema_of_a_variable():
    template = copy.deepcopy(TEMPLATE)
    template["variables"]["properties"]["pin"] = {"type": "string", "format": "password"}
    template["job_configuration"]["job_manifest"]["metadata"]["annotations"] = {"pin": "{{ pin }}"}
    job_secrets.check(template, {}, hidden_fields=lambda *_: None)
    with pytest.raises(InvalidInput, match=r"metadata\.annotations\.pin would show"):
        job_secrets.check(template, {"pin": "1234"}, hidden_fields=lambda *_: None)
    template["variables"]["properties"]["pin"]["default"] = "1234"
    with pytest.raises(InvalidInput, match=r"metadata\.annotations\.pin would show"):
        job_secrets.check(template, hidden_fields=lambda *_: None)


def test_secrets_of_every_container_are_kept_in_the_secret(yard):
    template = yard.pool_template()
    spec = spec_of(template)
    spec["containers"][0]["command"] = ["/usr/bin/env", f"THE_WORD={WORD}"]
    check = f'test "$WORD" = "$1" && test ${{#1}} = 14 && touch {yard.folder}/beside'
    spec["containers"].append(
        {
            "name": "beside",
            "image": "x:1",
            "env": [{"name": "WORD", "value": WORD}, {"name": "PLAIN", "value": "p"}],
            "command": ["sh", "-c", check, "sh"],
            "args": [WORD],
        }
    )
    spec["initContainers"] = [{"name": "first", "image": "x:1", "env": {"WORD": WORD}}]
    yard.change_pool(template)
    run = yard.run(job_variables={"command": "python -c 'import os; print(len(os.environ[\"THE_WORD\"]))'"})
    assert yard.worker(run_once=True).wait(60) == 0
    assert "14" in printed(yard, run), yard.said()
    made = {found["kind"]: found for found in yard.cluster.created if found["kind"] in ("Job", "Secret")}
    assert "quite-a-secret" not in json.dumps(made["Job"])
    assert set(made["Secret"]["data"]) >= {"beside.WORD", "first.WORD", "RUNYARD__SECRET_COMMAND_1"}
    assert (yard.folder / "beside").exists()
