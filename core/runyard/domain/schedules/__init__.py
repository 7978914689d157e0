"""Schedules as pure functions: cron, intervals, recurrence rules, time zones."""
