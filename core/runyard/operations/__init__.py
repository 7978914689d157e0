"""Operations: what can be done, each defined once as a function over a transaction.

The client runs an operation in this process or sends it over HTTP; the server makes a route of each.
"""

from importlib import import_module

# In the order of the API's reference; one module per resource.
MODULES = (
    "admin",
    "flows",
    "flow_runs",
    "run_hours",
    "flow_run_inputs",
    "pauses",
    "task_runs",
    "background_tasks",
    "logs",
    "deployments",
    "deployment_runs",
    "deployment_apply",
    "schedules",
    "work_pools",
    "work_queues",
    "workers",
    "pool_load",
    "claims",
    "lone_queues",
    "concurrency_status",
    "served_runs",
    "recovery",
    "adoption",
    "scheduler",
    "backfills",
    "deployment_versions",
    "journal",
    "results",
    "locks",
    "block_types",
    "block_documents",
    "variables",
    "artifacts",
    "concurrency_limits",
    "tag_limits",
    "limit_slots",
    "explain",
    "overview",
    "names",
    "checkup",
    "retention",
    "database_size",
)


def all_operations() -> list:
    """Every operation of every module, in the order of their definition."""
    from runyard.operations.base import Operation

    return [
        member
        for name in MODULES
        for member in vars(import_module(f"runyard.operations.{name}")).values()
        if isinstance(member, Operation) and member.module == f"runyard.operations.{name}"
    ]
