"""The names that filters and sorts of the API may use: the fields of each kind, its relations and orders."""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """One field of a filter.

    Args:
        kind: `value`, `tags`, `state_type`, `state_name`, `json` (a column, and a part of it), `nested` (SQL
            with `{test}` inside a subquery), `exists` (SQL of a condition).
        sql: its value, with the alias of its kind.
        operators: the valid operators.
        null: what `is_null_` tests, if not `sql`.
    """

    kind: str
    sql: str
    operators: tuple[str, ...]
    null: str = ""


Fields = dict[str, "Field | dict[str, Field]"]

# The table and the alias of each kind.
TABLES = {
    "flows": ("flows", "f"),
    "flow_runs": ("flow_runs", "r"),
    "task_runs": ("task_runs", "t"),
    "deployments": ("deployments", "d"),
    "work_pools": ("work_pools", "p"),
    "work_queues": ("work_queues", "q"),
    "workers": ("workers", "w"),
    "logs": ("logs", "l"),
    "artifacts": ("artifacts", "a"),
    "variables": ("variables", "v"),
}
# The names of the filters in a body, and the kind of each.
FILTERS = {**{kind: kind for kind in TABLES}, "work_pool_queues": "work_queues"}

_ANY = ("any_",)
_EITHER = ("any_", "not_any_")
_NAME = ("any_", "like_")
_TIME = ("before_", "after_")
_TIME_OR_NULL = ("before_", "after_", "is_null_")
_OPTIONAL = ("any_", "is_null_")


def _state(alias: str, operators: tuple[str, ...]) -> dict[str, Field]:
    return {
        "type": Field("state_type", f"{alias}.state_type", operators),
        "name": Field("state_name", f"{alias}.state_name", operators),
    }


def _queue_named(alias: str) -> str:
    return alias + ".work_queue_id IN (SELECT x.id FROM work_queues x WHERE x.name {test})"  # noqa: S608  # a constant


