-- What a schedule skipped is told after the schedule is gone, by its deployment.

ALTER TABLE schedule_skips ADD COLUMN deployment_id TEXT;
ALTER TABLE schedule_skips ADD COLUMN slug TEXT;
UPDATE schedule_skips SET deployment_id =
    (SELECT deployment_id FROM deployment_schedules WHERE deployment_schedules.id = schedule_skips.schedule_id);
DELETE FROM schedule_skips WHERE deployment_id IS NULL;
CREATE INDEX schedule_skips_by_deployment ON schedule_skips (deployment_id, instant);
