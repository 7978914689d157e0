"""The schedules of deployments, as they are stored."""
