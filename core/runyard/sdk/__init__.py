"""The public Python API: flows, tasks, artifacts, variables, pausing, input, visualization, testing."""
