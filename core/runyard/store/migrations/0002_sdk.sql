-- What the flow and task SDK keeps: variables, blocks, artifacts, results, limits, inputs of runs.

CREATE TABLE variables (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,            -- JSON
    tags TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE block_types (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    logo_url TEXT,
    documentation_url TEXT,
    description TEXT,
    code_example TEXT,
    is_protected INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE block_schemas (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    fields TEXT NOT NULL DEFAULT '{}',
    block_type_id TEXT NOT NULL REFERENCES block_types (id) ON DELETE CASCADE,
    capabilities TEXT NOT NULL DEFAULT '[]',
    version TEXT NOT NULL DEFAULT 'non-versioned',
    UNIQUE (checksum, version)
);

-- data is encrypted: the whole JSON text by the key file of the home, see secrets.
CREATE TABLE block_documents (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT,
    data TEXT NOT NULL,
    block_schema_id TEXT NOT NULL REFERENCES block_schemas (id) ON DELETE CASCADE,
    block_type_id TEXT NOT NULL REFERENCES block_types (id) ON DELETE CASCADE,
    is_anonymous INTEGER NOT NULL DEFAULT 0,
    UNIQUE (block_type_id, name)
);

CREATE TABLE artifacts (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    key TEXT,
    type TEXT,
    description TEXT,
    data TEXT,                      -- JSON
    metadata_ TEXT,                 -- JSON
    flow_run_id TEXT,
    task_run_id TEXT
);
CREATE INDEX artifacts_by_key ON artifacts (key, id) WHERE key IS NOT NULL;
CREATE INDEX artifacts_by_flow_run ON artifacts (flow_run_id);

-- Small results, of runs (resume) and under cache keys. Large ones are in the result storage, and
-- only their place is here. key is the storage key.
CREATE TABLE results (
    key TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    expires BIGINT,
    flow_run_id TEXT,               -- of the root run it goes away with; NULL: other runs use it too
    serializer TEXT NOT NULL,       -- JSON
    data TEXT,                      -- base64 of what the serializer wrote
    place TEXT                      -- or the file that holds it
);
CREATE INDEX results_by_flow_run ON results (flow_run_id) WHERE flow_run_id IS NOT NULL;
CREATE INDEX results_by_expiry ON results (expires) WHERE expires IS NOT NULL;

-- A limit by name: global ones, `tag:NAME` of tasks. Slots in use are rows of limit_slots; with
-- slot_decay_per_second the slots come back by themselves: `taken` slots since `taken_at`.
CREATE TABLE concurrency_limits (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    "limit" INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    slot_decay_per_second DOUBLE PRECISION NOT NULL DEFAULT 0,
    denied_slots INTEGER NOT NULL DEFAULT 0,
    taken DOUBLE PRECISION NOT NULL DEFAULT 0,
    taken_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE limit_slots (
    lease_id TEXT NOT NULL,
    limit_id TEXT NOT NULL REFERENCES concurrency_limits (id) ON DELETE CASCADE,
    slots INTEGER NOT NULL,
    holder TEXT,                    -- JSON {type, id}
    acquired BIGINT NOT NULL,
    expires BIGINT,
    PRIMARY KEY (lease_id, limit_id)
);
CREATE INDEX limit_slots_by_limit ON limit_slots (limit_id);
CREATE INDEX limit_slots_by_expiry ON limit_slots (expires) WHERE expires IS NOT NULL;

CREATE TABLE flow_run_inputs (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    flow_run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    sender TEXT,
    UNIQUE (flow_run_id, key)
);

-- Task runs that wait for a process that serves their task. payload and outcome are base64 texts of
-- the SDK; expires is NULL while nobody executes the run, done NULL until it is over.
CREATE TABLE background_tasks (
    task_run_id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    task TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    expires BIGINT,
    done BIGINT,
    outcome TEXT
);
CREATE INDEX background_tasks_open ON background_tasks (task, created, task_run_id) WHERE done IS NULL;
CREATE INDEX background_tasks_leased ON background_tasks (expires) WHERE expires IS NOT NULL;
CREATE INDEX background_tasks_done ON background_tasks (done) WHERE done IS NOT NULL;

-- Background runs that wait for another one's end.
CREATE TABLE background_waits (
    task_run_id TEXT NOT NULL,
    upstream_id TEXT NOT NULL,
    PRIMARY KEY (task_run_id, upstream_id)
);
