"""Explains why a scheduled run waits: its due time, pool and queue, limits, workers, and runs before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from pydantic import Field

from runyard import settings
from runyard.base import clock
from runyard.base.quoting import command_of, quoted
from runyard.base.texts import counted
from runyard.domain.durations import in_words, moment_in_words
from runyard.domain.job_templates import worker_command
from runyard.domain.states import State
from runyard.operations.flow_runs.explain_failure import Failure
from runyard.operations.schedules.schedules import OPEN_STATES
from runyard.operations.schemas import Model, load
from runyard.operations.work_pools import online
from runyard.store.database import Row, Transaction

# The most runs that a reason names, and the most that it counts.
_NAMED = 5
_COUNTED = 1000
# The deployments whose limit is full, and the number of a queue's runs that hold a lease.
_FULL = """SELECT d.id FROM deployments d
    WHERE d.concurrency_limit <= (SELECT count(*) FROM leases l WHERE l.deployment_id = d.id)"""
_TAKEN = "SELECT count(*) FROM leases l WHERE l.work_queue_id = q.id"


class Reason(Model):
    """A reason. `command` is the command that changes it; null if only waiting helps."""

    code: str
    text: str
    command: str | None = None


class Explanation(Model):
    """The status of a run, and the reasons for it.

    `status` is over, running, starting, cancelling, paused, waiting, or ready (no reason to wait). `failure`
    is how a run failed; null for all others.
    """

    status: str
    summary: str
    reasons: list[Reason] = Field(default_factory=list)
    failure: Failure | None = None


class _Place(NamedTuple):
    """Where a run waits."""

    run: Row
    pool: Row
    queue: Row
    deployment: Row | None

    @property
    def is_due(self) -> bool:
        """Whether the run is due. Before that, limits that are full now are not a reason."""
        due = self.run["next_scheduled_start_time"]
        return due is None or due <= clock.now_us()


def explain(tx: Transaction, run: Row, state: State) -> Explanation:
    """Explain why a run in a SCHEDULED state is not running."""
    name = f"Flow run {run['name']!r}"
    if state.state_details.get("in_process"):
        due = clock.parse_time(state.state_details["scheduled_time"])
        text = f"Its process waits, and retries at {moment_in_words(due, clock.now())}."
        reason = Reason(code="retry_in_process", text=text)
        return Explanation(
            status="waiting", summary=f"{name} failed and waits for a retry.", reasons=[reason]
        )
    reasons = [*_time(run, state), *_holders(tx, run)]
    held = [reason for reason in reasons if reason.code not in ("late", "deployment_paused")]
    if held:
        summary = f"{name} waits: {held[0].text[0].lower()}{held[0].text[1:]}"
        if len(held) > 1:
            summary = f"{name} waits, for {len(held)} reasons."
        return Explanation(status="waiting", summary=summary, reasons=reasons)
    text = "No limit or pause holds it back; a worker claims it soon."
    reasons.append(Reason(code="ready", text=text))
    return Explanation(status="ready", summary=f"{name} is about to be claimed.", reasons=reasons)


def _time(run: Row, state: State) -> list[Reason]:
    if run["next_scheduled_start_time"] is None:
        return []
    due, now = clock.from_us(run["next_scheduled_start_time"]), clock.now()
    retry = state.name == "AwaitingRetry"
    why = f" {state.message}" if retry and state.message else ""
    if due > now:
        word = "It waits for a retry" if retry else "It is not due"
        text = f"{word} until {moment_in_words(due, now)}.{why}"
        return [Reason(code="retry" if retry else "not_due", text=text)]
    if state.name == "Late" or now - due > timedelta(seconds=settings.get("scheduler_late_seconds")):
        text = f"It is late: it was due at {moment_in_words(due, now)}.{why}"
        return [Reason(code="late", text=text)]
    return []


def _holders(tx: Transaction, run: Row) -> list[Reason]:
    deployment = None
    if run["deployment_id"] is not None:
        deployment = tx.one(
            """SELECT d.id, d.name, d.paused, d.concurrency_limit, d.work_queue_id, d.owner, d.entrypoint,
                   f.name AS flow_name
               FROM deployments d JOIN flows f ON f.id = d.flow_id WHERE d.id = :id""",
            {"id": run["deployment_id"]},
        )
    if run["work_pool_id"] is None:
        return [_nowhere(run, deployment)]
    pool = tx.one("SELECT * FROM work_pools WHERE id = :id", {"id": run["work_pool_id"]})
    queue = tx.one("SELECT * FROM work_queues WHERE id = :id", {"id": run["work_queue_id"]})
    if pool is None or queue is None:
        return [_nowhere(run, deployment)]
    place = _Place(run, pool, queue, deployment)
    full = _full(tx, place)
    return [
        *_paused(place),
        *full,
        *_workers(tx, place),
        *_schedule(tx, place),
        *_before(tx, place, {reason.code for reason in full}),
    ]


def _nowhere(run: Row, deployment: Row | None) -> Reason:
    if deployment is None:
        text = "It has no deployment and no work pool, so no worker can claim it."
        return Reason(code="no_work_pool", text=text, command=f"runyard flow-run delete {run['id']}")
    full_name = f"{deployment['flow_name']}/{deployment['name']}"
    if deployment["work_queue_id"] is None and deployment["owner"] == "python":
        text = (
            f"Its deployment {full_name!r} has no work pool: the script that serves it starts its runs. "
            "This script does not run, or has no free slot."
        )
        command = command_of(
            "runyard flow serve",
            deployment["entrypoint"] or "FILE:FLOW",
            options=f"--name {quoted(deployment['name'])}",
        )
        return Reason(code="not_served", text=text, command=command)
    if deployment["work_queue_id"] is None:
        text = f"Its deployment {full_name!r} has no work pool, so no worker can claim it."
        return Reason(code="no_work_pool", text=text, command=_deploy(deployment, "--pool NAME"))
    text = f"Its work pool was deleted. Its deployment {full_name!r} has another work pool."
    return Reason(code="no_work_pool", text=text, command=command_of("runyard deployment run", full_name))


def _deploy(deployment: Row, options: str) -> str:
    """The command that updates a deployment, in its project's folder: from the file, or as it was created."""
    made_by_hand = [deployment["entrypoint"]] if deployment["owner"] == "cli" else []
    return command_of(
        "runyard deploy", *made_by_hand, options=f"--name {quoted(deployment['name'])} {options}"
    )


