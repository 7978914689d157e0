"""Deployments in the style of Prefect 2: `Deployment.build_from_flow(flow, name=...).apply()`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import InvalidInput, NotFound
from runyard.base.syncing import sync_compatible
from runyard.client.engine_client import shared_client
from runyard.deployments.deploy_from_python import RunnerDeployment
from runyard.operations.work_pools.work_pools import (
    LONE_POOL,
    WorkPoolCreate,
    create_work_pool,
    read_work_pool,
)
from runyard.operations.work_pools.work_queues import WorkQueueUpdate, update_work_queue

if TYPE_CHECKING:
    from runyard.engine.flow_definition import FlowDefinition

# Options about Prefect 2's storage and infrastructure, which are ignored.
_WITHOUT_MEANING = ("skip_upload", "ignore_file", "load_existing", "path", "output", "manifest_path")


class Deployment:
    """A deployment that `apply` creates.

    Args:
        made: the deployment to create.
    """

    def __init__(self, made: RunnerDeployment) -> None:
        self._made = made

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self._made.name

    @classmethod
    def build_from_flow(
        cls,
        flow: FlowDefinition,
        name: str,
        apply: bool = False,
        entrypoint: str | None = None,
        **options: Any,
    ) -> Deployment:
        """A deployment of a flow of this program.

        Args:
            flow: the flow.
            name: the deployment's name.
            apply: whether to create it at once.
            entrypoint: `file.py:function`, if it is not the flow's own.
            options: version, description, tags, parameters, schedule, schedules, is_schedule_active,
                work_pool_name, work_queue_name, job_variables (or infra_overrides),
                enforce_parameter_schema.

        Raises:
            InvalidInput: an option names storage or infrastructure blocks of Prefect 2.
            ParameterError: the parameters are invalid.
        """
        for gone in ("storage", "infrastructure"):
            if options.pop(gone, None) is not None:
                raise InvalidInput(
                    f"{gone}= names a block of Prefect 2; use work_pool_name=, and set the source of the "
                    f"code with "
                    "flow.from_source(...)"
                )
        for unused in _WITHOUT_MEANING:
            options.pop(unused, None)
        overrides = options.pop("infra_overrides", None)
        if overrides:
            options["job_variables"] = {**overrides, **(options.get("job_variables") or {})}
        if options.pop("is_schedule_active", None) is False:
            options["paused"] = True
        if options.get("work_queue_name") and not options.get("work_pool_name"):
            options["work_pool_name"] = settings.get("default_work_pool_name") or LONE_POOL
        if entrypoint is not None:
            made = RunnerDeployment.from_entrypoint(entrypoint, name, flow.name, **options)
        else:
            made = RunnerDeployment.from_flow(flow, name, **options)
        found = cls(made)
        if apply:
            found._apply()
        return found

    @sync_compatible
    def apply(self, upload: bool = False, work_queue_concurrency: int | None = None) -> str:
        """Create or update the deployment. In async code, await it.

        A missing work pool is created with type process, because such scripts run before it exists.

        Args:
            upload: ignored.
            work_queue_concurrency: how many runs of its queue may execute at once.

        Returns:
            Its id.
        """
        return self._apply(work_queue_concurrency)

    def _apply(self, queue_limit: int | None = None) -> str:
        pool = self._made.work_pool_name
        client = shared_client()
        if pool:
            try:
                client.call(read_work_pool, pool)
            except NotFound:
                client.call(create_work_pool, WorkPoolCreate(name=pool, type="process"))
                print(f"Created work pool '{pool}' of type process.", file=sys.stderr)
        made: str = self._made.apply(_sync=True)
        if pool and queue_limit is not None:
            queue = self._made.work_queue_name or "default"
            client.call(update_work_queue, pool, queue, WorkQueueUpdate(concurrency_limit=queue_limit))
        return made
