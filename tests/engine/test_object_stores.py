"""Object stores: results in S3, kept and found again through a real server of its protocol."""

from __future__ import annotations

import subprocess
import sys

import pytest
from runyard import flow, task
from runyard.blocks.filesystems import S3, RemoteFileSystem
from runyard.engine.cache_policies import INPUTS
from runyard.engine.results.serializers import JSONSerializer

pytest.importorskip("obstore", reason="needs the extra aws")


@pytest.fixture(scope="module")
def server():
    """The address of an S3 server that forgets everything at its end."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, home, monkeypatch):
    """An empty bucket, and the environment that leads to it."""
    import httpx

    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    httpx.post(f"{server}/moto-api/reset", timeout=60)
    httpx.put(f"{server}/my-bucket", headers={"Host": "my-bucket"}, timeout=60).raise_for_status()
    return "my-bucket"


def test_a_bucket_holds_files(bucket, tmp_path):
    store = S3(bucket_path=f"{bucket}/some/folder")
    assert store.write_path("a/b.txt", b"one") == "s3://my-bucket/some/folder/a/b.txt"
    assert store.read_path("a/b.txt") == b"one"
    with pytest.raises(FileNotFoundError):
        store.read_path("missing")
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "x.py").write_text("x")
    assert store.put_directory(str(tmp_path / "up"), "code") == 1
    assert RemoteFileSystem(basepath="s3://my-bucket/some/folder").get_directory("code", str(tmp_path)) == 1
    assert (tmp_path / "x.py").read_text() == "x"
    store.delete_path("a/b.txt")
    assert list(store.walk("")) == ["code/x.py"]


def test_credentials_may_be_given(bucket, server, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = S3(
        bucket_path=bucket,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        endpoint_url=server,
        region="eu-central-1",
    )
    store.write_path("x", b"1")
    assert store.read_path("x") == b"1"


def test_results_are_kept_in_a_bucket_and_found_by_another_process(bucket):
    calls = []

    @task(
        persist_result=True,
        cache_policy=INPUTS,
        result_storage=S3(bucket_path=f"{bucket}/results"),
        result_serializer=JSONSerializer(),
    )
    def work(x):
        calls.append(x)
        return {"large": "data"}

    @flow(result_storage=f"s3://{bucket}/flows", result_serializer="compressed/json")
    def main():
        return work(1), work(1)

    state = main(return_state=True)
    assert calls == [1]
    assert state.data["storage"] == "s3://my-bucket/flows"
    code = (
        "import json, sys; from runyard.domain.states import State\n"
        "print(State('COMPLETED', data=json.loads(sys.argv[1])).result())"
    )
    import json

    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(state.data)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "({'large': 'data'}, {'large': 'data'})"
    assert len(list(S3(bucket_path=bucket).walk("results"))) == 1
