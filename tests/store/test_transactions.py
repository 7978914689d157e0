"""What every driver must do with transactions, rows and errors."""

import sqlite3
import sys
import threading
import time

import pytest
from runyard.base.errors import Conflict, DatabaseBusy, NotFound
from runyard.operations import all_operations
from runyard.store.database import get_database

INSERT = "INSERT INTO flows (id, created, updated, name) VALUES (:id, 1, 1, :name)"


def names(database):
    with database.transaction(write=False) as tx:
        return [row["name"] for row in tx.all("SELECT name FROM flows ORDER BY name")]


def add(database, name):
    with database.transaction() as tx:
        tx.execute(INSERT, {"id": name, "name": name})


def test_what_a_block_did_is_there_after_it(database):
    add(database, "a")
    assert names(database) == ["a"]


def test_nothing_of_a_block_that_raises_is_kept(database):
    class Interrupted(BaseException):
        pass

    def write_and_raise(error):
        with database.transaction() as tx:
            tx.execute(INSERT, {"id": "a", "name": "a"})
            raise error

    for error in (NotFound("no"), ValueError("no"), Interrupted()):
        with pytest.raises(type(error)):
            write_and_raise(error)
    assert names(database) == []
    add(database, "b")
    assert names(database) == ["b"]


def test_a_transaction_sees_its_own_changes(database):
    with database.transaction() as tx:
        tx.execute(INSERT, {"id": "a", "name": "a"})
        assert tx.value("SELECT count(*) FROM flows") == 1


def test_a_single_statement_that_reads_sees_what_was_committed_and_holds_nothing(database):
    for name in ("a", "b"):
        add(database, name)
        with database.transaction(write=False, single=True) as tx:
            count = tx.value("SELECT count(*) FROM flows")
        assert count == len(names(database))
    add_by_another = threading.Thread(target=add, args=(database, "c"))
    add_by_another.start()
    add_by_another.join()
    with database.transaction(write=False, single=True) as tx:
        assert tx.value("SELECT count(*) FROM flows") == 3


def test_operations_declared_as_a_single_statement_run_one(database):
    single = [each for each in all_operations() if each.single]
    assert {each.name for each in single} == {"read_result"}
    statements = []
    with database.transaction(write=False) as tx:
        run = tx._run
        tx._run = lambda *given: statements.append(given) or run(*given)
        for operation in single:
            operation(tx, {"key": "k"})
    assert len(statements) == 1


def test_rows_are_dicts_in_the_order_of_the_columns(database):
    with database.transaction() as tx:
        row = tx.one(f"{INSERT} RETURNING name, id, created", {"id": "1", "name": "a"})
    assert list(row.items()) == [("name", "a"), ("id", "1"), ("created", 1)]


def test_execute_counts_the_rows_it_changed(database):
    with database.transaction() as tx:
        tx.many(INSERT, [{"id": str(n), "name": str(n)} for n in range(5)])
        assert tx.execute("UPDATE flows SET updated = :to WHERE id < :id", {"to": 2, "id": "3"}) == 3
        assert tx.execute("DELETE FROM flows WHERE id = :id", {"id": "none"}) == 0


def test_one_and_value_are_none_without_a_row(database):
    with database.transaction(write=False) as tx:
        assert tx.one("SELECT * FROM flows") is None
        assert tx.value("SELECT name FROM flows") is None
        assert tx.all("SELECT * FROM flows") == []


@pytest.mark.parametrize("text", ["100%", "a:b :name", "it's", 'x"y', "naïve ✓ 🚢", "%(name)s", "?"])
def test_values_travel_unchanged(database, text):
    with database.transaction() as tx:
        tx.execute(INSERT, {"id": "1", "name": text})
        assert tx.value("SELECT name FROM flows WHERE name = :name", {"name": text}) == text
        assert tx.value("SELECT 1 FROM flows WHERE name LIKE '%' AND id = :id", {"id": "1"}) == 1


