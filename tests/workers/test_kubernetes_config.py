"""Where a cluster is and who we are there: kubeconfigs, contexts, pods, programs that print tokens, TLS."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from _kubernetes import Cluster
from _kubernetes.pods import certificates
from runyard.base.errors import InvalidInput
from runyard.workers.infrastructure.base import Unreachable
from runyard.workers.infrastructure.kubernetes_api import KubernetesApi, Refused
from runyard.workers.infrastructure.kubernetes_config import access

V1 = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def nowhere(home, tmp_path, monkeypatch):
    """No cluster of this machine is seen."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def config_of(user=None, name="one", **cluster):
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **cluster}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"{name}-jobs"}}],
    }


def written(folder, config, name="config"):
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    return str(path)


def token_of(found):
    """What a request is sent with."""
    import httpx

    flow = found.auth.sync_auth_flow(httpx.Request("GET", found.server))
    return next(flow).headers["Authorization"]


def test_without_any_the_message_says_what_to_set(tmp_path):
    with pytest.raises(
        InvalidInput, match=r"no Kubernetes cluster is known.*\.kube/config does not exist; set KUBECONFIG"
    ):
        access()


def test_files_are_merged_and_the_first_to_name_a_thing_counts(tmp_path, monkeypatch):
    first = written(tmp_path, config_of({"token": "1"}), "first")
    second = written(tmp_path, {**config_of({"token": "2"}, "two"), "current-context": "two"}, "second")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([first, str(tmp_path / "none"), second]))
    found = access()
    assert (found.server, found.namespace, token_of(found)) == ("https://one:6443", "one-jobs", "Bearer 1")
    other = access({"context_name": "two"})
    assert (other.server, other.namespace, token_of(other)) == ("https://two:6443", "two-jobs", "Bearer 2")
    with pytest.raises(InvalidInput, match="context 'three' not found; it has 'one', 'two'"):
        access({"context_name": "three"})


def test_the_config_of_a_pool_goes_before_all(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", written(tmp_path, config_of()))
    given = {"config": config_of({"token": "x"}, "two"), "context_name": "two"}
    assert access(given).server == "https://two:6443"
    assert access({"config": yaml.safe_dump(given["config"])}).server == "https://two:6443"


def test_a_pod_uses_its_service_account_and_notices_a_new_token(tmp_path, monkeypatch):
    folder = tmp_path / "account"
    folder.mkdir()
    authority, _ = certificates()
    (folder / "ca.crt").write_bytes(authority)
    (folder / "token").write_text("first\n")
    (folder / "namespace").write_text("here")
    monkeypatch.setenv("RUNYARD_KUBERNETES_SERVICE_ACCOUNT_FOLDER", str(folder))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    found = access()
    assert (found.server, found.namespace) == ("https://[fd00::1]:6443", "here")
    import httpx

    flow = found.auth.sync_auth_flow(httpx.Request("GET", found.server))
    assert next(flow).headers["Authorization"] == "Bearer first"
    (folder / "token").write_text("second\n")
    assert flow.send(httpx.Response(401)).headers["Authorization"] == "Bearer second"


@pytest.mark.parametrize("api", ["v1", "v1beta1"])
def test_a_program_prints_the_token(tmp_path, monkeypatch, api):
    program = tmp_path / "login"
    program.write_text(
        f"#!{sys.executable}\nimport json, os\ninfo = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = os.environ['WHO'] + info['apiVersion'][-2:]\n"
        "print(json.dumps({'status': {'token': token}}))"
    )
    program.chmod(0o755)
    version = f"client.authentication.k8s.io/{api}"
    entry = {"apiVersion": version, "command": "./login", "env": [{"name": "WHO", "value": "me-"}]}
    monkeypatch.setenv("KUBECONFIG", written(tmp_path, config_of({"exec": entry})))
    assert token_of(access()) == f"Bearer me-{api[-2:]}"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import sys; sys.exit('log in first')", "failed: log in first"),
        ("print('hello')", "printed no token"),
        ('print(\'{"status": {"token": null}}\')', "printed no token"),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", "printed no token"),
        ('print(\'{"status": {"token": "a\\\\nb"}}\')', "characters that no token has"),
    ],
)
def test_a_program_that_prints_none_is_told(program, problem):
    entry = {"apiVersion": V1, "command": sys.executable, "args": ["-c", program]}
    with pytest.raises(InvalidInput, match=problem):
        token_of(access({"config": config_of({"exec": entry})}))


def test_a_program_that_is_not_there_is_told_with_how_to_get_it():
    entry = {"apiVersion": V1, "command": "no-such-login", "installHint": "Get it\nfrom example.com"}
    with pytest.raises(
        InvalidInput, match=r"credential program 'no-such-login' not found; Get it from example\.com$"
    ):
        token_of(access({"config": config_of({"exec": entry})}))


