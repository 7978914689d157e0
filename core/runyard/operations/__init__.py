"""Operations: each is defined once, as a function over a transaction.

The client runs an operation in this process or sends it over HTTP; the server makes a route of each.

The packages import one way. From the lowest: `filters` (what listings may ask for), `runs` (rows, states and
removal of flow runs and task runs), `blocks`, `work_pools`, `limits`, `retention`, `schedules` (as stored),
`deployments`, `flow_runs` (insert, claim, start, change, end), `task_runs`, `recovery`, `scheduling` (runs of
schedules, backfills), `records` (logs, results, variables, artifacts), `installation`.
"""

from importlib import import_module

from runyard.operations.operation import Operation

# In the order of the API reference; one module per resource.
MODULES = (
    "installation.admin",
    "deployments.known_flows",
    "flow_runs.flow_runs",
    "flow_runs.run_hours",
    "flow_runs.flow_run_inputs",
    "flow_runs.pauses",
    "flow_runs.dashboards",
    "task_runs.task_runs",
    "task_runs.task_run_dashboards",
    "task_runs.run_graphs",
    "task_runs.background_tasks",
    "records.logs",
    "deployments.deployments",
    "flow_runs.create_deployment_run",
    "deployments.deployment_apply",
    "deployments.discard_deployment",
    "schedules.schedules",
    "schedules.all_schedules",
    "work_pools.work_pools",
    "work_pools.work_queues",
    "work_pools.workers",
    "work_pools.pool_load",
    "work_pools.coming_runs",
    "flow_runs.claim_flow_runs",
    "flow_runs.poll_due_runs",
    "flow_runs.renew_leases",
    "work_pools.lone_queues",
    "limits.concurrency_status",
    "flow_runs.claim_served_flow_runs",
    "recovery.recover_flow_runs",
    "flow_runs.report_exit",
    "flow_runs.adoption",
    "scheduler.scheduler",
    "scheduler.backfills",
    "scheduler.schedule_ahead",
    "deployments.deployment_versions",
    "flow_runs.write_journal",
    "flow_runs.start_flow_run",
    "flow_runs.end_flow_run",
    "records.kept_results",
    "limits.locks",
    "blocks.block_types",
    "blocks.block_documents",
    "blocks.find_block_document",
    "records.stored_variables",
    "records.stored_artifacts",
    "records.saved_searches",
    "limits.concurrency_limits",
    "limits.tag_limits",
    "limits.limit_slots",
    "limits.slot_waits",
    "limits.slot_holders",
    "flow_runs.explain",
    "flow_runs.bulk_changes",
    "flow_runs.retry_flow_run",
    "flow_runs.run_tree",
    "work_pools.list_work_pools",
    "work_pools.list_workers",
    "installation.completion_names",
    "installation.completion_candidates",
    "installation.checkup",
    "installation.overview",
    "retention.retention",
    "retention.database_size",
)


def all_operations() -> list:
    """All operations of all modules, in the order of their definition."""
    return [
        member
        for name in MODULES
        for member in vars(import_module(f"runyard.operations.{name}")).values()
        if isinstance(member, Operation) and member.module == f"runyard.operations.{name}"
    ]
