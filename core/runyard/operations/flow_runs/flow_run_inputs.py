"""Inputs of flow runs: texts that are sent to a run while it runs, each stored once under a key."""

from __future__ import annotations

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotFound
from runyard.operations.filters.query_text import like_pattern
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time
from runyard.store.database import Row, Transaction

_MOST = 200


class FlowRunInput(Model):
    """An input. `value` is JSON text. `sender` is `prefect.flow-run.ID` if a flow run sent it."""

    id: str
    created: Time
    updated: Time
    flow_run_id: str
    key: str
    value: str
    sender: str | None = None


class FlowRunInputCreate(Input):
    """An input to create."""

    key: str = Field(min_length=1, pattern=r"^[^/%&<>]+$")
    value: str
    sender: str | None = None


class FlowRunInputFilter(Input):
    """Which inputs to list: those whose key starts with `prefix`, without `exclude_keys`."""

    prefix: str
    limit: int = Field(default=1, ge=1, le=_MOST)
    exclude_keys: list[str] = Field(default_factory=list)


@operation("POST", "/flow_runs/{flow_run_id}/input", status=201)
def create_flow_run_input(tx: Transaction, flow_run_id: str, body: FlowRunInputCreate) -> None:
    """Create an input of a flow run.

    Raises:
        NotFound: the flow run is not found.
        Conflict: the flow run already has an input with that key.
    """
    if tx.one("SELECT id FROM flow_runs WHERE id = :id", {"id": flow_run_id}) is None:
        raise NotFound(f"flow run {flow_run_id} not found; see: runyard flow-run ls")
    if not _insert(tx, flow_run_id, body):
        raise Conflict(f"flow run {flow_run_id} has an input {body.key!r} already")


def put(tx: Transaction, flow_run_id: str, key: str, value: str, sender: str | None = None) -> None:
    """Store an input of an existing flow run. It replaces an input with the same key."""
    remove(tx, flow_run_id, key)
    _insert(tx, flow_run_id, FlowRunInputCreate(key=key, value=value, sender=sender))


def _insert(tx: Transaction, flow_run_id: str, body: FlowRunInputCreate) -> int:
    now = clock.now_us()
    return tx.execute(
        """INSERT INTO flow_run_inputs (id, created, updated, flow_run_id, key, value, sender)
           VALUES (:id, :now, :now, :flow_run_id, :key, :value, :sender)
           ON CONFLICT (flow_run_id, key) DO NOTHING""",
        {"id": ids.new_id(), "now": now, "flow_run_id": flow_run_id, **body.model_dump()},
    )


def remove(tx: Transaction, flow_run_id: str, key: str) -> int:
    """Delete an input. Returns the number of deleted inputs."""
    values = {"id": flow_run_id, "key": key}
    return tx.execute("DELETE FROM flow_run_inputs WHERE flow_run_id = :id AND key = :key", values)


def value_of(tx: Transaction, flow_run_id: str, key: str) -> str | None:
    """The value of an input, or None if it does not exist."""
    values = {"id": flow_run_id, "key": key}
    found = tx.value("SELECT value FROM flow_run_inputs WHERE flow_run_id = :id AND key = :key", values)
    return None if found is None else str(found)


@operation("POST", "/flow_runs/{flow_run_id}/input/filter")
def filter_flow_run_input(tx: Transaction, flow_run_id: str, body: FlowRunInputFilter) -> list[FlowRunInput]:
    """List the inputs of a flow run whose keys start with `prefix`, oldest first."""
    values = {"id": flow_run_id, "prefix": f"{like_pattern(body.prefix)}%"}
    excluded = {f"k{index}": key for index, key in enumerate(body.exclude_keys)}
    without = f"AND key NOT IN ({', '.join(f':{name}' for name in excluded)}) " if excluded else ""
    rows = tx.all(
        "SELECT * FROM flow_run_inputs WHERE flow_run_id = :id AND key LIKE :prefix ESCAPE '\\' "  # noqa: S608  # names of parameters
        f"{without}ORDER BY created, id LIMIT {body.limit}",
        {**values, **excluded},
    )
    return [_input_of(row) for row in rows if row["key"].startswith(body.prefix)]


@operation("GET", "/flow_runs/{flow_run_id}/input/{key}", text=True)
def read_flow_run_input(tx: Transaction, flow_run_id: str, key: str) -> str:
    """Read the value of an input as text.

    Raises:
        NotFound: the flow run has no input with that key.
    """
    value = value_of(tx, flow_run_id, key)
    if value is None:
        raise NotFound(f"flow run {flow_run_id} has no input {key!r}")
    return value


@operation("DELETE", "/flow_runs/{flow_run_id}/input/{key}", status=204)
def delete_flow_run_input(tx: Transaction, flow_run_id: str, key: str) -> None:
    """Delete an input.

    Raises:
        NotFound: the flow run has no input with that key.
    """
    if not remove(tx, flow_run_id, key):
        raise NotFound(f"flow run {flow_run_id} has no input {key!r}")


def _input_of(row: Row) -> FlowRunInput:
    return FlowRunInput(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        flow_run_id=row["flow_run_id"],
        key=row["key"],
        value=row["value"],
        sender=row["sender"],
    )
