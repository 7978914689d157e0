"""Filesystems: a folder, an object store; and what an option names."""

from __future__ import annotations

import asyncio
import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from runyard import flow, task
from runyard.base.errors import InvalidInput, MissingExtra
from runyard.base.paths import is_left_out
from runyard.blocks.filesystems import (
    GCS,
    S3,
    Azure,
    LocalFileSystem,
    RemoteFileSystem,
    describe_storage,
    storage_of,
)
from runyard.engine.cache_policies import INPUTS


@pytest.fixture
def folder(tmp_path):
    return LocalFileSystem(basepath=tmp_path / "base")


def test_what_is_written_can_be_read(folder, tmp_path):
    assert folder.write_path("a/b.txt", b"one") == str(tmp_path / "base" / "a" / "b.txt")
    folder.write_path("a/b.txt", "two")
    assert folder.read_path("a/b.txt") == b"two"
    folder.delete_path("a/b.txt")
    folder.delete_path("a/b.txt")
    with pytest.raises(FileNotFoundError):
        folder.read_path("a/b.txt")
    assert list((tmp_path / "base" / "a").iterdir()) == []


def test_async_code_awaits_it(folder):
    async def main():
        await folder.write_path("x", b"1")
        await folder.awrite_path("y", b"2")
        return await folder.read_path("x") + await folder.aread_path("y")

    assert asyncio.run(main()) == b"12"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "/"])
def test_no_path_leads_out(folder, path, tmp_path):
    if path == "/":
        path = "/base2"
    with pytest.raises(InvalidInput, match="is outside of"):
        folder.write_path(path, b"")
    with pytest.raises(InvalidInput, match="is outside of"):
        folder.read_path(path)


def test_a_failed_write_leaves_the_old_content(folder, monkeypatch, tmp_path):
    folder.write_path("x", b"old")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        folder.write_path("x", b"new")
    assert folder.read_path("x") == b"old"
    assert [file.name for file in (tmp_path / "base").iterdir()] == ["x"]


def test_folders_are_copied_without_what_is_ignored(folder, tmp_path):
    source = tmp_path / "source"
    for name in ("a.py", "b.log", "sub/c.py", "sub/d.log", "cache/e.py", "keep.log"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    ignore = tmp_path / ".prefectignore"
    ignore.write_text("# logs\n*.log\n!keep.log\ncache/\n\n")
    assert folder.put_directory(str(source), "copy", ignore_file=str(ignore)) == 3
    assert sorted(folder.walk("")) == ["copy/a.py", "copy/keep.log", "copy/sub/c.py"]
    assert folder.get_directory("copy", str(tmp_path / "target")) == 3
    assert (tmp_path / "target" / "sub" / "c.py").read_text() == "sub/c.py"


@given(st.lists(st.sampled_from(["a", "b", "c.py"]), min_size=1, max_size=4))
def test_a_folder_that_is_ignored_takes_all_below_it(parts):
    path = "/".join(parts)
    assert is_left_out(path, GitIgnoreSpec.from_lines(["a/"])) == ("a" in parts[:-1])
    assert is_left_out(path, GitIgnoreSpec.from_lines(["a"])) == ("a" in parts)
    assert not is_left_out(path, GitIgnoreSpec.from_lines(["*", "!*"]))


def test_an_option_names_a_storage(home, tmp_path):
    assert describe_storage(storage_of()) == str(home / "storage")
    assert describe_storage(storage_of(tmp_path)) == str(tmp_path)
    assert describe_storage(storage_of(f"file://{tmp_path}")) == str(tmp_path)
    assert describe_storage(storage_of("s3://bucket/results/")) == "s3://bucket/results"
    own = S3(bucket_path="bucket/results")
    assert storage_of(own) is own
    assert describe_storage(own) == "s3://bucket/results"
    assert describe_storage(GCS(bucket_path="b/x")) == "gs://b/x"
    assert describe_storage(Azure(bucket_path="c/x")) == "az://c/x"
    assert describe_storage(object()) is None


def test_the_settings_folder_is_used(home, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_LOCAL_STORAGE_PATH", str(tmp_path / "elsewhere"))
    assert describe_storage(storage_of()) == str(tmp_path / "elsewhere")


@pytest.mark.parametrize("value", [3, "nope://host/x"])
def test_what_names_none_is_refused(value):
    with pytest.raises(InvalidInput, match=r"invalid storage|unknown storage scheme"):
        storage_of(value)


def test_secrets_are_not_shown():
    store = S3(bucket_path="b", aws_access_key_id="AKIA", aws_secret_access_key="hush-hush")
    assert "hush-hush" not in repr(store)
    assert "hush-hush" not in str(store.model_dump())
    assert store._options()["secret_access_key"] == "hush-hush"


def test_a_missing_extra_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("obstore"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r'az://c/x needs the extra azure: pip install "runyard\[azure\]"'):
        RemoteFileSystem(basepath="az://c/x")._store()


class Shelf:
    """A storage as users write them: with no more than the two methods."""

    def __init__(self):
        self.kept = {}

    def read_path(self, path):
        if path not in self.kept:
            raise FileNotFoundError(path)
        return self.kept[path]

    def write_path(self, path, content):
        self.kept[path] = content


class AsyncShelf(Shelf):
    async def read_path(self, path):
        await asyncio.sleep(0)
        return super().read_path(path)

    async def write_path(self, path, content):
        await asyncio.sleep(0)
        super().write_path(path, content)


@pytest.mark.parametrize("kind", [Shelf, AsyncShelf])
def test_results_go_to_a_storage_of_a_class_of_the_users(home, kind):
    ran, storage = [], kind()

    @task(result_storage=storage, cache_policy=INPUTS)
    def step(number):
        ran.append(number)
        return number

    @flow
    def sync():
        return step(1), step(1), step.submit(1).result()

    @flow
    async def asynchronous():
        return step(1), step(2), step(2)

    assert sync() == (1, 1, 1)
    assert asyncio.run(asynchronous()) == (1, 2, 2)
    assert ran == [1, 2]
    assert len(storage.kept) == 2
