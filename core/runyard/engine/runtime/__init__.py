"""Attributes of the current run: `runtime.flow_run.id`, `runtime.task_run.name` ..."""

from runyard.engine.runtime import deployment, flow_run, task_run

__all__ = ["deployment", "flow_run", "task_run"]
