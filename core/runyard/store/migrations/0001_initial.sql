-- The first schema. One dialect for SQLite and PostgreSQL: ids are UUID text, times are integers of
-- microseconds since 1970 UTC, booleans are 0/1 integers, JSON is text.

CREATE TABLE flows (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    tags TEXT NOT NULL DEFAULT '[]',
    labels TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE work_pools (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    type TEXT NOT NULL,
    base_job_template TEXT NOT NULL DEFAULT '{}',
    is_paused INTEGER NOT NULL DEFAULT 0,
    concurrency_limit INTEGER,
    default_queue_id TEXT,
    storage_configuration TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE work_queues (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    work_pool_id TEXT NOT NULL REFERENCES work_pools (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT,
    is_paused INTEGER NOT NULL DEFAULT 0,
    concurrency_limit INTEGER,
    priority INTEGER NOT NULL,
    last_polled BIGINT,
    UNIQUE (work_pool_id, name)
);

-- A heartbeat overwrites the row; one that stops in an orderly way leaves with stopped = 1.
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    work_pool_id TEXT NOT NULL REFERENCES work_pools (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    work_queue_names TEXT NOT NULL DEFAULT '[]',
    last_heartbeat_time BIGINT,
    heartbeat_interval_seconds DOUBLE PRECISION,
    concurrency_limit INTEGER,
    stopped INTEGER NOT NULL DEFAULT 0,
    UNIQUE (work_pool_id, name)
);

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_id TEXT NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version TEXT,
    version_info TEXT,
    description TEXT,
    paused INTEGER NOT NULL DEFAULT 0,
    concurrency_limit INTEGER,
    concurrency_options TEXT,
    job_variables TEXT NOT NULL DEFAULT '{}',
    parameters TEXT NOT NULL DEFAULT '{}',
    tags TEXT NOT NULL DEFAULT '[]',
    labels TEXT NOT NULL DEFAULT '{}',
    work_queue_id TEXT REFERENCES work_queues (id) ON DELETE SET NULL,
    last_polled BIGINT,
    parameter_openapi_schema TEXT,
    path TEXT,
    pull_steps TEXT,
    entrypoint TEXT,
    enforce_parameter_schema INTEGER NOT NULL DEFAULT 1,
    crash_retries INTEGER,          -- null: the setting decides
    owner TEXT,                     -- which project file, command or program declared it
    UNIQUE (flow_id, name)
);
CREATE INDEX deployments_by_queue ON deployments (work_queue_id);

-- spec is the schedule as the API shows it. next_due is the next instant it will fire, null when it
-- never will again. declared_active is what the declaring file said, active what holds now: an
-- operator's pause survives a redeploy that says the same as before.
CREATE TABLE deployment_schedules (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    deployment_id TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    slug TEXT,
    spec TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    declared_active INTEGER,
    parameters TEXT NOT NULL DEFAULT '{}',
    max_scheduled_runs INTEGER,
    catchup TEXT NOT NULL DEFAULT 'skip',
    catchup_limit INTEGER NOT NULL DEFAULT 100,
    overlap TEXT NOT NULL DEFAULT 'allow',
    owner TEXT,
    next_due BIGINT,
    last_fired BIGINT
);
CREATE INDEX deployment_schedules_by_deployment ON deployment_schedules (deployment_id);
CREATE INDEX deployment_schedules_due ON deployment_schedules (next_due) WHERE active = 1;

-- Instants that were due and made no run, with the reason.
CREATE TABLE schedule_skips (
    schedule_id TEXT NOT NULL,
    instant BIGINT NOT NULL,
    until BIGINT,                   -- the last instant of the skipped range, when several
    count INTEGER NOT NULL DEFAULT 1,
    reason TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (schedule_id, instant)
);

-- state holds the whole current state as JSON; the state_ columns repeat what is searched.
-- attempt is the fencing token: it grows with every claim. crash_count counts attempts lost.
CREATE TABLE flow_runs (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    flow_id TEXT NOT NULL,
    deployment_id TEXT,
    deployment_version TEXT,
    work_queue_id TEXT,
    schedule_id TEXT,
    flow_version TEXT,
    parameters TEXT NOT NULL DEFAULT '{}',
    idempotency_key TEXT,
    context TEXT NOT NULL DEFAULT '{}',
    empirical_policy TEXT NOT NULL DEFAULT '{}',
    tags TEXT NOT NULL DEFAULT '[]',
    labels TEXT NOT NULL DEFAULT '{}',
    parent_task_run_id TEXT,
    root_flow_run_id TEXT,          -- the run whose lease covers this one; null for itself
    state_id TEXT,
    state_type TEXT,
    state_name TEXT,
    state_timestamp BIGINT,
    state TEXT,
    run_count INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    crash_count INTEGER NOT NULL DEFAULT 0,
    expected_start_time BIGINT,
    next_scheduled_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT NOT NULL DEFAULT 0,
    auto_scheduled INTEGER NOT NULL DEFAULT 0,
    infrastructure_pid TEXT,
    created_by TEXT,
    job_variables TEXT
);
CREATE UNIQUE INDEX flow_runs_idempotency ON flow_runs (flow_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- The queue itself: only what is still scheduled, so its cost does not grow with history.
CREATE INDEX flow_runs_due ON flow_runs (work_queue_id, next_scheduled_start_time, id)
    WHERE state_type = 'SCHEDULED';
CREATE INDEX flow_runs_due_by_deployment
    ON flow_runs (work_queue_id, deployment_id, next_scheduled_start_time, id)
    WHERE state_type = 'SCHEDULED';
CREATE INDEX flow_runs_scheduled ON flow_runs (next_scheduled_start_time)
    WHERE state_type = 'SCHEDULED';
-- What may become Late: a backlog that is late already costs the scheduler nothing.
CREATE INDEX flow_runs_not_late ON flow_runs (next_scheduled_start_time)
    WHERE state_type = 'SCHEDULED' AND state_name = 'Scheduled';
CREATE INDEX flow_runs_open ON flow_runs (state_type, id)
    WHERE state_type IN ('PENDING', 'RUNNING', 'PAUSED', 'CANCELLING');
CREATE INDEX flow_runs_by_deployment ON flow_runs (deployment_id, expected_start_time);
CREATE INDEX flow_runs_open_by_schedule ON flow_runs (schedule_id)
    WHERE schedule_id IS NOT NULL
    AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING');
CREATE INDEX flow_runs_by_flow ON flow_runs (flow_id, expected_start_time);
CREATE INDEX flow_runs_by_expected_start ON flow_runs (expected_start_time);
CREATE INDEX flow_runs_by_name ON flow_runs (name);
CREATE INDEX flow_runs_by_parent ON flow_runs (parent_task_run_id)
    WHERE parent_task_run_id IS NOT NULL;
CREATE INDEX flow_runs_by_root ON flow_runs (root_flow_run_id)
    WHERE root_flow_run_id IS NOT NULL;

CREATE TABLE flow_run_states (
    id TEXT PRIMARY KEY,
    flow_run_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    timestamp BIGINT NOT NULL,
    message TEXT,
    data TEXT,
    state_details TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX flow_run_states_by_run ON flow_run_states (flow_run_id, timestamp);

-- Who executes a run right now. One row per executing run, deleted when the run ends: limits count
-- these rows, so a slot cannot leak. expires is null where the executor does not renew (a client
-- that knows nothing of leases).
CREATE TABLE leases (
    flow_run_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    owner TEXT NOT NULL,
    worker_id TEXT,
    work_pool_id TEXT,
    work_queue_id TEXT,
    deployment_id TEXT,
    acquired BIGINT NOT NULL,
    expires BIGINT
);
CREATE INDEX leases_by_expiry ON leases (expires);
CREATE INDEX leases_by_worker ON leases (worker_id);
CREATE INDEX leases_by_queue ON leases (work_queue_id);
CREATE INDEX leases_by_pool ON leases (work_pool_id);
CREATE INDEX leases_by_deployment ON leases (deployment_id);

CREATE TABLE task_runs (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    flow_run_id TEXT,
    task_key TEXT NOT NULL,
    dynamic_key TEXT NOT NULL,
    cache_key TEXT,
    cache_expiration BIGINT,
    task_version TEXT,
    empirical_policy TEXT NOT NULL DEFAULT '{}',
    tags TEXT NOT NULL DEFAULT '[]',
    labels TEXT NOT NULL DEFAULT '{}',
    task_inputs TEXT NOT NULL DEFAULT '{}',
    state_id TEXT,
    state_type TEXT,
    state_name TEXT,
    state_timestamp BIGINT,
    state TEXT,
    run_count INTEGER NOT NULL DEFAULT 0,
    flow_run_run_count INTEGER NOT NULL DEFAULT 0,
    expected_start_time BIGINT,
    next_scheduled_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX task_runs_by_flow_run ON task_runs (flow_run_id, task_key, dynamic_key);
CREATE INDEX task_runs_by_expected_start ON task_runs (expected_start_time);

CREATE TABLE task_run_states (
    id TEXT PRIMARY KEY,
    task_run_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    timestamp BIGINT NOT NULL,
    message TEXT,
    data TEXT,
    state_details TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX task_run_states_by_run ON task_run_states (task_run_id, timestamp);

CREATE TABLE logs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    level INTEGER NOT NULL,
    message TEXT NOT NULL,
    timestamp BIGINT NOT NULL,
    flow_run_id TEXT,
    task_run_id TEXT
);
CREATE INDEX logs_by_flow_run ON logs (flow_run_id, timestamp, id);
CREATE INDEX logs_by_task_run ON logs (task_run_id, timestamp) WHERE task_run_id IS NOT NULL;
CREATE INDEX logs_by_time ON logs (timestamp);

-- Named locks of the maintenance loops (the scheduler's, the pruner's): whoever holds one does the work.
CREATE TABLE locks (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires BIGINT NOT NULL
);
