"""Names of stored objects for shell completion. Plain strings, because completion must be fast."""

from __future__ import annotations

from runyard.base.errors import InvalidInput
from runyard.operations.operation import operation
from runyard.store.database import Transaction

# The query of each kind. The expression in braces is compared with the prefix.
_KINDS = {
    "artifacts": "SELECT DISTINCT key AS name FROM artifacts WHERE {key} AND key IS NOT NULL ORDER BY key",
    "blocks": """SELECT slug || '/' || block_documents.name AS name FROM block_documents
        JOIN block_types ON block_types.id = block_type_id
        WHERE {slug || '/' || block_documents.name} AND block_documents.is_anonymous = 0 ORDER BY 1""",
    "deployments": """SELECT flows.name || '/' || deployments.name AS name FROM deployments
        JOIN flows ON flows.id = flow_id
        WHERE {flows.name || '/' || deployments.name} ORDER BY 1""",
    "flows": "SELECT name FROM flows WHERE {name} ORDER BY name",
    "limits": "SELECT name FROM concurrency_limits WHERE {name} ORDER BY name",
    "pools": "SELECT name FROM work_pools WHERE {name} ORDER BY name",
    "queues": "SELECT DISTINCT work_queues.name FROM work_queues WHERE {work_queues.name} ORDER BY 1",
    "secrets": """SELECT block_documents.name FROM block_documents
        JOIN block_types ON block_types.id = block_type_id
        WHERE slug = 'secret' AND {block_documents.name} AND block_documents.is_anonymous = 0 ORDER BY 1""",
    "variables": "SELECT name FROM variables WHERE {name} ORDER BY name",
}
_RUNS = {"flow-runs": "flow_runs", "task-runs": "task_runs"}
_OF_POOL = """SELECT work_queues.name FROM work_queues JOIN work_pools ON work_pools.id = work_pool_id
    WHERE work_pools.name = :pool AND {work_queues.name} ORDER BY 1"""


@operation("GET", "/runyard/names")
def list_names(
    tx: Transaction, kind: str, prefix: str = "", pool: str | None = None, limit: int = 200
) -> list[str]:
    """List the names of a kind that start with `prefix`.

    Args:
        kind: artifacts, blocks (`type/name`), deployments (`flow/name`), flows, flow-runs, limits,
            pools, queues, secrets, task-runs or variables.
        pool: for queues: the work pool; None: all work pools.
        limit: the most names. For runs, the search covers the newest 10 times `limit` runs.

    Raises:
        InvalidInput: the kind is unknown.
    """
    if kind in _RUNS:
        return _of_newest(tx, _RUNS[kind], prefix, limit)
    if kind not in _KINDS:
        raise InvalidInput(f"unknown kind {kind!r}; valid are {', '.join([*_KINDS, *_RUNS])}")
    template = _OF_POOL if kind == "queues" and pool is not None else _KINDS[kind]
    before, _, rest = template.partition("{")
    column, _, after = rest.partition("}")
    values = {"prefix": prefix, "length": len(prefix), "limit": limit}
    if template is _OF_POOL:
        values["pool"] = pool or ""
    # Compared exactly: LIKE treats `_`, which is frequent in names, as any character.
    fits = f"substr({column}, 1, :length) = :prefix" if prefix else "1 = 1"
    rows = tx.all(f"{before}{fits}{after} LIMIT :limit", values)
    return [str(row["name"]) for row in rows]


def _of_newest(tx: Transaction, table: str, prefix: str, limit: int) -> list[str]:
    """Names of the newest runs: a person usually means one of these."""
    rows = tx.all(
        f"SELECT name FROM {table} ORDER BY expected_start_time DESC LIMIT :most",  # noqa: S608  # one of two
        {"most": limit * 10},
    )
    found = dict.fromkeys(str(row["name"]) for row in rows if row["name"].startswith(prefix))
    return list(found)[:limit]
