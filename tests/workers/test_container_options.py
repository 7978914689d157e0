"""What a container is created with, without an engine."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.domain import job_templates
from runyard.workers.infrastructure.base import CannotStart, JobRequest
from runyard.workers.infrastructure.container_options import (
    checked,
    container_name,
    container_options,
    network_mode,
)

URL = "http://127.0.0.1:4200/api"
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8)
TEXTS = st.text(max_size=12)


def request(env=None, labels=None, name="calm-otter", **job):
    return JobRequest(name, job, ["python", "-m", "run"], env or {}, labels or {}, lambda text: None)


@given(st.dictionaries(NAMES, TEXTS), st.dictionaries(NAMES, st.none() | TEXTS))
def test_the_variables_of_a_run_go_over_those_of_the_worker_and_null_removes_one(theirs, own):
    found = container_options(JobRequest("n", {"env": own}, ["x"], theirs, {}, lambda text: None))
    expected = {name: value for name, value in {**theirs, **own}.items() if value is not None}
    assert found["environment"] == expected


@given(st.dictionaries(NAMES, TEXTS), st.dictionaries(NAMES, TEXTS))
def test_the_labels_by_which_jobs_are_found_are_not_overridden(own, ours):
    found = container_options(JobRequest("n", {"labels": own}, ["x"], {}, ours, lambda text: None))["labels"]
    assert found == {**own, **ours}


@given(st.text(max_size=300))
def test_names_are_such_as_the_engine_takes(text):
    name = container_name(request(name=text))
    assert 2 <= len(name) <= 210
    assert set(name) <= set(string.ascii_letters + string.digits + "_.-")
    assert name[0] in string.ascii_letters + string.digits


@given(st.floats(0.001, 1000))
def test_processors_are_told_in_billionths(cpus):
    assert container_options(request(cpus=cpus))["nano_cpus"] == round(cpus * 1e9)


def test_further_arguments_do_not_override_those_of_the_template():
    kwargs = {
        "image": "other",
        "environment": {"A": "1"},
        "hostname": "h",
        "auto_remove": True,
        "mem_limit": "1g",
    }
    found = container_options(request(container_create_kwargs=kwargs, mem_limit="2g"))
    assert found["hostname"] == "h"
    assert found["mem_limit"] == "2g"
    assert "image" not in found
    assert found["environment"] == {}


@pytest.mark.parametrize(
    ("job", "mode", "url"),
    [
        ({}, "host", URL),
        ({"networks": ["a"]}, None, "http://host.docker.internal:4200/api"),
        ({"network_mode": "bridge"}, "bridge", "http://host.docker.internal:4200/api"),
        ({"network_mode": "container:x"}, "container:x", "http://host.docker.internal:4200/api"),
    ],
)
def test_the_api_of_this_machine_is_reached_from_each_network(monkeypatch, job, mode, url):
    monkeypatch.setattr("sys.platform", "linux")
    one = request(env={"RUNYARD_API_URL": URL}, **job)
    found = container_options(one)
    assert network_mode(one.job, one.env) == mode
    assert found.get("network_mode") == mode
    assert found["environment"]["RUNYARD_API_URL"] == url
    named = {"host.docker.internal": "host-gateway"}
    assert found["extra_hosts"] == (None if mode in ("host", "container:x") else named)


def test_an_api_elsewhere_is_left_as_it_is():
    url = "https://api.example.com/api"
    found = container_options(request(env={"RUNYARD_API_URL": url}))
    assert found["environment"]["RUNYARD_API_URL"] == url
    assert "network_mode" not in found


def test_hosts_are_a_mapping_or_a_list_and_those_of_both_places_count():
    kwargs = {"extra_hosts": ["a:1.1.1.1", "six:::1"]}
    found = container_options(request(extra_hosts={"b": "2.2.2.2"}, container_create_kwargs=kwargs))
    hosts = {"a": "1.1.1.1", "six": "::1", "b": "2.2.2.2", "host.docker.internal": "host-gateway"}
    assert found["extra_hosts"] == hosts


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("/srv/data:/data:ro", "/srv/data:/data:ro"),
        ("./data:/data", "{cwd}/data:/data"),
        ("data/in:/data", "{cwd}/data/in:/data"),
        ("named:/data", "named:/data"),
        ("/anonymous", "/anonymous"),
    ],
)
def test_a_relative_folder_is_one_of_the_workers(monkeypatch, tmp_path, given, made):
    monkeypatch.chdir(tmp_path)
    assert container_options(request(volumes=[given]))["volumes"] == [made.format(cwd=tmp_path)]


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ({"command": "echo 'open"}, "command"),
        ({"cpus": "many"}, "cpus"),
        ({"extra_hosts": ["nothing"]}, "extra_hosts"),
        ({"network_mode": "none"}, "network_mode"),
        ({"network_mode": "host", "networks": ["a"]}, "networks"),
    ],
)
def test_what_means_nothing_is_refused_by_its_name(job, name):
    with pytest.raises(CannotStart, match=name):
        container_options(request(**job))


def test_a_command_is_split_without_a_shell():
    assert container_options(request(command="sh -c 'a b'"))["command"] == ["sh", "-c", "a b"]
    assert container_options(request())["command"] == ["python", "-m", "run"]
    assert container_options(request(command="true", network_mode="none"))["network_mode"] == "none"


def test_a_pool_with_the_template_of_an_older_version_goes_on_working():
    template = json.loads(json.dumps(job_templates.default("docker")))
    for name in ("cpus", "shm_size", "user", "extra_hosts", "stop_grace_seconds", "working_dir"):
        del template["job_configuration"][name]
        del template["variables"]["properties"][name]
    job = job_templates.resolve(template, {"image": "x:1", "mem_limit": "1g"})
    found = container_options(request(**job))
    assert found["mem_limit"] == "1g"
    assert "nano_cpus" not in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("volumes", "/a:/b"),
        ("networks", [5]),
        ("container_create_kwargs", "x"),
        ("registry_credentials", "geheim"),
        ("privileged", "perhaps"),
        ("image", ["x"]),
        ("image_pull_policy", "Sometimes"),
    ],
)
def test_what_a_template_of_ones_own_leaves_open_is_refused_by_its_name(name, value):
    with pytest.raises(CannotStart, match=f"^{name}: ") as raised:
        checked({name: value})
    assert "geheim" not in str(raised.value)


def test_texts_that_say_what_a_variable_asks_for_are_read():
    job = {"privileged": "false", "volumes": '["/a:/b"]', "image": "x", "labels": None}
    assert checked(job) == {"privileged": False, "volumes": ["/a:/b"], "image": "x", "labels": None}
