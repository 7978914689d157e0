"""What users write: flows, tasks, artifacts, variables, pausing, input, visualization, testing."""
