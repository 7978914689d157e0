"""What a shell offers for a word that a person types: names and ids, each with a few words about it.

Plain rows, because a person waits for the answer.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput
from runyard.operations.installation.completion_names import list_names
from runyard.operations.operation import operation
from runyard.operations.references import id_bounds
from runyard.store.database import Transaction
from runyard.store.index_conditions import of_types

if TYPE_CHECKING:
    from runyard.store.database import Row

# A value, and what it is; the second may be empty.
Candidate = tuple[str, str]

_OPEN = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_STATES = {"": (), "open": _OPEN, "paused": ("PAUSED",), "ended": _ENDED}
_RUNS = {"flow-runs": "flow_runs", "task-runs": "task_runs"}
_HELP_LENGTH = 60
_NEWEST = 10
_MOST = 1000
_SPEC_WORDS = ("cron", "rrule", "interval", "at")


@operation("GET", "/runyard/candidates")
def list_candidates(
    tx: Transaction, kind: str, prefix: str = "", of: str = "", limit: int = 200
) -> list[Candidate]:
    """List what a word that starts with `prefix` may become.

    Args:
        kind: a kind of `list_names`; or schedules and parameters (of a deployment), workers, tag-limits or
            block-types.
        of: for queues and workers: the work pool; for schedules and parameters: the deployment; for runs:
            `open`, `paused` or `ended`.
        limit: the most candidates, at most 1,000. For runs, the search covers 10 times as many.

    Returns:
        Pairs of a value and a short description. A run whose name several runs share is given by its id.

    Raises:
        InvalidInput: the kind is unknown.
    """
    limit = max(0, min(limit, _MOST))
    if kind in _RUNS:
        if of not in _STATES:
            raise InvalidInput(f"unknown states {of!r}; valid are {', '.join(filter(None, _STATES))}")
        return _runs(tx, _RUNS[kind], prefix, _STATES[of], limit)
    if kind == "deployments":
        return _deployments(tx, prefix, limit)
    if kind in ("schedules", "parameters"):
        deployment = _deployment(tx, of)
        if deployment is None:
            return []
        found = _schedules(tx, deployment) if kind == "schedules" else _parameters(deployment)
        return [each for each in found if each[0].startswith(prefix)][:limit]
    if kind in _SIMPLE:
        return _simple(tx, *_SIMPLE[kind], prefix, of, limit)
    return [(name, "") for name in list_names(tx, kind, prefix, of or None, limit)]


_SIMPLE = {
    "workers": (
        """SELECT w.name, p.name AS help FROM workers w JOIN work_pools p ON p.id = w.work_pool_id
            WHERE (p.name = :of OR :of = '')""",
        "w.name",
    ),
    "tag-limits": (
        """SELECT substr(name, 5) AS name, '' AS help FROM concurrency_limits
            WHERE substr(name, 1, 4) = 'tag:'""",
        "substr(name, 5)",
    ),
    "block-types": ("SELECT slug AS name, description AS help FROM block_types WHERE 1 = 1", "slug"),
}


def _simple(tx: Transaction, sql: str, column: str, prefix: str, of: str, limit: int) -> list[Candidate]:
    values: dict[str, Any] = {"prefix": prefix, "length": len(prefix), "limit": limit}
    if ":of" in sql:
        values["of"] = of
    fits = f" AND substr({column}, 1, :length) = :prefix" if prefix else ""
    if not prefix:
        del values["prefix"], values["length"]
    rows = tx.all(f"{sql}{fits} ORDER BY 1 LIMIT :limit", values)
    return [(row["name"], _short(row["help"])) for row in rows]


def _short(text: str | None) -> str:
    """The first line of a text, with at most 60 characters."""
    line = " ".join((text or "").strip().partition("\n")[0].split())
    return line if len(line) <= _HELP_LENGTH else f"{line[: _HELP_LENGTH - 3]}..."


def _deployments(tx: Transaction, prefix: str, limit: int) -> list[Candidate]:
    """`flow/name`; where only the name starts so, the name if it is unique."""
    sql = """SELECT flows.name || '/' || d.name AS full_name, d.name, d.paused, d.description
        FROM deployments d JOIN flows ON flows.id = d.flow_id WHERE {} ORDER BY 1 LIMIT :limit"""
    values: dict[str, Any] = {"limit": limit}
    if prefix:
        values |= {"prefix": prefix, "length": len(prefix)}
    fits = "substr({}, 1, :length) = :prefix" if prefix else "1 = 1"
    rows = tx.all(sql.format(fits.format("flows.name || '/' || d.name")), values)
    if rows:
        return [(row["full_name"], _of_deployment(row)) for row in rows]
    alone = "(SELECT count(*) FROM deployments o WHERE o.name = d.name) = 1"
    rows = tx.all(sql.format(f"{fits.format('d.name')} AND {alone}"), values)
    return [(row["name"], row["full_name"]) for row in rows]


def _of_deployment(row: Row) -> str:
    return "paused" if row["paused"] else _short(row["description"])


def _deployment(tx: Transaction, reference: str) -> Row | None:
    """The deployment that `flow/name`, a name, an id or its beginning means; None if not exactly one."""
    low, high = id_bounds(reference.lower()) or ("", "")
    rows = tx.all(
        """SELECT d.id, d.parameter_openapi_schema FROM deployments d JOIN flows ON flows.id = d.flow_id
            WHERE flows.name || '/' || d.name = :reference OR d.name = :reference
                OR (d.id >= :low AND d.id <= :high) LIMIT 2""",
        {"reference": reference, "low": low, "high": high},
    )
    return rows[0] if len(rows) == 1 else None


def _schedules(tx: Transaction, deployment: Row) -> list[Candidate]:
    rows = tx.all(
        """SELECT id, slug, spec, active FROM deployment_schedules WHERE deployment_id = :id
            ORDER BY created, id""",
        {"id": deployment["id"]},
    )
    found = []
    for row in rows:
        spec = _object(row["spec"])
        words = [f"{word} {spec[word]}" for word in _SPEC_WORDS if spec.get(word) is not None]
        words += [] if row["active"] else ["paused"]
        found.append((row["slug"] or row["id"], _short(", ".join(words))))
    return found


def _parameters(deployment: Row) -> list[Candidate]:
    properties = _object(deployment["parameter_openapi_schema"]).get("properties")
    found = []
    for name, each in (properties if isinstance(properties, dict) else {}).items():
        about = each if isinstance(each, dict) else {}
        words = [str(about["type"])] if about.get("type") else []
        words += [f"default {json.dumps(about['default'], ensure_ascii=False)}"] if "default" in about else []
        found.append((f"{name}=", _short(", ".join(words))))
    return found


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _runs(tx: Transaction, table: str, prefix: str, kinds: tuple[str, ...], limit: int) -> list[Candidate]:
    """The newest runs first: a person usually means one of these."""
    columns = f"SELECT id, name, state_type, state_name FROM {table}"  # noqa: S608  # one of two
    if (bounds := id_bounds(prefix.lower())) is not None:
        rows = tx.all(
            f"{columns} WHERE id >= :low AND id <= :high ORDER BY id DESC LIMIT :limit",
            {"low": bounds[0], "high": bounds[1], "limit": limit},
        )
        by_id = [_by_id(row) for row in rows if _fits(row, kinds)]
        if by_id and all(value.startswith(prefix) for value, _ in by_id):
            return by_id
    rows = [row for row in _newest(tx, table, columns, kinds, limit) if row["name"].startswith(prefix)][
        :limit
    ]
    shared = _shared(tx, table, [row["name"] for row in rows])
    return [_by_id(row) if row["name"] in shared else (row["name"], row["state_name"] or "") for row in rows]


def _by_id(row: Row) -> Candidate:
    return row["id"], f"{row['name']}, {row['state_name']}"


def _fits(row: Row, kinds: tuple[str, ...]) -> bool:
    return not kinds or row["state_type"] in kinds


def _newest(tx: Transaction, table: str, columns: str, kinds: tuple[str, ...], limit: int) -> list[Row]:
    if not kinds or kinds == _ENDED or table != "flow_runs":
        rows = tx.all(f"{columns} ORDER BY expected_start_time DESC LIMIT :most", {"most": limit * _NEWEST})
        return [row for row in rows if _fits(row, kinds)]
    rows = []
    for kind in kinds:
        where = " AND ".join([f"state_type = '{kind}'", *of_types("state_type", [kind])])
        rows += tx.all(f"{columns} WHERE {where} ORDER BY id DESC LIMIT :limit", {"limit": limit})
    return sorted(rows, key=lambda row: row["id"], reverse=True)


def _shared(tx: Transaction, table: str, names: list[str]) -> set[str]:
    """Those of the names that several runs have."""
    shared = {name for name, number in Counter(names).items() if number > 1}
    alone = [name for name in dict.fromkeys(names) if name not in shared]
    if table == "flow_runs" and alone:
        marks = ", ".join(f":name{at}" for at in range(len(alone)))
        rows = tx.all(
            f"SELECT name FROM flow_runs WHERE name IN ({marks}) GROUP BY name HAVING count(*) > 1",  # noqa: S608  # placeholders
            {f"name{at}": name for at, name in enumerate(alone)},
        )
        shared |= {row["name"] for row in rows}
    return shared
