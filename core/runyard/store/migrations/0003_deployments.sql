-- What deployments were: one row for every change of what a deployment runs.

-- content is what was in force, as a declaration that can be applied again. number counts from 1 per
-- deployment.
CREATE TABLE deployment_versions (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    deployment_id TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    version TEXT,
    version_info TEXT,
    owner TEXT,
    content TEXT NOT NULL,          -- JSON
    UNIQUE (deployment_id, number)
);

-- What starts a run besides schedules, as declared; JSON, null when nothing was said.
ALTER TABLE deployments ADD COLUMN triggers TEXT;
