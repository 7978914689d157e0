"""Isolates records that cannot be written: writes the others of a batch, and logs each lost record."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids, texts
from runyard.base.errors import ApiUnavailable, Conflict, StaleAttempt, StoreError
from runyard.domain.states import State
from runyard.operations.runs.run_records import LogRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.operations.runs.run_records import ResultRow

    Send = Callable[[list[Any], list[ResultRow]], None]

_ERROR = 40
# The first item of a journal record: its kind.
TASK_STATE, FLOW_STATE, LOG = range(3)
_KINDS = ("state of task run", "state of flow run", "log record")


def write(send: Send, group: list[Any], results: list[ResultRow], flow_run_id: str | None = None) -> None:
    """Write a batch of records; if that fails, write the part of it that can be written.

    Args:
        send: writes records and results together, or raises.
        group: records of the journal, in order.
        results: rows of results, which are written before the records that refer to them.
        flow_run_id: the root run; its log lists the lost records.

    Raises:
        StaleAttempt: a later attempt has taken over the run.
        StoreError, ApiUnavailable: the database or the API is unavailable, and the wait has ended.
    """
    try:
        send(group, results)
    except (StaleAttempt, StoreError, ApiUnavailable):
        raise
    except Exception as error:
        if not results and not group:
            raise
        if results and group:
            write(send, [], results, flow_run_id)
            write(send, group, [], flow_run_id)
        elif len(group) + len(results) > 1:
            for half in _halves(group):
                write(send, half, [], flow_run_id)
            for half in _halves(results):
                write(send, [], half, flow_run_id)
        elif group:
            _write_one(send, group[0], error, flow_run_id)
        else:
            what = f"The result {texts.shortened(str(results[0].key), 200)!r}"
            _tell(send, what, error, results[0].flow_run_id or flow_run_id, None)


def _halves(items: list[Any]) -> list[list[Any]]:
    middle = (len(items) + 1) // 2
    return [half for half in (items[:middle], items[middle:]) if half]


def _write_one(send: Send, record: Any, error: Exception, flow_run_id: str | None) -> None:
    """Write one record of a failed batch, completely or reduced; if both fail, log the loss."""
    kind, item = record[0], record[1]
    for form in _forms(record, error):
        try:
            _send_one(send, form)
        except (StaleAttempt, StoreError, ApiUnavailable):
            raise
        except Exception as again:
            error = again
        else:
            return
    if kind == LOG:
        _tell(send, f"A {_KINDS[kind]}", error, item.flow_run_id or flow_run_id, item.task_run_id)
        return
    what = f"The {_KINDS[kind]} {texts.name(item.name)!r} ({record[2].name})"
    if kind == TASK_STATE:
        _tell(send, what, error, item.flow_run_id, item.id)
    else:
        _tell(send, what, error, flow_run_id or item.id, None)


def _send_one(send: Send, record: Any) -> None:
    try:
        send([record], [])
    except Conflict:
        if record[0] != TASK_STATE:
            raise
        # Another run of the task already has its position.
        run = record[1]
        run.dynamic_key = f"{run.dynamic_key}.{run.id}"
        send([record], [])


def _forms(record: Any, error: Exception) -> Iterator[Any]:
    """The record, and for a state of a run the record with a reduced state."""
    yield record
    if record[0] == LOG:
        return
    kind, run, state = record
    # The run's row contains its current state, which may be a later one.
    present = run.state
    run.state = _bare(present, error)
    if kind == TASK_STATE:
        run.task_inputs = {}
    yield (kind, run, run.state if present is state else _bare(state, error))


def _bare(state: State, error: Exception) -> State:
    """A state with only its name and message; the message mentions it if more was dropped."""
    if state.data is None and not state.state_details:
        return state
    note = f"Not all of this state could be stored: {type(error).__name__}: {texts.told(error)}"
    message = f"{state.message}\n{note}" if state.message else note
    return State(state.type, state.name, message, None, state.timestamp_us, None, state.id)


def _tell(send: Send, what: str, error: Exception, flow_run_id: str | None, task_run_id: str | None) -> None:
    text = texts.message(f"{what} could not be stored: {type(error).__name__}: {texts.told(error)}")
    print(f"runyard: {text}", file=sys.stderr)
    row = LogRow(ids.new_id(), "runyard.journal", _ERROR, text, clock.now_us(), flow_run_id, task_run_id)
    try:
        send([(LOG, row)], [])
    except (StaleAttempt, StoreError, ApiUnavailable):
        raise
    except Exception as again:
        print(f"runyard: the run's log could not be written: {texts.told(again)}", file=sys.stderr)
