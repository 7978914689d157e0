-- When a worker was last heard of, by a clock that a machine's owner does not set: of PostgreSQL's server, or
-- the boot clock where the database is a file, with the id of that boot. In microseconds.
ALTER TABLE workers ADD COLUMN beat BIGINT;
ALTER TABLE workers ADD COLUMN beat_boot TEXT;
