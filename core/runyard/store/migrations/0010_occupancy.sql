-- How long slots of a limit are held on average, in seconds, as those say who give them back; null: nobody has.
ALTER TABLE concurrency_limits ADD COLUMN occupancy_seconds DOUBLE PRECISION;
