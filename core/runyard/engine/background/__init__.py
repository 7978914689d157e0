"""Background tasks: submitted with `task.delay`, executed by a process that serves them."""