FIELDS: dict[str, Fields] = {
    "flows": {
        "id": Field("value", "f.id", _EITHER),
        "name": Field("value", "f.name", _NAME),
        "tags": Field("tags", "f.tags", ("all_", "is_null_")),
        "deployment": Field(
            "exists", "EXISTS (SELECT 1 FROM deployments x WHERE x.flow_id = f.id)", ("is_null_",)
        ),
    },
    "flow_runs": {
        "id": Field("value", "r.id", _EITHER),
        "name": Field("value", "r.name", _NAME),
        "tags": Field("tags", "r.tags", ("all_", "any_", "is_null_")),
        "deployment_id": Field("value", "r.deployment_id", _OPTIONAL),
        "work_queue_name": Field("nested", _queue_named("r"), _OPTIONAL, null="r.work_queue_id"),
        "state": _state("r", _EITHER),
        "flow_version": Field("value", "r.flow_version", _ANY),
        "start_time": Field(
            "value", "coalesce(r.start_time, r.expected_start_time)", _TIME_OR_NULL, null="r.start_time"
        ),
        "end_time": Field("value", "r.end_time", _TIME_OR_NULL),
        "expected_start_time": Field("value", "r.expected_start_time", _TIME),
        "next_scheduled_start_time": Field("value", "r.next_scheduled_start_time", _TIME),
        "parent_flow_run_id": Field(
            "nested",
            "r.parent_task_run_id IN (SELECT x.id FROM task_runs x WHERE x.flow_run_id {test})",
            _ANY,
        ),
        "parent_task_run_id": Field("value", "r.parent_task_run_id", _OPTIONAL),
        "idempotency_key": Field("value", "r.idempotency_key", _EITHER),
        "created_by": Field("json", "r.created_by", ("id_", "type_", "is_null_")),
    },
    "task_runs": {
        "id": Field("value", "t.id", _ANY),
        "name": Field("value", "t.name", _NAME),
        "tags": Field("tags", "t.tags", ("all_", "is_null_")),
        "state": _state("t", _ANY),
        "start_time": Field("value", "t.start_time", _TIME_OR_NULL),
        "end_time": Field("value", "t.end_time", _TIME_OR_NULL),
        "expected_start_time": Field("value", "t.expected_start_time", _TIME),
        "subflow_runs": Field(
            "exists", "EXISTS (SELECT 1 FROM flow_runs x WHERE x.parent_task_run_id = t.id)", ("exists_",)
        ),
        "flow_run_id": Field("value", "t.flow_run_id", _OPTIONAL),
    },
    "deployments": {
        "id": Field("value", "d.id", _EITHER),
        "name": Field("value", "d.name", _NAME),
        "flow_or_deployment_name": Field(
            "nested",
            "(lower(d.name) {test} OR "
            "EXISTS (SELECT 1 FROM flows x WHERE x.id = d.flow_id AND lower(x.name) {test}))",
            ("like_",),
        ),
        "paused": Field("value", "d.paused", ("eq_",)),
        "tags": Field("tags", "d.tags", ("all_", "any_", "is_null_")),
        "work_queue_name": Field("nested", _queue_named("d"), _ANY),
        "concurrency_limit": Field("value", "d.concurrency_limit", ("ge_", "le_", "is_null_")),
    },
    "work_pools": {
        "id": Field("value", "p.id", _ANY),
        "name": Field("value", "p.name", _ANY),
        "type": Field("value", "p.type", _ANY),
    },
    "work_queues": {
        "id": Field("value", "q.id", _ANY),
        "name": Field("value", "q.name", ("any_", "startswith_")),
    },
    "workers": {"last_heartbeat_time": Field("value", "w.last_heartbeat_time", _TIME)},
    "logs": {
        "level": Field("value", "l.level", ("ge_", "le_")),
        "timestamp": Field("value", "l.timestamp", _TIME),
        "flow_run_id": Field("value", "l.flow_run_id", _ANY),
        "task_run_id": Field("value", "l.task_run_id", _OPTIONAL),
        "text": Field("value", "lower(l.message || ' ' || l.name)", ("query",)),
    },
    "artifacts": {
        "id": Field("value", "a.id", _ANY),
        "latest_id": Field("value", "a.id", _ANY),
        "key": Field("value", "a.key", ("any_", "like_", "exists_")),
        "flow_run_id": Field("value", "a.flow_run_id", _ANY),
        "task_run_id": Field("value", "a.task_run_id", _ANY),
        # An artifact without a type matches none of the excluded types.
        "type": Field("value", "coalesce(a.type, '')", _EITHER),
    },
    "variables": {
        "id": Field("value", "v.id", _ANY),
        "name": Field("value", "v.name", _NAME),
        "tags": Field("tags", "v.tags", ("all_", "is_null_")),
    },
}

_POOL = "JOIN work_pools p ON p.id = q.work_pool_id"

# By listed kind and other kind: the tables that lead to the other kind, joined to the listed one's alias.
RELATIONS: dict[str, dict[str, str]] = {
    "flows": {
        "flow_runs": "flow_runs r WHERE r.flow_id = f.id",
        "task_runs": "task_runs t JOIN flow_runs r ON r.id = t.flow_run_id WHERE r.flow_id = f.id",
        "deployments": "deployments d WHERE d.flow_id = f.id",
        "work_queues": "deployments d JOIN work_queues q ON q.id = d.work_queue_id WHERE d.flow_id = f.id",
        "work_pools": "deployments d JOIN work_queues q ON q.id = d.work_queue_id "
        f"{_POOL} WHERE d.flow_id = f.id",
    },
    "flow_runs": {
        "flows": "flows f WHERE f.id = r.flow_id",
        "task_runs": "task_runs t WHERE t.flow_run_id = r.id",
        "deployments": "deployments d WHERE d.id = r.deployment_id",
        "work_queues": "work_queues q WHERE q.id = r.work_queue_id",
        "work_pools": f"work_queues q {_POOL} WHERE q.id = r.work_queue_id",
    },
    "task_runs": {
        "flows": "flow_runs r JOIN flows f ON f.id = r.flow_id WHERE r.id = t.flow_run_id",
        "flow_runs": "flow_runs r WHERE r.id = t.flow_run_id",
        "deployments": "flow_runs r JOIN deployments d ON d.id = r.deployment_id WHERE r.id = t.flow_run_id",
        "work_queues": "flow_runs r JOIN work_queues q ON q.id = r.work_queue_id WHERE r.id = t.flow_run_id",
        "work_pools": "flow_runs r JOIN work_queues q ON q.id = r.work_queue_id "
        f"{_POOL} WHERE r.id = t.flow_run_id",
    },
    "deployments": {
        "flows": "flows f WHERE f.id = d.flow_id",
        "flow_runs": "flow_runs r WHERE r.deployment_id = d.id",
        "task_runs": "task_runs t JOIN flow_runs r ON r.id = t.flow_run_id WHERE r.deployment_id = d.id",
        "work_queues": "work_queues q WHERE q.id = d.work_queue_id",
        "work_pools": f"work_queues q {_POOL} WHERE q.id = d.work_queue_id",
    },
    "artifacts": {
        "flow_runs": "flow_runs r WHERE r.id = a.flow_run_id",
        "task_runs": "task_runs t WHERE t.id = a.task_run_id",
        "flows": "flow_runs r JOIN flows f ON f.id = r.flow_id WHERE r.id = a.flow_run_id",
        "deployments": "flow_runs r JOIN deployments d ON d.id = r.deployment_id WHERE r.id = a.flow_run_id",
    },
    "work_queues": {"work_pools": "work_pools p WHERE p.id = q.work_pool_id"},
}


