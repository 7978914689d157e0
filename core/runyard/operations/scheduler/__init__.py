"""Creates runs of schedules: the scheduler and backfills."""
