"""The schedules of deployments, and the scheduler that makes runs of them."""
