"""Artifacts: what runs create for people to read. Artifacts with the same key are versions of each other."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.base.suggestions import did_you_mean
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.references import LAST, of_beginning
from runyard.operations.schemas import Input, Model, Query, Time, dump, load
from runyard.store.database import Row, Transaction


class Artifact(Model):
    """An artifact."""

    id: str
    created: Time
    updated: Time
    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, Any] | None = None
    flow_run_id: str | None = None
    task_run_id: str | None = None


class ArtifactCollection(Artifact):
    """The latest artifact of a key."""

    latest_id: str


class ArtifactCreate(Input):
    """An artifact to create."""

    key: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$", max_length=255)
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, Any] | None = None
    flow_run_id: str | None = None
    task_run_id: str | None = None


class ArtifactUpdate(Input):
    """Changes to an artifact. Only the given fields change."""

    data: Any = None
    description: str | None = None
    metadata_: dict[str, Any] | None = None


class ArtifactFilter(Query):
    """Filters. An artifact must match all given filters."""

    artifacts: dict[str, Any] | None = None
    flow_runs: dict[str, Any] | None = None
    task_runs: dict[str, Any] | None = None
    flows: dict[str, Any] | None = None
    deployments: dict[str, Any] | None = None


class ArtifactListing(ArtifactFilter):
    """Which artifacts to list: filters, order and page."""

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


# Ids grow with time: the largest id of a key is the latest.
_LATEST = "a.id IN (SELECT max(id) FROM artifacts WHERE key IS NOT NULL GROUP BY key)"


def _fields(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "created": clock.from_us(row["created"]),
        "updated": clock.from_us(row["updated"]),
        "key": row["key"],
        "type": row["type"],
        "description": row["description"],
        "data": load(row["data"]),
        "metadata_": load(row["metadata_"]),
        "flow_run_id": row["flow_run_id"],
        "task_run_id": row["task_run_id"],
    }


def _row(tx: Transaction, artifact_id: str) -> Row:
    row = tx.one("SELECT * FROM artifacts WHERE id = :id", {"id": artifact_id})
    if row is None:
        raise NotFound(f"artifact {artifact_id} not found; see: runyard artifact ls")
    return row


@operation("POST", "/artifacts/", status=201)
def create_artifact(tx: Transaction, body: ArtifactCreate) -> Artifact:
    """Create an artifact. If its key exists already, it is the next version of the key."""
    row = tx.one(
        """INSERT INTO artifacts (id, created, updated, key, type, description, data, metadata_,
               flow_run_id, task_run_id)
           VALUES (:id, :now, :now, :key, :type, :description, :data, :metadata_, :flow_run_id,
               :task_run_id)
           RETURNING *""",
        {
            **body.model_dump(),
            "id": ids.new_id(),
            "now": clock.now_us(),
            "data": dump(body.data),
            "metadata_": None if body.metadata_ is None else dump(body.metadata_),
        },
    )
    if row is None:
        raise AssertionError("an insert that returns nothing")
    return Artifact(**_fields(row))


@operation("GET", "/artifacts/{artifact_id}")
def read_artifact(tx: Transaction, artifact_id: str) -> Artifact:
    """Read an artifact.

    Raises:
        NotFound: the artifact is not found.
    """
    return Artifact(**_fields(_row(tx, artifact_id)))


@operation("GET", "/artifacts/{key}/latest")
def read_latest_artifact(tx: Transaction, key: str) -> Artifact:
    """Read the latest artifact of a key.

    Raises:
        NotFound: the artifact is not found.
    """
    row = tx.one("SELECT * FROM artifacts WHERE key = :key ORDER BY id DESC LIMIT 1", {"key": key})
    if row is None:
        raise NotFound(f"no artifact has the key {key!r}; see: runyard artifact ls")
    return Artifact(**_fields(row))


@operation("GET", "/runyard/artifacts/find")
def find_artifact(tx: Transaction, reference: str = "") -> Artifact:
    """Find an artifact: the newest of a key, or the one of an id.

    Args:
        reference: the key, the id, its first 4 or more characters, or `-` for the newest artifact of all.

    Raises:
        NotFound: the artifact is not found. The message names a similar key.
        Conflict: several ids start with it. The message lists them.
    """
    newest = "SELECT * FROM artifacts WHERE {} ORDER BY id DESC LIMIT 1"
    row = tx.one(newest.format("key = :key"), {"key": reference})
    if row is None and reference == LAST:
        row = tx.one(newest.format("1 = 1"))
    if row is None:
        found = of_beginning(tx, "artifacts", reference, "artifact")
        row = _row(tx, found) if found is not None else None
    if row is None:
        known = tx.all("SELECT DISTINCT key FROM artifacts WHERE key IS NOT NULL ORDER BY key LIMIT 1000")
        hint = did_you_mean(reference, [each["key"] for each in known], "see: runyard artifact ls --all")
        raise NotFound(f"artifact {reference!r} not found{hint}")
    return Artifact(**_fields(row))


@operation("PATCH", "/artifacts/{artifact_id}", status=204)
def update_artifact(tx: Transaction, artifact_id: str, body: ArtifactUpdate) -> None:
    """Update an artifact. Only the given fields change.

    Raises:
        NotFound: the artifact is not found.
    """
    row, given = _row(tx, artifact_id), body.model_dump(exclude_unset=True)
    tx.execute(
        """UPDATE artifacts SET data = :data, description = :description, metadata_ = :metadata_,
               updated = :now
           WHERE id = :id""",
        {
            "id": row["id"],
            "now": clock.now_us(),
            "data": dump(given["data"]) if "data" in given else row["data"],
            "description": given.get("description", row["description"]),
            "metadata_": dump(given["metadata_"]) if "metadata_" in given else row["metadata_"],
        },
    )


@operation("DELETE", "/artifacts/{artifact_id}", status=204)
def delete_artifact(tx: Transaction, artifact_id: str) -> None:
    """Delete an artifact. The previous version of its key becomes the latest.

    Raises:
        NotFound: the artifact is not found.
    """
    tx.execute("DELETE FROM artifacts WHERE id = :id", {"id": _row(tx, artifact_id)["id"]})


@operation("POST", "/artifacts/filter")
def filter_artifacts(tx: Transaction, body: ArtifactListing) -> list[Artifact]:
    """List artifacts, newest first unless `sort` is given.

    Raises:
        InvalidInput: a filter or `sort` is invalid, or a limit is out of range.
    """
    return [Artifact(**_fields(row)) for row in query.search(tx, "artifacts", body.model_dump())]


@operation("POST", "/artifacts/latest/filter")
def filter_latest_artifacts(tx: Transaction, body: ArtifactListing) -> list[ArtifactCollection]:
    """List the latest artifact of each key.

    Raises:
        InvalidInput: a filter or `sort` is invalid, or a limit is out of range.
    """
    rows = query.search(tx, "artifacts", body.model_dump(), where=[_LATEST])
    return [ArtifactCollection(**_fields(row), latest_id=row["id"]) for row in rows]


@operation("POST", "/artifacts/count")
def count_artifacts(tx: Transaction, body: ArtifactFilter) -> int:
    """Count the artifacts that a filter matches."""
    return query.count(tx, "artifacts", body.model_dump())


@operation("POST", "/artifacts/latest/count")
def count_latest_artifacts(tx: Transaction, body: ArtifactFilter) -> int:
    """Count the keys that a filter matches."""
    return query.count(tx, "artifacts", body.model_dump(), [_LATEST])