def test_a_program_is_asked_once_for_all_threads(tmp_path):
    calls = tmp_path / "calls"
    program = (
        f"open({str(calls)!r}, 'a').write('x'); import time; time.sleep(0.2); "
        'print(\'{"status": {"token": "t"}}\')'
    )
    entry = {"apiVersion": V1, "command": sys.executable, "args": ["-c", program]}
    found = access({"config": config_of({"exec": entry})})
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: token_of(found), range(8))) == {"Bearer t"}
    assert calls.read_text() == "x"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "no context is set"),
        ({**config_of(), "clusters": []}, "cluster 'one' not found; it has none"),
        (config_of(server=""), "has no server"),
        (config_of({"auth-provider": {"name": "gcp"}}), "auth-provider is no longer supported"),
        (config_of({"exec": {"apiVersion": "v0", "command": "x"}}), "exec.apiVersion 'v0' is unknown"),
        (config_of(**{"certificate-authority": "/no/such.crt"}), "certificate-authority: /no/such.crt"),
        (
            config_of(**{"certificate-authority-data": "???"}),
            "certificate-authority-data is not valid base64",
        ),
        (config_of(**{"certificate-authority-data": "eHg="}), "a certificate or key cannot be used"),
        ("a: b: c", "invalid YAML"),
        ("- 1", "a kubeconfig must be a mapping"),
        (
            "a: b\n\ttoken: very-secret",
            r"invalid YAML: line 2: found character '\\t' that cannot start any token$",
        ),
        ({**config_of(), "clusters": {"one": {}}}, "clusters must be a list, each item with a name"),
        ({**config_of(), "users": [None]}, "users must be a list, each item with a name and a 'user'"),
        ({**config_of(), "contexts": [{"name": "one"}]}, "the context 'one' names no cluster"),
        (
            config_of(server="localhost:8080"),
            "server 'localhost:8080' is not a URL such as https://HOST:PORT",
        ),
        (config_of(server="https://[::1"), "is not a URL"),
        (
            config_of(**{"proxy-url": "proxy:3128"}),
            "proxy-url 'proxy:3128' is not a URL such as http://HOST:PORT",
        ),
        (config_of({"exec": "aws"}), "exec must be a mapping"),
        (
            config_of({"exec": {"apiVersion": V1, "command": "x", "env": [{"name": "A"}]}}),
            "a name and a value",
        ),
        (config_of({"exec": {"apiVersion": V1}}), "exec.command is missing"),
    ],
)
def test_a_config_that_is_wrong_is_told_in_one_line(config, problem):
    with pytest.raises(InvalidInput, match=problem) as caught:
        access({"config": config}) if config else access({"config": {"kind": "Config"}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "proxy"),
    [
        ("https://cluster.test", "http://proxy:3128"),
        ("https://cluster.internal", None),
        ("https://10.1.2.3:6443", None),
        ("https://11.1.2.3:6443", "http://proxy:3128"),
    ],
)
def test_the_proxy_of_the_environment_is_used_where_it_is_meant(monkeypatch, server, proxy):
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", ".internal, 10.0.0.0/8")
    assert access({"config": config_of(server=server)}).proxy == proxy


def test_a_cluster_is_trusted_by_its_own_authority_only(tmp_path, monkeypatch):
    authority, key = certificates()
    (tmp_path / "pem").write_bytes(authority + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    cluster = Cluster(tmp_path, tls)
    try:
        known = {
            "certificate-authority-data": base64.b64encode(authority).decode(),
            "tls-server-name": "cluster.test",
        }
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(**known)))
        with_key = json.loads(cluster.kubeconfig(**known).read_text())
        with_key["users"][0]["user"] |= {
            "client-certificate-data": known["certificate-authority-data"],
            "client-key-data": base64.b64encode(key).decode(),
        }
        for given in (None, {"config": with_key}):
            api = KubernetesApi(access(given))
            assert api.request("GET", "/version")["major"] == "1"
            api.close()
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
        api = KubernetesApi(access())
        with pytest.raises(Unreachable, match="certificate verify failed"):
            api.request("GET", "/version")
        api.close()
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(**{"insecure-skip-tls-verify": True})))
        cluster.token = "another"
        api = KubernetesApi(access())
        with pytest.raises(Refused, match="Unauthorized"):
            api.request("GET", "/version")
        api.close()
    finally:
        cluster.close()


def test_a_saved_block_says_which_cluster_a_pool_means(tmp_path):
    from runyard.blocks.kubernetes import KubernetesClusterConfig
    from runyard.domain import job_templates
    from runyard.workers.job_configuration import defaults_of

    path = written(tmp_path, config_of({"token": "of-the-block"}, "two"))
    KubernetesClusterConfig.from_file(path).save("two")
    template = job_templates.default("kubernetes")
    block = "{{ prefect.blocks.kubernetes-cluster-config.two }}"
    template["variables"]["properties"]["cluster_config"]["default"] = block
    found = access(defaults_of(template)["cluster_config"])
    assert (found.server, token_of(found)) == ("https://two:6443", "Bearer of-the-block")
    with pytest.raises(ValueError, match="has no context 'three'; it has 'two'"):
        KubernetesClusterConfig.from_file(path, "three")
