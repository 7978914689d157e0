"""Storage in what fsspec reaches."""

from __future__ import annotations

import uuid

import pytest
from runyard import flow, task
from runyard.base.errors import InvalidInput, MissingExtra, StorageAway
from runyard.blocks.filesystems import RemoteFileSystem, describe_storage, storage_of

pytest.importorskip("fsspec")


@pytest.fixture
def url():
    return f"memory://runyard/{uuid.uuid4().hex}"


def test_files_are_written_read_listed_and_deleted(home, url):
    files = storage_of(url)
    assert files.write_path("a/b.txt", b"1") == f"{url}/a/b.txt"
    files.write_path("a/b.txt", "2")
    files.write_path("c.txt", b"3")
    assert files.read_path("a/b.txt") == b"2"
    assert sorted(files.walk("")) == ["a/b.txt", "c.txt"]
    assert list(files.walk("a")) == ["a/b.txt"]
    files.delete_path("c.txt")
    files.delete_path("c.txt")
    with pytest.raises(FileNotFoundError):
        files.read_path("c.txt")
    with pytest.raises(InvalidInput):
        files.read_path("../out")


def test_folders_are_copied_both_ways(home, url, tmp_path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "x.txt").write_text("x")
    files = RemoteFileSystem(basepath=url)
    assert files.put_directory(str(tmp_path / "from"), "up") == 1
    assert files.get_directory("up", str(tmp_path / "to")) == 1
    assert (tmp_path / "to" / "deep" / "x.txt").read_text() == "x"


def test_results_are_kept_there(recorded, url):
    calls = []

    @task(result_storage=url, result_storage_key="mine-{parameters[x]}", persist_result=True)
    def work(x):
        calls.append(x)
        return x + 1

    @flow
    def runs():
        return work(1), work(1)

    assert runs() == (2, 2)
    assert calls == [1]
    assert list(storage_of(url).walk("")) == ["mine-1"]


def test_what_fsspec_does_not_know_is_told(home):
    with pytest.raises(InvalidInput, match="nope"):
        storage_of("nope://somewhere/x")


def test_what_a_kind_of_place_needs_is_told(home, monkeypatch):
    import fsspec

    def missing(scheme):
        raise ImportError('Install "paramiko" to use sftp')

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(MissingExtra, match=r"sftp://me:\*+@host/x.*paramiko"):
        storage_of("sftp://me:geheim@host/x")


def test_a_password_in_a_url_is_not_shown(home):
    assert describe_storage(RemoteFileSystem(basepath="ftp://me:geheim@host/x")) == "ftp://me:********@host/x"


@pytest.fixture
def failing(monkeypatch):
    """A filesystem that the user registered, whose connection breaks as often as the list says."""
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem
    from runyard.blocks import fsspec_files

    left, waits = [], []

    class Failing(MemoryFileSystem):
        protocol = "failing"

        def __init__(self, **options):
            super().__init__(**options)
            self.broken = False

        def reach(self):
            if left or self.broken:
                self.broken = True  # as a connection of paramiko is for good
                raise left.pop() if left else EOFError("broken")

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(path.partition("://")[2] or path)

        def cat_file(self, *args, **kwargs):
            self.reach()
            return super().cat_file(*args, **kwargs)

        def pipe_file(self, *args, **kwargs):
            self.reach()
            return super().pipe_file(*args, **kwargs)

    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(fsspec_files.time, "sleep", waits.append)
    return left, waits


def test_a_storage_that_is_away_for_a_moment_is_connected_again(recorded, failing):
    left, waits = failing
    calls = []

    @task(result_storage="failing://place", result_storage_key=uuid.uuid4().hex, persist_result=True)
    def work():
        calls.append(1)
        return 5

    @flow
    def main():
        return work()

    left.append(ConnectionResetError("gone"))
    assert main() == 5
    left.append(EOFError())
    assert main() == 5
    assert (calls, waits) == ([1], [0.2, 0.2])


def test_a_storage_that_stays_away_is_said_in_one_line(home, failing):
    left, waits = failing
    left.extend(ConnectionResetError("gone") for _ in range(4))
    with pytest.raises(
        StorageAway, match=r"failing://me:\*+@place failed 4 times: ConnectionResetError: gone"
    ):
        RemoteFileSystem(basepath="failing://me:secretword@place").read_path("x")
    assert (left, waits) == ([], [0.2, 1.0, 3.0])
    left.append(PermissionError("no"))
    with pytest.raises(PermissionError):
        storage_of("failing://place").read_path("x")
