"""Schedules as pure functions: cron, intervals, recurrence rules, time zones, and when each is due."""