def test_big_numbers_travel_unchanged(database):
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO flows (id, created, updated, name) VALUES (:id, :big, :low, 'a')",
            {"id": "1", "big": 2**62, "low": -(2**62)},
        )
        row = tx.one("SELECT created, updated FROM flows")
    assert row == {"created": 2**62, "updated": -(2**62)}


def test_a_name_given_twice_is_a_conflict(database):
    add(database, "a")
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.execute(INSERT, {"id": "other", "name": "a"})
    assert names(database) == ["a"]


def test_a_reference_to_nothing_is_a_conflict(database):
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.execute(
            "INSERT INTO deployments (id, created, updated, flow_id, name) VALUES ('d', 1, 1, 'missing', 'd')"
        )


def test_deleting_an_object_deletes_what_belongs_to_it(database):
    add(database, "f")
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO deployments (id, created, updated, flow_id, name) VALUES ('d', 1, 1, 'f', 'd')"
        )
        tx.execute("DELETE FROM flows")
        assert tx.value("SELECT count(*) FROM deployments") == 0


def test_a_reader_does_not_wait_for_a_writer_and_sees_one_moment(database):
    add(database, "a")
    with database.transaction(write=False) as reading:
        assert reading.value("SELECT count(*) FROM flows") == 1
        writer = threading.Thread(target=add, args=(database, "b"))
        writer.start()
        writer.join(60)
        assert not writer.is_alive()
        assert reading.value("SELECT count(*) FROM flows") == 1
    assert names(database) == ["a", "b"]


def test_a_reading_transaction_can_begin_while_another_writes(database):
    with database.transaction() as writing:
        writing.execute(INSERT, {"id": "a", "name": "a"})
        seen = []
        reader = threading.Thread(target=lambda: seen.append(names(database)))
        reader.start()
        reader.join(60)
        assert seen == [[]]


def test_concurrent_writers_lose_no_update(database):
    add(database, "counter")
    failures = []

    def work():
        try:
            for _ in range(25):
                with database.transaction() as tx:
                    tx.execute("UPDATE flows SET updated = updated + 1 WHERE id = 'counter'")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with database.transaction(write=False) as tx:
        assert tx.value("SELECT updated FROM flows") == 1 + 8 * 25


def test_one_object_per_url(database, database_url):
    assert get_database(database_url) is get_database() is database


def test_a_closed_database_opens_again(database):
    add(database, "a")
    database.close()
    assert names(database) == ["a"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_at_any_moment_leaves_no_transaction_open(database):
    """Handlers run, and may raise, where Python calls a function, or comes back from one of C's."""
    if database.dialect != "sqlite":
        pytest.skip("the driver is Python itself there")

    class Signalled(BaseException):
        pass

    def raising_at(moment):
        left = moment

        def look(frame, event, _argument):
            nonlocal left
            if event in ("call", "c_return") and frame.f_globals.get("__name__", "").startswith("runyard"):
                left -= 1
                if left == 0:
                    sys.setprofile(None)
                    raise Signalled

        return look

    def write(moment):
        sys.setprofile(raising_at(moment))
        try:
            with database.transaction() as tx:
                tx.execute("UPDATE flows SET updated = updated + 1")
        except Signalled:
            return True
        finally:
            sys.setprofile(None)
        return False

    add(database, "a")
    other = sqlite3.connect(database._driver.path, timeout=0, isolation_level=None)
    moment = 1
    while write(moment):
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
        moment += 1
    assert moment > 20
    other.close()


def test_a_clock_that_stands_still_does_not_keep_a_writer_waiting(database, monkeypatch):
    if database.dialect != "sqlite":
        pytest.skip("the server waits there")
    monkeypatch.setattr(database._driver, "_timeout", 0.2)
    add(database, "a")
    other = sqlite3.connect(database._driver.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    with pytest.raises(DatabaseBusy, match="another process held"):
        add(database, "b")
    other.close()
