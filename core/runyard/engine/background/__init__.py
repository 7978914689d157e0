"""Background tasks: `task.delay` submits them, a process that serves the task executes them."""
