-- What a deployment says of its runs: how long after a crash they start again, what becomes of lost ones, how
-- long an attempt may run, and how late a run may start. Null: nothing is said.
ALTER TABLE deployments ADD COLUMN crash_retry_delay_seconds DOUBLE PRECISION;
ALTER TABLE deployments ADD COLUMN on_lost TEXT;
ALTER TABLE deployments ADD COLUMN max_run_seconds DOUBLE PRECISION;
ALTER TABLE deployments ADD COLUMN max_lateness_seconds DOUBLE PRECISION;

-- Until when the attempt may run, by the clock of leases.
ALTER TABLE leases ADD COLUMN run_until BIGINT;
