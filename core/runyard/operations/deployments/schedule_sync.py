"""Updates a deployment's schedules to match a list, from a project's file or from the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from runyard.base.errors import InvalidInput
from runyard.domain.schedules import instants as rules
from runyard.operations.deployments.deployment_shapes import Change
from runyard.operations.schedules import schedules
from runyard.operations.schedules.schedule_shapes import DeploymentScheduleCreate
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction


def reconcile(
    tx: Transaction,
    deployment: Row,
    declared: list[DeploymentScheduleCreate],
    owner: str,
    owners: Collection[str | None] = (),
) -> list[Change]:
    """Update a deployment's schedules to those that its owner declares.

    A declared schedule matches a stored one with the same slug, or, without a slug, with the same timing and
    parameters. It keeps its id, its next due time and, unless the declaration itself changed, an operator's
    pause. Schedules of this owner, or of the other `owners`, that are no longer declared are deleted.
    Schedules of others stay.

    Returns:
        The changes, for people.

    Raises:
        InvalidInput: a schedule is declared twice.
    """
    _refuse_twins(declared)
    stored = schedules.rows_of(tx, deployment["id"])
    # Own schedules first: an operator's schedule matches only if no own schedule does.
    own = {owner, *owners} - {None}
    stored.sort(key=lambda row: row["owner"] not in own)
    changes: list[Change] = []
    pairs: list[tuple[DeploymentScheduleCreate, Row | None]] = []
    for body in sorted(declared, key=lambda body: body.slug is None):
        row = _match(body, stored)
        if row is not None:
            stored.remove(row)
        pairs.append((body, row))
    for row in stored:
        if row["owner"] in own:
            schedules.remove(tx, row)
            changes.append(Change(field="schedules", before=_shown(row), after=None))
    for body, row in pairs:
        if row is None:
            row = schedules.insert(tx, deployment, body, owner)
            changes.append(Change(field="schedules", before=None, after=_shown(row)))
            continue
        if row["owner"] in own and row["owner"] != owner:
            schedules.hand_over(tx, row, owner)
        before = _shown(row)
        values = schedules.given_columns(body, row)
        if "active" in values:
            # Only if the declaration changed: an operator's pause survives a deploy.
            if values["active"] == row["declared_active"]:
                del values["active"]
            else:
                values["declared_active"] = values["active"]
        if schedules.change(tx, deployment, row, values):
            changes.append(Change(field="schedules", before=before, after=_shown(row)))
    return changes


def replace(tx: Transaction, deployment: Row, given: list[DeploymentScheduleCreate]) -> None:
    """Set the schedules of a deployment through the API.

    If all stored and given schedules have slugs, they are matched by slug (`replaces` renames), and stored
    schedules that are not given stay. Otherwise the given list replaces all stored schedules.

    Raises:
        InvalidInput: all stored schedules have slugs and a given one has none, or two renames conflict.
    """
    stored = schedules.rows_of(tx, deployment["id"])
    by_slug = {row["slug"]: row for row in stored}
    if not stored or None in by_slug:
        for row in stored:
            schedules.remove(tx, row)
        for body in given:
            schedules.insert(tx, deployment, body, None)
        return
    if any(body.slug is None for body in given):
        raise InvalidInput("all schedules of the deployment have slugs, so each one given needs a slug")
    targets = [body.replaces for body in given if body.replaces]
    if len(set(targets)) < len(targets):
        raise InvalidInput("two schedules replace the same one")
    for body in given:
        old = by_slug.get(body.replaces or body.slug)
        if body.replaces and body.replaces != body.slug and body.slug in by_slug:
            raise InvalidInput(f"a schedule is called {body.slug!r} already")
        if old is None:
            schedules.insert(tx, deployment, body, None)
        else:
            schedules.change(tx, deployment, old, schedules.given_columns(body, old))


def _match(body: DeploymentScheduleCreate, stored: list[Row]) -> Row | None:
    for slug in (body.slug, body.replaces):
        for row in stored:
            if slug is not None and row["slug"] == slug:
                return row
    wanted = _identity(body)
    for row in stored:
        if row["slug"] is None or body.slug is None:
            anchored = "anchor_date" in wanted[0]
            found = (rules.canonical(load(row["spec"], {}), anchored), _canonical_json(row["parameters"]))
            if found == wanted and (body.slug is None or row["slug"] is None):
                return row
    return None


def _identity(body: DeploymentScheduleCreate) -> tuple[str, str]:
    """What identifies a schedule without a slug: timing and parameters."""
    anchored = getattr(body.schedule, "anchor_date", None) is not None
    spec = body.schedule.model_dump(mode="json")
    return rules.canonical(spec, anchored), _canonical_json(dump(body.parameters))


def _canonical_json(text: str) -> str:
    return dump(sorted(load(text, {}).items()))


def _refuse_twins(declared: list[DeploymentScheduleCreate]) -> None:
    seen: set[Any] = set()
    for body in declared:
        key = body.slug or _identity(body)
        if key in seen:
            what = body.slug or rules.describe(body.schedule.model_dump(mode="json"))
            raise InvalidInput(f"the schedule {what!r} is declared twice; give each a slug of its own")
        seen.add(key)


def _shown(row: Row) -> str:
    """A schedule in one line, for the list of changes."""
    words = [rules.describe(load(row["spec"], {}))]
    if row["slug"]:
        words.insert(0, f"{row['slug']}:")
    if not row["active"]:
        words.append("(paused)")
    if row["parameters"] != "{}":
        words.append(row["parameters"])
    if row["catchup"] != "skip":
        words.append(f"catchup={row['catchup']}")
    if row["overlap"] != "allow":
        words.append(f"overlap={row['overlap']}")
    return " ".join(words)
