"""Transactions: tasks that take effect together, or are undone together."""

from __future__ import annotations

import asyncio

import pytest
from runyard import flow, task
from runyard.engine.cache_policies import INPUTS
from runyard.engine.results.result_stores import ResultStore
from runyard.engine.transactions import (
    CommitMode,
    IsolationLevel,
    Transaction,
    atransaction,
    get_transaction,
    transaction,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def events():
    return []


@pytest.fixture
def write(events):
    """A task whose hooks note what becomes of it."""

    @task
    def write(name):
        get_transaction().set("name", name)
        events.append(f"write {name}")
        return name

    @write.on_rollback
    def undo(txn):
        events.append(f"undo {txn.get('name')}")

    @write.on_commit
    def done(txn):
        events.append(f"commit {txn.get('name')}")

    return write


def test_what_is_in_a_transaction_commits_at_its_end(write, events):
    @flow
    def main():
        with transaction() as txn:
            write("a")
            write("b")
            events.append("end")
            assert txn.is_active()
        assert txn.is_committed()

    main()
    assert events == ["write a", "write b", "end", "commit a", "commit b"]


def test_an_exception_undoes_newest_first_and_goes_on(write, events):
    @flow
    def main():
        with transaction() as txn:
            write("a")
            write("b")
            raise ValueError("no")
        assert txn.is_rolled_back()

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "write b", "undo b", "undo a"]


def test_a_failing_task_undoes_those_before_it(write, events):
    @task
    def fails():
        raise ValueError("no")

    @flow
    def main():
        with transaction():
            write("a")
            fails()

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "undo a"]


def test_outside_of_a_transaction_a_task_is_one_by_itself(write, events):
    @flow
    def main():
        write("a")
        raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        main()
    assert events == ["write a", "commit a"]


def test_transactions_nest(write, events):
    @flow
    def main():
        with transaction():
            write("a")
            with transaction():
                write("b")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "write b", "undo b", "undo a"]


def test_an_eager_one_inside_is_past_undoing(write, events):
    @flow
    def main():
        with transaction():
            with transaction(commit_mode=CommitMode.EAGER):
                write("a")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "commit a"]


def test_one_that_is_off_commits_only_when_told(write, events):
    @flow
    def main(commit):
        with transaction(commit_mode="OFF") as txn:
            write("a")
        if commit:
            txn.commit()
        return txn.state

    assert main(False) == "ROLLED_BACK"
    assert events == ["write a", "undo a"]


def test_a_failing_commit_hook_undoes_everything(write, events, recorded):
    @task
    def last():
        pass

    @last.on_commit
    def fails(txn):
        raise RuntimeError("no")

    @flow
    def main():
        with transaction() as txn:
            write("a")
            last()
        return txn.state

    assert main() == "ROLLED_BACK"
    assert events == ["write a", "commit a", "undo a"]
    assert any("commit failed" in line for line in recorded.logs())


def test_a_failing_rollback_hook_stops_no_other(write, events, recorded):
    @task
    def middle():
        pass

    @middle.on_rollback
    def fails(txn):
        raise RuntimeError("no")

    @flow
    def main():
        with transaction():
            write("a")
            middle()
            write("b")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        main()
    assert events[-2:] == ["undo b", "undo a"]
    assert any("Rollback hook 'fails' failed" in line for line in recorded.logs())


def test_values_are_seen_from_inside_and_are_copies():
    with transaction() as outer:
        outer.set("list", [1])
        with transaction() as inner:
            inner.get("list").append(2)
            assert inner.get("list") == [1]
            inner.set("list", [3])
            assert (outer.get("list"), inner.get("list")) == ([1], [3])
            assert inner.get("other", 4) == 4
            with pytest.raises(ValueError, match="no value named 'other'"):
                inner.get("other")
            assert inner.get_parent() is outer
            assert get_transaction() is inner
    assert get_transaction() is None


def test_a_key_makes_it_happen_once(events):
    @flow
    def main():
        with transaction(key="order-7") as txn:
            if txn.is_committed():
                return txn.read().result
            events.append("paid")
            txn.stage({"paid": True})
        return "now"

    assert main() == "now"
    assert main() == {"paid": True}
    assert events == ["paid"]


def test_a_key_of_one_that_failed_is_still_free(events):
    @flow
    def main(fail):
        with transaction(key="order-8") as txn:
            events.append(txn.is_committed())
            txn.stage(1)
            if fail:
                raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        main(True)
    main(False)
    main(False)
    assert events == [False, False, True]