def _named(alias: str) -> dict[str, str]:
    return {
        "NAME_ASC": f"{alias}.name, {alias}.id",
        "NAME_DESC": f"{alias}.name DESC, {alias}.id DESC",
        "CREATED_DESC": f"{alias}.created DESC, {alias}.id DESC",
        "UPDATED_DESC": f"{alias}.updated DESC, {alias}.id DESC",
    }


def _runs(alias: str) -> dict[str, str]:
    # SQLite and PostgreSQL order nulls differently, so nullable columns state it.
    return {
        "ID_DESC": f"{alias}.id DESC",
        "EXPECTED_START_TIME_ASC": f"{alias}.expected_start_time, {alias}.id",
        "EXPECTED_START_TIME_DESC": f"{alias}.expected_start_time DESC, {alias}.id DESC",
        "NAME_ASC": f"{alias}.name, {alias}.id",
        "NAME_DESC": f"{alias}.name DESC, {alias}.id DESC",
        "NEXT_SCHEDULED_START_TIME_ASC": f"{alias}.next_scheduled_start_time IS NULL, "
        f"{alias}.next_scheduled_start_time, {alias}.id",
        # The expression of an index: runs that have not ended come last.
        "END_TIME_DESC": f"coalesce({alias}.end_time, 0) DESC, {alias}.id DESC",
    }


_STARTED = "coalesce(r.start_time, r.expected_start_time)"

_FLOW_OF_DEPLOYMENT = "(SELECT x.name FROM flows x WHERE x.id = d.flow_id)"
_NEXT_DUE = "(SELECT min(x.next_due) FROM deployment_schedules x WHERE x.deployment_id = d.id)"

# By kind: the sort values, the default first, and their orders.
SORTS: dict[str, dict[str, str]] = {
    "flows": _named("f"),
    "deployments": {
        **_named("d"),
        "FLOW_NAME_ASC": f"{_FLOW_OF_DEPLOYMENT}, d.name, d.id",
        "NEXT_DUE_ASC": f"{_NEXT_DUE} IS NULL, {_NEXT_DUE}, {_FLOW_OF_DEPLOYMENT}, d.name, d.id",
    },
    "flow_runs": {
        **_runs("r"),
        "START_TIME_ASC": f"{_STARTED}, r.id",
        "START_TIME_DESC": f"{_STARTED} DESC, r.id DESC",
    },
    "task_runs": _runs("t"),
    "work_pools": {"NAME_ASC": "p.name"},
    "work_queues": {"PRIORITY_ASC": "q.priority, q.name, q.id"},
    "workers": {"NAME_ASC": "w.name"},
    "logs": {
        "TIMESTAMP_ASC": "l.timestamp, l.id",
        "TIMESTAMP_DESC": "l.timestamp DESC, l.id DESC",
    },
    "artifacts": {
        "ID_DESC": "a.id DESC",
        "CREATED_DESC": "a.created DESC, a.id DESC",
        "UPDATED_DESC": "a.updated DESC, a.id DESC",
        "KEY_ASC": "a.key, a.id DESC",
        "KEY_DESC": "a.key DESC, a.id DESC",
    },
    "variables": _named("v"),
}