def _paused(place: _Place) -> list[Reason]:
    pool, queue, deployment = place.pool, place.queue, place.deployment
    reasons = []
    if pool["is_paused"]:
        text = f"Work pool {pool['name']!r} is paused."
        command = command_of("runyard work-pool resume", pool["name"])
        reasons.append(Reason(code="pool_paused", text=text, command=command))
    if queue["is_paused"]:
        text = f"Work queue {queue['name']!r} of work pool {pool['name']!r} is paused."
        command = command_of(
            "runyard work-queue resume", queue["name"], options=f"--pool {quoted(pool['name'])}"
        )
        reasons.append(Reason(code="queue_paused", text=text, command=command))
    if deployment is not None and deployment["paused"]:
        full_name = f"{deployment['flow_name']}/{deployment['name']}"
        text = f"Deployment {full_name!r} is paused: its schedules create no runs. This run can start anyway."
        command = command_of("runyard deployment resume", full_name)
        reasons.append(Reason(code="deployment_paused", text=text, command=command))
    return reasons


def _full(tx: Transaction, place: _Place) -> list[Reason]:
    pool, queue, deployment = place.pool, place.queue, place.deployment
    reasons = [
        _limit(
            tx,
            "pool",
            f"work pool {pool['name']!r}",
            pool,
            "l.work_queue_id IN (SELECT id FROM work_queues WHERE work_pool_id = :id)",
            place.is_due,
            lambda more: command_of("runyard work-pool set-concurrency-limit", pool["name"], more),
        ),
        _limit(
            tx,
            "queue",
            f"work queue {queue['name']!r}",
            queue,
            "l.work_queue_id = :id",
            place.is_due,
            lambda more: command_of(
                "runyard work-queue set-concurrency-limit",
                queue["name"],
                more,
                options=f"--pool {quoted(pool['name'])}",
            ),
        ),
    ]
    if deployment is not None:
        reasons.append(
            _limit(
                tx,
                "deployment",
                f"deployment {deployment['flow_name'] + '/' + deployment['name']!r}",
                deployment,
                "l.deployment_id = :id",
                place.is_due,
                lambda more: _deploy(deployment, f"--concurrency-limit {more}"),
            )
        )
    return [reason for reason in reasons if reason is not None]


def _limit(
    tx: Transaction,
    kind: str,
    what: str,
    row: Row,
    condition: str,
    is_due: bool,
    command: Callable[[int], str],
) -> Reason | None:
    """The reason for a limit, if it is full. `command` returns the command that sets another limit."""
    limit = row["concurrency_limit"]
    if limit is None:
        return None
    values = {"id": row["id"]}
    used = int(tx.value(f"SELECT count(*) FROM leases l WHERE {condition}", values))  # noqa: S608  # ours
    if used < limit or (limit and not is_due):
        return None
    if limit == 0:
        text = f"The concurrency limit of {what} is 0, so none of its runs starts."
    else:
        text = (
            f"The concurrency limit ({limit}) of {what} is reached. It is held by "
            f"{_executing(tx, condition, values, used)}."
        )
    return Reason(code=f"{kind}_limit", text=text, command=command(limit + 1))


def _executing(tx: Transaction, condition: str, values: dict[str, str], used: int) -> str:
    """The runs that occupy slots: `calm-otter (0193..), brave-fox (0194..) and 3 more`."""
    rows = tx.all(
        "SELECT r.id, r.name FROM leases l JOIN flow_runs r ON r.id = l.flow_run_id "  # noqa: S608  # ours
        f"WHERE {condition} ORDER BY l.acquired, r.id LIMIT {_NAMED}",
        values,
    )
    names = ", ".join(f"{row['name']} ({row['id']})" for row in rows)
    return f"{names} and {used - len(rows)} more" if used > len(rows) else names


