"""Stored schedules of deployments."""
