"""The graph of a flow run: its task runs and subflow runs, and what each waited for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import InvalidInput, TooMany
from runyard.operations.flow_runs.flow_run_shapes import estimates
from runyard.operations.flow_runs.flow_runs import read_flow_run_states, read_row
from runyard.operations.operation import operation
from runyard.operations.runs import removal
from runyard.operations.runs.state_columns import state_of
from runyard.operations.schemas import Model, Seconds, StateModel, StateType, Time, load, moment
from runyard.store.database import Row, Transaction

# As in Prefect.
_MOST_NODES = 10_000
_MOST_ARTIFACTS = 10_000
_STARTED = "coalesce(r.start_time, r.expected_start_time, t.start_time, t.expected_start_time)"
_ENDED = (
    "coalesce(r.end_time, t.end_time, "
    "CASE WHEN r.id IS NULL AND t.state_type = 'COMPLETED' THEN t.expected_start_time END)"
)
# A task run that stands for a subflow run is shown as that run.
_TASKS = (
    "task_runs t LEFT JOIN flow_runs r ON r.parent_task_run_id = t.id LEFT JOIN flows f ON f.id = r.flow_id"
)

_CALLED = "flow_runs r JOIN task_runs t ON t.id = r.parent_task_run_id"


class Dependency(Model):
    """A task run, and the task runs that it waited for."""

    id: str
    name: str
    upstream_dependencies: list[dict[str, Any]] = Field(default_factory=list)
    state: StateModel | None = None
    expected_start_time: Time | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    total_run_time: Seconds = timedelta()
    estimated_run_time: Seconds = timedelta()
    untrackable_result: bool = False


class Edge(Model):
    """The other end of an edge."""

    id: str


class GraphState(Model):
    """A state of the flow run."""

    id: str
    timestamp: Time
    type: StateType
    name: str | None = None


class GraphArtifact(Model):
    """An artifact in the graph; with its data only if it shows progress."""

    id: str
    created: Time
    key: str | None = None
    type: str | None = None
    is_latest: bool
    data: Any = None


class GraphNode(Model):
    """A task run or a subflow run: after its parents, before its children, inside of what encapsulates it."""

    kind: Literal["flow-run", "task-run"]
    id: str
    label: str
    state_type: StateType | None = None
    start_time: Time
    end_time: Time | None = None
    parents: list[Edge] = Field(default_factory=list)
    children: list[Edge] = Field(default_factory=list)
    encapsulating: list[Edge] = Field(default_factory=list)
    artifacts: list[GraphArtifact] = Field(default_factory=list)


class Graph(Model):
    """The graph of a flow run; its nodes by their start, each with its id before it."""

    start_time: Time | None = None
    end_time: Time | None = None
    root_node_ids: list[str] = Field(default_factory=list)
    nodes: list[tuple[str, GraphNode]] = Field(default_factory=list)
    artifacts: list[GraphArtifact] = Field(default_factory=list)
    states: list[GraphState] = Field(default_factory=list)


@operation("GET", "/flow_runs/{flow_run_id}/graph")
def read_flow_run_graph(tx: Transaction, flow_run_id: str) -> list[Dependency]:
    """List the task runs of a flow run, each with the task runs that it waited for.

    Raises:
        NotFound: the flow run is not found.
        TooMany: it has more than 10,000 task runs.
    """
    read_row(tx, flow_run_id)
    rows = tx.all(
        "SELECT * FROM task_runs WHERE flow_run_id = :id ORDER BY id LIMIT :most",
        {"id": flow_run_id, "most": _MOST_NODES + 1},
    )
    _refuse_too_many(flow_run_id, rows)
    found = []
    for row in rows:
        state = state_of(row)
        named = {each["id"]: each for each in _inputs(row) if each.get("input_type") == "task_run"}
        found.append(
            Dependency(
                id=row["id"],
                name=row["name"],
                upstream_dependencies=list(named.values()),
                state=None if state is None else StateModel.of(state),
                expected_start_time=moment(row["expected_start_time"]),
                start_time=moment(row["start_time"]),
                end_time=moment(row["end_time"]),
                total_run_time=clock.span_of(row["total_run_time"]),
                estimated_run_time=estimates(row)[0],
                untrackable_result=bool(state and state.state_details.get("untrackable_result")),
            )
        )
    return found


@operation("GET", "/flow_runs/{flow_run_id}/graph-v2")
def read_flow_run_graph_v2(tx: Transaction, flow_run_id: str, since: str = "") -> Graph:
    """Read the graph of a flow run: its task runs and subflow runs, artifacts and states.

    Args:
        since: a time; only runs that ended after it, or have not ended, are nodes.

    Raises:
        NotFound: the flow run is not found.
        InvalidInput: the time is invalid.
        TooMany: the graph has more than 10,000 nodes.
    """
    run = read_row(tx, flow_run_id)
    rows = _node_rows(tx, flow_run_id, since)
    artifacts = _artifacts(tx, flow_run_id)
    # A retried run may have called a subflow several times: then each call is a node.
    shown = _shown(tx, flow_run_id, rows)
    nodes: dict[str, GraphNode] = {}
    for row in rows:
        parents, around = (
            [Edge(id=one) for one in dict.fromkeys(one for name in ids for one in shown.get(name, ()))]
            for ids in _upstream(row)
        )
        nodes[row["node_id"]] = GraphNode(
            kind="task-run" if row["child_id"] is None else "flow-run",
            id=row["node_id"],
            label=row["name"] if row["child_id"] is None else f"{row['flow_name']} / {row['child_name']}",
            state_type=row["node_state"],
            start_time=clock.from_us(row["began"]),
            end_time=moment(row["ended"]),
            parents=parents,
            encapsulating=around,
            artifacts=artifacts.get(row["id"], []),
        )
    for node in nodes.values():
        for parent in node.parents:
            if parent.id in nodes:
                nodes[parent.id].children.append(Edge(id=node.id))
    began = run["start_time"] if run["start_time"] is not None else run["expected_start_time"]
    return Graph(
        start_time=moment(began),
        end_time=moment(run["end_time"]),
        root_node_ids=[node.id for node in nodes.values() if not node.parents],
        nodes=list(nodes.items()),
        artifacts=artifacts.get(None, []),
        states=[
            GraphState(id=state.id, timestamp=state.timestamp, type=state.type, name=state.name)
            for state in read_flow_run_states(tx, flow_run_id)
        ],
    )


def _node_rows(tx: Transaction, flow_run_id: str, since: str) -> list[Row]:
    try:
        values = {"since": clock.to_us(clock.parse_time(since))} if since else {}
    except ValueError as error:
        raise InvalidInput(f"invalid time {since!r}; write it as 2026-01-31T08:00:00Z") from error
    recent = f" AND ({_ENDED} IS NULL OR {_ENDED} >= :since)" if values else ""
    rows = tx.all(
        "SELECT t.id, t.name, t.task_inputs, r.id AS child_id, r.name AS child_name, f.name AS flow_name, "  # noqa: S608  # ours
        "coalesce(r.id, t.id) AS node_id, coalesce(r.state_type, t.state_type) AS node_state, "
        f"{_STARTED} AS began, {_ENDED} AS ended FROM {_TASKS} "
        f"WHERE t.flow_run_id = :id AND {_STARTED} IS NOT NULL{recent} LIMIT :most",
        {**values, "id": flow_run_id, "most": _MOST_NODES + 1},
    )
    _refuse_too_many(flow_run_id, rows)
    return sorted(
        rows, key=lambda row: (row["began"], row["ended"] is None, row["ended"] or 0, row["node_id"])
    )


def _refuse_too_many(flow_run_id: str, rows: list[Row]) -> None:
    if len(rows) > _MOST_NODES:
        raise TooMany(f"The graph of flow run {flow_run_id} has more than {_MOST_NODES} nodes.")


def _inputs(row: Row, *names: str) -> Iterator[dict[str, Any]]:
    """The runs that a task run got as inputs; `names`: only those inputs."""
    inputs = load(row["task_inputs"], {})
    for name, given in (inputs if isinstance(inputs, dict) else {}).items():
        if not names or name in names:
            for each in given if isinstance(given, list) else ():
                if isinstance(each, dict) and isinstance(each.get("id"), str):
                    yield each


def _upstream(row: Row) -> tuple[list[str], list[str]]:
    """The ids of the runs that a task run waited for, and of those in which it ran."""
    around = [each["id"] for each in _inputs(row, "__parents__")]
    inputs = load(row["task_inputs"], {})
    others = [name for name in inputs if name != "__parents__"] if isinstance(inputs, dict) else []
    return [each["id"] for each in _inputs(row, *others)] if others else [], around


def _shown(tx: Transaction, flow_run_id: str, rows: list[Row]) -> dict[str, list[str]]:
    """The ids of the nodes, by the ids of their task runs and subflow runs; also of those before `since`."""
    found: dict[str, list[str]] = {}
    _note(found, rows)
    wanted = {name for row in rows for ids in _upstream(row) for name in ids} - set(found)
    for ids in removal.chunks(sorted(wanted)):
        names, values = removal.named(ids, "t")
        for column, tables in (("t.id", _TASKS), ("r.id", _CALLED)):
            more = tx.all(
                f"SELECT t.id, r.id AS child_id, coalesce(r.id, t.id) AS node_id FROM {tables} "  # noqa: S608  # names
                f"WHERE t.flow_run_id = :id AND {column} IN ({names}) AND {_STARTED} IS NOT NULL",
                {**values, "id": flow_run_id},
            )
            _note(found, more)
    return found


def _note(found: dict[str, list[str]], rows: Iterable[Row]) -> None:
    for row in rows:
        for name in {row["id"], row["node_id"]}:
            nodes = found.setdefault(name, [])
            if row["node_id"] not in nodes:
                nodes.append(row["node_id"])


def _artifacts(tx: Transaction, flow_run_id: str) -> dict[str | None, list[GraphArtifact]]:
    """The artifacts of a flow run by their task run; those of the flow itself under None."""
    rows = tx.all(
        """SELECT a.id, a.created, a.key, a.type, a.task_run_id,
               CASE WHEN a.type = 'progress' THEN a.data END AS data,
               CASE WHEN a.key IS NULL OR NOT EXISTS (
                   SELECT 1 FROM artifacts n WHERE n.key = a.key AND n.id > a.id) THEN 1 ELSE 0 END AS latest
           FROM artifacts a WHERE a.flow_run_id = :id AND coalesce(a.type, '') <> 'result'
           ORDER BY a.created, a.id LIMIT :most""",
        {"id": flow_run_id, "most": _MOST_ARTIFACTS},
    )
    found: dict[str | None, list[GraphArtifact]] = {}
    for row in rows:
        artifact = GraphArtifact(
            id=row["id"],
            created=clock.from_us(row["created"]),
            key=row["key"],
            type=row["type"],
            is_latest=bool(row["latest"]),
            data=load(row["data"]),
        )
        found.setdefault(row["task_run_id"], []).append(artifact)
    return found
