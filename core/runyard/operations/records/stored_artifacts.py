"""Artifacts: what runs leave for people to read. Those with one key are versions of one thing."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.operations.filters import query
from runyard.operations.operation import operation
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
    """The newest artifact of a key."""

    latest_id: str


class ArtifactCreate(Input):
    """An artifact to keep."""

    key: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$", max_length=255)
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, Any] | None = None
    flow_run_id: str | None = None
    task_run_id: str | None = None


class ArtifactUpdate(Input):
    """Changes of an artifact; only what is given changes."""

    data: Any = None
    description: str | None = None
    metadata_: dict[str, Any] | None = None


class ArtifactFilter(Query):
    """What to search: each object is a filter of the API's reference; all that are given must hold."""

    artifacts: dict[str, Any] | None = None
    flow_runs: dict[str, Any] | None = None
    task_runs: dict[str, Any] | None = None
    flows: dict[str, Any] | None = None
    deployments: dict[str, Any] | None = None


class ArtifactListing(ArtifactFilter):
    """What to list: a filter, and which part of what it finds."""

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


# Ids grow with time: the largest of a key is its newest.
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
        raise NotFound(f"no artifact {artifact_id}; see: runyard artifact ls")
    return row


@operation("POST", "/artifacts/", status=201)
def create_artifact(tx: Transaction, body: ArtifactCreate) -> Artifact:
    """Keep an artifact; with a key that is known it is its next version."""
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
    """One artifact.

    Raises:
        NotFound: there is none.
    """
    return Artifact(**_fields(_row(tx, artifact_id)))


@operation("GET", "/artifacts/{key}/latest")
def read_latest_artifact(tx: Transaction, key: str) -> Artifact:
    """The newest artifact of a key.

    Raises:
        NotFound: there is none.
    """
    row = tx.one("SELECT * FROM artifacts WHERE key = :key ORDER BY id DESC LIMIT 1", {"key": key})
    if row is None:
        raise NotFound(f"no artifact with the key {key!r}; see: runyard artifact ls")
    return Artifact(**_fields(row))


@operation("PATCH", "/artifacts/{artifact_id}", status=204)
def update_artifact(tx: Transaction, artifact_id: str, body: ArtifactUpdate) -> None:
    """Change an artifact in place.

    Raises:
        NotFound: there is none.
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
    """Delete an artifact; of its key, the version before becomes the newest.

    Raises:
        NotFound: there is none.
    """
    tx.execute("DELETE FROM artifacts WHERE id = :id", {"id": _row(tx, artifact_id)["id"]})


@operation("POST", "/artifacts/filter")
def filter_artifacts(tx: Transaction, body: ArtifactListing) -> list[Artifact]:
    """List artifacts, the newest first unless `sort` says otherwise.

    Raises:
        InvalidInput: a filter or sort is malformed, or a limit out of range.
    """
    return [Artifact(**_fields(row)) for row in query.search(tx, "artifacts", body.model_dump())]


@operation("POST", "/artifacts/latest/filter")
def filter_latest_artifacts(tx: Transaction, body: ArtifactListing) -> list[ArtifactCollection]:
    """List the newest artifact of each key.

    Raises:
        InvalidInput: a filter or sort is malformed, or a limit out of range.
    """
    rows = query.search(tx, "artifacts", body.model_dump(), where=[_LATEST])
    return [ArtifactCollection(**_fields(row), latest_id=row["id"]) for row in rows]


@operation("POST", "/artifacts/count")
def count_artifacts(tx: Transaction, body: ArtifactFilter) -> int:
    """How many artifacts a filter finds."""
    return query.count(tx, "artifacts", body.model_dump())


@operation("POST", "/artifacts/latest/count")
def count_latest_artifacts(tx: Transaction, body: ArtifactFilter) -> int:
    """How many keys a filter finds."""
    return query.count(tx, "artifacts", body.model_dump(), [_LATEST])