def test_results_of_tasks_are_kept_only_when_all_commits():
    calls = []

    @task(cache_policy=INPUTS)
    def work(x):
        calls.append(x)
        return x

    @flow
    def main(fail):
        with transaction():
            work(1)
            if fail:
                raise ValueError("once")
            return work(1)

    with pytest.raises(ValueError, match="once"):
        main(True)
    main(False)
    assert calls == [1, 1, 1]  # in one lazy transaction nothing is known before its commit
    main(False)
    assert calls == [1, 1, 1]


def test_overwriting():
    with transaction(key="k") as txn:
        txn.stage(1)
    with transaction(key="k", overwrite=True) as txn:
        assert not txn.is_committed()
        txn.stage(2)
    assert ResultStore().read("k").result == 2
    with transaction(key="unwritten", write_on_commit=False) as txn:
        txn.stage(1)
    assert not ResultStore().exists("unwritten")


def test_serializable_ones_wait_for_each_other(events):
    import threading

    inside, go_on = threading.Event(), threading.Event()

    def first():
        with transaction(key="k", isolation_level=IsolationLevel.SERIALIZABLE) as txn:
            inside.set()
            go_on.wait(60)
            events.append("first")
            txn.stage("first")

    def second():
        inside.wait(60)
        with transaction(key="k", isolation_level="SERIALIZABLE") as txn:
            events.append(txn.is_committed())

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    inside.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert events == ["first", True]


def test_async_code_has_the_same(write, events):
    @task
    async def later(name):
        events.append(f"later {name}")

    @later.on_rollback
    async def undo(txn):
        await asyncio.sleep(0)
        events.append("undo later")

    @flow
    async def main():
        async with atransaction(key="a") as txn:
            await later("x")
            write("y")
            txn.stage(1)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(main())
    assert events == ["later x", "write y", "undo y", "undo later"]


def test_an_async_hook_of_sync_code_is_waited_for(events):
    @task
    def work():
        pass

    @work.on_commit
    async def done(txn):
        await asyncio.sleep(0)
        events.append("done")

    @flow
    def main():
        with transaction():
            work()

    main()
    assert events == ["done"]


def test_submitted_tasks_belong_to_the_transaction_around(write, events):
    @flow
    def main():
        with transaction():
            write.submit("a").wait()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "undo a"]


def test_a_subflow_is_not_part_of_the_callers_transaction(write, events):
    @flow
    def inner():
        write("a")

    @flow
    def main():
        with transaction():
            inner()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        main()
    assert events == ["write a", "commit a"]


def test_a_transaction_by_hand():
    txn = Transaction(key="hand")
    assert txn.is_pending()
    txn.stage(1)
    assert txn.is_staged()
    assert txn.rollback()
    assert not txn.rollback()
    assert not txn.commit()


def test_a_task_that_was_rolled_back_says_so(recorded, write):
    @flow
    def main():
        with transaction():
            write("a")
            write("b")
            raise ValueError

    main(return_state=True)
    assert [recorded.states(run) for run in recorded.task_runs()] == [
        ["Pending", "Running", "Completed", "RolledBack"]
    ] * 2
    assert {run["state_type"] for run in recorded.task_runs()} == {"COMPLETED"}


def test_a_lone_task_whose_commit_failed_was_rolled_back(recorded):
    @task
    def breaks():
        return 1

    @breaks.on_commit
    def refuse(_txn):
        raise RuntimeError

    breaks()
    assert recorded.states(recorded.task_runs()[0])[-2:] == ["Completed", "RolledBack"]


def test_async_hooks_of_sync_tasks_inside_a_loop(events):
    @task
    def work():
        return 1

    @work.on_commit
    async def done(_txn):
        await asyncio.sleep(0)
        events.append("commit")

    @work.on_rollback
    async def undo(_txn):
        await asyncio.sleep(0)
        events.append("undo")

    @flow
    async def main(fails):
        with transaction():
            work()
            if fails:
                raise ValueError

    asyncio.run(main(False))
    asyncio.run(main(True, return_state=True))
    assert events == ["commit", "undo"]


def test_transactions_by_themselves(write, events):
    @flow
    async def main():
        async with Transaction() as outer:
            write("a")
            assert Transaction.get_active() is outer
            assert await outer.commit()
            assert not await outer.rollback()
        with Transaction():
            write("b")
            raise ValueError("mine")

    assert "mine" in asyncio.run(main(return_state=True)).message
    assert events == ["write a", "commit a", "write b", "undo b"]
