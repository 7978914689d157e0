-- What a schedule skipped is told after the schedule is gone, by its deployment.

ALTER TABLE schedule_skips ADD COLUMN deployment_id TEXT;
ALTER TABLE schedule_skips ADD COLUMN slug TEXT;
UPDATE schedule_skips SET deployment_id =
    (SELECT deployment_id FROM deployment_schedules WHERE deployment_schedules.id = schedule_skips.schedule_id);
DELETE FROM schedule_skips WHERE deployment_id IS NULL;
CREATE INDEX schedule_skips_by_deployment ON schedule_skips (deployment_id, instant);

-- Instants that were due when their schedule was changed, paused or removed: the scheduler's next turn
-- deals with them as the schedule said until then.
CREATE TABLE schedule_debts (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL,        -- the instants are those until then
    deployment_id TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    schedule TEXT NOT NULL          -- JSON: the row of deployment_schedules as it was
);
CREATE INDEX schedule_debts_by_deployment ON schedule_debts (deployment_id);