def _workers(tx: Transaction, place: _Place) -> list[Reason]:
    pool, queue, present = place.pool, place.queue, online.present(tx)
    workers = tx.all(
        f"""SELECT w.name, w.work_queue_names, w.concurrency_limit, w.last_heartbeat_time,
                CASE WHEN {online.ONLINE} THEN 1 ELSE 0 END AS online,
                (SELECT count(*) FROM leases l WHERE l.worker_id = w.id) AS used
            FROM workers w WHERE w.work_pool_id = :pool ORDER BY w.last_heartbeat_time DESC, w.name""",  # noqa: S608  # fixed
        {"pool": pool["id"], **present},
    )
    command = worker_command(pool["name"], pool["type"])
    alive = [worker for worker in workers if worker["online"]]
    if not alive:
        text = f"No worker is online for work pool {pool['name']!r}"
        if workers and workers[0]["last_heartbeat_time"] is not None:
            ago = max(0, present["now"] - workers[0]["last_heartbeat_time"]) / 1e6
            text += f"; the last one, {workers[0]['name']!r}, sent its last heartbeat {in_words(ago)} ago"
        return [Reason(code="no_worker", text=f"{text}.", command=command)]
    serving = [
        worker
        for worker in alive
        if not (names := load(worker["work_queue_names"], [])) or queue["name"] in names
    ]
    if not serving:
        names = _named([worker["name"] for worker in alive])
        text = f"The workers online, {names}, serve other queues than {queue['name']!r}."
        command += f" --work-queue {quoted(queue['name'])}"
        return [Reason(code="no_worker_for_queue", text=text, command=command)]
    if place.is_due and all(
        w["concurrency_limit"] is not None and w["used"] >= w["concurrency_limit"] for w in serving
    ):
        full = _named([f"{worker['name']} ({counted(worker['used'], 'run')})" for worker in serving])
        text = f"Each worker that can claim it has reached its own limit: {full}."
        return [Reason(code="worker_limit", text=text, command=command)]
    return []


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _schedule(tx: Transaction, place: _Place) -> list[Reason]:
    run = place.run
    if run["schedule_id"] is None:
        return []
    ahead = tx.one(
        f"""SELECT r.id, r.name, r.state_name FROM deployment_schedules s
            JOIN flow_runs r ON r.schedule_id = s.id
            WHERE s.id = :schedule AND s.overlap = 'queue' AND r.id <> :id AND r.schedule_id IS NOT NULL
            AND r.state_type IN {OPEN_STATES} AND (r.state_type <> 'SCHEDULED'
                OR r.expected_start_time < :due OR (r.expected_start_time = :due AND r.id < :id))
            ORDER BY r.expected_start_time, r.id LIMIT 1""",  # noqa: S608  # fixed
        {"schedule": run["schedule_id"], "id": run["id"], "due": run["expected_start_time"]},
    )
    if ahead is None:
        return []
    text = (
        f"Its schedule lets its runs queue: {ahead['name']} ({ahead['id']}), "
        f"which is {ahead['state_name']}, goes first."
    )
    return [Reason(code="overlap", text=text, command=f"runyard flow-run cancel {ahead['id']}")]


def _before(tx: Transaction, place: _Place, full: set[str]) -> list[Reason]:
    """How many due runs workers claim first: runs of queues with a higher priority, older runs of its queue.

    Args:
        full: the full limits, by the codes of their reasons. Runs that wait for other limits do not count.
    """
    run, now = place.run, clock.now_us()
    due = run["next_scheduled_start_time"]
    if due is None or not place.is_due:
        return []
    held = "deployment_limit" in full
    whose = "r.deployment_id = :deployment" if held else f"coalesce(r.deployment_id, '') NOT IN ({_FULL})"
    count = tx.value(
        f"""SELECT count(*) FROM (
            SELECT r.id FROM flow_runs r JOIN work_queues q ON q.id = r.work_queue_id
            WHERE q.work_pool_id = :pool AND q.is_paused = 0 AND r.state_type = 'SCHEDULED' AND {whose}
            AND ((q.priority < :priority AND r.next_scheduled_start_time <= :now
                  AND coalesce(q.concurrency_limit > ({_TAKEN}), true))
              OR (r.work_queue_id = :queue
                  AND (r.next_scheduled_start_time < :due
                       OR (r.next_scheduled_start_time = :due AND r.id < :id))))
            LIMIT {_COUNTED + 1}) AS ahead""",  # noqa: S608  # fixed
        {
            "pool": place.pool["id"],
            "priority": place.queue["priority"],
            "now": now,
            "queue": place.queue["id"],
            "due": due,
            "id": run["id"],
            **({"deployment": run["deployment_id"]} if held else {}),
        },
    )
    if not count:
        return []
    many = f"more than {_COUNTED}" if count > _COUNTED else str(count)
    whose = "its deployment" if held else f"work pool {place.pool['name']!r}"
    text = f"It starts after {many} due run{'s' if count > 1 else ''} of {whose}."
    # Another worker helps only if no limit is full.
    command = None if full else worker_command(place.pool["name"], place.pool["type"])
    return [Reason(code="behind", text=text, command=command)]
