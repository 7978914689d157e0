"""A kept result that cannot be read is a miss: the log says so in one line, and the task runs again."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import types

import pytest
from runyard import flow, task
from runyard.base.exceptions import UnreadableResult
from runyard.engine.results.result_stores import ResultStore
from runyard.engine.transactions import transaction
from runyard.store.database import get_database


def results():
    with get_database().transaction(write=False) as tx:
        return tx.all("SELECT key, serializer, data, place FROM results")


def change(**columns):
    """Change the rows of all results, as who can write the database may."""
    words = ", ".join(f"{name} = :{name}" for name in columns)
    with get_database().transaction() as tx:
        tx.execute(f"UPDATE results SET {words}", columns)


@pytest.fixture
def shapes():
    """A module with a class, as a library has it."""
    module = types.ModuleType("shapes")
    exec("class Square:\n    side = 2", module.__dict__)
    sys.modules["shapes"] = module
    yield module
    sys.modules.pop("shapes", None)


def counted(**options):
    ran = []

    @task(cache_key_fn=lambda context, parameters: "the-key", **options)
    def make():
        ran.append(1)
        return getattr(sys.modules.get("shapes"), "Square", int)()

    return make, ran


def test_a_class_that_was_renamed(home, shapes, recorded):
    make, ran = counted()

    @flow
    def main():
        return make()

    main()
    shapes.Rectangle = shapes.Square
    del shapes.Square
    assert main() == 0
    assert main() == 0
    assert len(ran) == 2, "the new result is kept"
    (line,) = [line for line in recorded.logs() if "is not used" in line]
    assert "AttributeError" in line
    assert "\n" not in line


def test_a_module_that_is_gone(home, shapes, tmp_path):
    make, ran = counted(result_storage=str(tmp_path / "results"))
    assert flow(lambda: make(), name="main")().side == 2
    del sys.modules["shapes"]
    assert flow(lambda: make(), name="main")() == 0
    assert len(ran) == 2


def test_in_a_transaction_too(home, shapes):
    make, ran = counted()

    @flow
    def main():
        with transaction():
            return make()

    main()
    del sys.modules["shapes"]
    assert [main(), main()] == [0, 0]
    assert len(ran) == 2


def test_a_subflow_whose_result_cannot_be_read(home, shapes):
    ran = []

    @flow
    def inner():
        ran.append("inner")
        return getattr(sys.modules.get("shapes"), "Square", int)()

    @flow(persist_result=True, retries=1)
    def main():
        found = inner()
        if len(ran) == 1:
            del sys.modules["shapes"]
            raise ConnectionError("once")
        return found

    assert main() == 0
    assert ran == ["inner", "inner"]


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"[]", b'{"metadata": 1}', b'{"metadata": {}}', b"\xff"]
)
def test_a_file_that_holds_something_else(home, tmp_path, content):
    make, ran = counted(result_storage=str(tmp_path / "results"))
    flow(lambda: make(), name="main")()
    (file,) = (tmp_path / "results").iterdir()
    file.write_bytes(content)
    assert flow(lambda: make(), name="main")() == 0
    assert len(ran) == 2


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "x", "class": "subprocess.Popen", "args": ["touch", "called"]},
        {"type": "pickle"},
        {"type": "no-such"},
        {},
        [],
        None,
    ],
)
def test_who_writes_a_row_runs_no_code_in_a_reader_of_json(home, tmp_path, monkeypatch, entry):
    monkeypatch.chdir(tmp_path)
    make, ran = counted(result_serializer="json")
    flow(lambda: make(), name="main")()
    called = pickle.dumps(Touch())
    change(serializer=json.dumps(entry), data=base64.b64encode(called).decode())
    flow(lambda: make(), name="main")()
    assert len(ran) == 2
    assert not (tmp_path / "called").exists()


class Touch:
    """A pickle that makes a file where it is read."""

    def __reduce__(self):
        return (open, ("called", "w"))


def test_a_row_names_no_file_but_its_own(home, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(pickle.dumps("secret"))
    make, ran = counted()
    flow(lambda: make(), name="main")()
    change(data=None, place=str(secret))
    assert flow(lambda: make(), name="main")() == 0
    assert len(ran) == 2


def test_a_large_result_is_read_from_its_file_wherever_its_entry_is(home, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNYARD_RESULTS_INLINE_BYTES", "10")
    for store in (ResultStore(), ResultStore(key_storage=str(tmp_path / "keys"))):
        store.write("x" * 100, "large")
        assert store.read("large").result == "x" * 100
    (row,) = results()
    os.unlink(row["place"])
    os.mkfifo(row["place"])
    assert ResultStore().find("large") is None, "a pipe is no file, and is not waited for"


def test_who_asks_for_it_is_told_why(home, shapes):
    store = ResultStore()
    store.write(shapes.Square(), "square")
    del shapes.Square
    with pytest.raises(UnreadableResult, match="result stored under 'square' cannot be read: AttributeError"):
        store.read("square")
