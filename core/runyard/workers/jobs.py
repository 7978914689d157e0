"""A run's job configuration: the pool's template with the deployment's and the run's variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runyard.deployments import stored
from runyard.orchestration import job_templates

if TYPE_CHECKING:
    from runyard.operations.claims import ClaimedRun


def job_of(claimed: ClaimedRun) -> dict[str, Any]:
    """How the run of a claim is to be started.

    Returns:
        Of a process pool: command, env, working_dir, python, stream_output, each where it is set.

    Raises:
        RunyardError: a variable does not fit the template.
    """
    deployment = claimed.deployment
    return job_templates.resolve(
        stored.resolve(claimed.base_job_template, "the work pool's base job template"),
        stored.resolve(deployment.job_variables, "job variables of the deployment") if deployment else {},
        stored.resolve(claimed.flow_run.job_variables or {}, "job variables of the run"),
        {
            "ctx": {
                "flow": {"name": claimed.flow_name},
                "flow_run": {"id": claimed.flow_run_id, "name": claimed.flow_run.name},
            },
            "env": os.environ,
        },
    )
