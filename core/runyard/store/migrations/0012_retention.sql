-- What retention finds old runs by, and what it leaves to a later turn.

-- Runs that are over, by when that was.
CREATE INDEX flow_runs_ended ON flow_runs (state_timestamp, id)
    WHERE state_type IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED');
-- Task runs outside of any flow.
CREATE INDEX task_runs_alone ON task_runs (flow_run_id, state_timestamp, id) WHERE flow_run_id IS NULL;
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
