-- Leases by a clock of the database's own, and what proves that a holder is dead.

-- The time by which leases run out, in microseconds: it goes on only while somebody can use the database.
-- seen is what the machine's clock said at the last look: of PostgreSQL's server, or the boot clock where
-- the database is a file, with the id of that boot.
CREATE TABLE lease_clock (
    id INTEGER PRIMARY KEY,
    value BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    boot TEXT NOT NULL
);

-- place says who can judge whether the holder lives, proof (JSON, with a `kind`) what is to be looked at.
ALTER TABLE leases ADD COLUMN place TEXT;
ALTER TABLE leases ADD COLUMN proof TEXT;
CREATE INDEX leases_by_place ON leases (place, proof) WHERE place IS NOT NULL;
ALTER TABLE background_tasks ADD COLUMN place TEXT;
ALTER TABLE background_tasks ADD COLUMN proof TEXT;

-- The run in whose process the holder of slots is: with the run's process its slots are gone.
ALTER TABLE limit_slots ADD COLUMN run_id TEXT;
CREATE INDEX limit_slots_by_run ON limit_slots (run_id) WHERE run_id IS NOT NULL;
