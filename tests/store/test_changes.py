"""Waiting for what others commit."""

import threading

from runyard.store.database import Database

INSERT = "INSERT INTO flows (id, created, updated, name) VALUES (:name, 1, 1, :name)"


def add(database, name):
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": name})


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join(60)


def test_the_token_stays_while_nothing_happens(database):
    token = database.changes()
    assert database.changes() == token
    assert database.wait_for_change(token, 0.05) == token


def test_a_commit_of_another_connection_changes_the_token(database):
    token = database.changes()
    in_thread(add, database, "a")
    assert database.wait_for_change(token, 60) != token


def test_a_commit_before_the_wait_is_not_missed(database, database_url):
    token = database.changes()
    other = Database(database_url)
    add(other, "a")
    other.close()
    assert database.wait_for_change(token, 60) != token


def test_reading_and_undoing_change_nothing(database):
    def read_and_undo():
        with database.transaction(write=False) as tx:
            tx.all("SELECT * FROM flows")
        try:
            with database.transaction() as tx:
                tx.execute(INSERT, {"name": "a"})
                raise ValueError
        except ValueError:
            pass

    token = database.changes()
    in_thread(read_and_undo)
    assert database.wait_for_change(token, 0.1) == token


def test_waiting_ends_with_the_commit(database):
    waiting, woken = threading.Event(), threading.Event()

    def wait():
        token = database.changes()
        waiting.set()
        if database.wait_for_change(token, 60) != token:
            woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(60)
    add(database, "a")
    assert woken.wait(60)
    thread.join(60)


def test_each_of_many_commits_is_told(database):
    for number in range(5):
        token = database.changes()
        in_thread(add, database, str(number))
        assert database.wait_for_change(token, 60) != token
