"""Making runs of schedules: the scheduler and backfills."""
