"""A run's job configuration: the pool's template, filled with the deployment's and the run's variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runyard.deployments.placeholders import stored_placeholders
from runyard.domain import job_secrets, job_templates

if TYPE_CHECKING:
    from runyard.operations.deployments.deployment_shapes import Deployment
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.operations.flow_runs.flow_run_shapes import FlowRun


def job_of(claimed: ClaimedRun) -> dict[str, Any]:
    """Create the job configuration of a claimed run.

    Returns:
        For a process pool: command, env, working_dir, python, environment, stream_output, where set.

    Raises:
        RunyardError: a variable does not match the template.
    """
    return resolved(claimed.base_job_template, claimed.deployment, claimed.flow_run, claimed.flow_name)


def resolved(
    template: dict[str, Any], deployment: Deployment | None, run: FlowRun, flow_name: str
) -> dict[str, Any]:
    """Fill a pool's job configuration with the variables of a deployment and of one of its runs.

    Reads variables and blocks, secrets too (registers them for redaction). `{{ $NAME }}` is an environment
    variable of this process.

    Raises:
        RunyardError: a variable does not fit the template, or would reveal a secret.
    """
    variables = [deployment.job_variables if deployment else {}, run.job_variables or {}]
    job_secrets.check(template, *variables, hidden_fields=stored_placeholders.hidden_fields)
    return job_templates.resolve(
        stored_placeholders.resolve(_with_environment(template), "the work pool's base job template"),
        stored_placeholders.resolve(variables[0], "job variables of the deployment"),
        stored_placeholders.resolve(variables[1], "job variables of the run"),
        {
            "ctx": {"flow": {"name": flow_name}, "flow_run": {"id": run.id, "name": run.name}},
            "env": os.environ,
        },
    )


def defaults_of(base_job_template: dict[str, Any]) -> dict[str, Any]:
    """Fill a pool's job configuration with the default values of its variables.

    Raises:
        RunyardError: a variable or a block is not found.
    """
    template = stored_placeholders.resolve(base_job_template, "the work pool's base job template")
    return job_templates.fill(template, {"env": os.environ})


def _with_environment(template: dict[str, Any]) -> dict[str, Any]:
    """Add the variable `environment` to a process pool's template from before virtual environments existed.

    A template that already has a variable of that name stays unchanged.
    """
    configuration = template.get("job_configuration") or {}
    properties = (template.get("variables") or {}).get("properties") or {}
    if "python" not in configuration or {"environment"} & {*configuration, *properties}:
        return template
    return {**template, "job_configuration": {**configuration, "environment": "{{ environment }}"}}
