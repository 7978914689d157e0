-- What retention leaves to a later turn. The indexes of large tables that it needs are steps (store/online_steps.py).

CREATE INDEX artifacts_by_task_run ON artifacts (task_run_id) WHERE task_run_id IS NOT NULL;
CREATE INDEX background_waits_by_upstream ON background_waits (upstream_id);

-- Flow runs that are deleted and had so many records that these go by and by, in transactions of their own.
CREATE TABLE removed_runs (
    flow_run_id TEXT PRIMARY KEY
);

-- How far the wall clock and the clock of leases were at the last turn: a wall clock that jumps ahead by weeks
-- deletes nothing before it has gone on like that until hold_until (by the clock of leases).
CREATE TABLE retention_clock (
    id INTEGER PRIMARY KEY,
    wall BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    hold_until BIGINT NOT NULL
);
