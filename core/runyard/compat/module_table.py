"""The table of Prefect's module names: our module for each, and hints for the others."""

from __future__ import annotations

# Aliases, not copies: `prefect.artifacts is runyard.sdk.artifacts`.
MODULES: dict[str, str] = {
    "prefect": "runyard",
    "prefect.artifacts": "runyard.sdk.artifacts",
    "prefect.blocks": "runyard.blocks",
    "prefect.blocks.abstract": "runyard.blocks.abstract",
    "prefect.blocks.core": "runyard.blocks.core",
    "prefect.blocks.fields": "runyard.blocks.fields",
    "prefect.blocks.notifications": "runyard.blocks.notifications",
    "prefect.blocks.system": "runyard.blocks.system",
    "prefect.blocks.webhook": "runyard.blocks.webhook",
    "prefect.cache_policies": "runyard.engine.cache_policies",
    "prefect.client": "runyard.client.user_client",
    "prefect.client.base": "runyard.prefect_names.clients",
    "prefect.client.constants": "runyard.prefect_names.clients",
    "prefect.client.orchestration": "runyard.prefect_names.clients",
    "prefect.client.schemas": "runyard.client.schemas",
    "prefect.client.schemas.actions": "runyard.client.schemas.actions",
    "prefect.client.schemas.filters": "runyard.client.schemas.filters",
    "prefect.client.schemas.objects": "runyard.client.schemas.objects",
    "prefect.client.schemas.responses": "runyard.client.schemas.responses",
    "prefect.client.schemas.schedules": "runyard.client.schemas.schedule_models",
    "prefect.client.schemas.sorting": "runyard.client.schemas.sorting",
    "prefect.client.utilities": "runyard.prefect_names.clients",
    "prefect.concurrency": "runyard.engine.concurrency",
    "prefect.concurrency.asyncio": "runyard.engine.concurrency.asyncio",
    "prefect.concurrency.sync": "runyard.engine.concurrency.sync",
    "prefect.context": "runyard.prefect_names.context_names",
    "prefect.deployments": "runyard.prefect_names.deployment_names",
    "prefect.deployments.deployments": "runyard.deployments.legacy",
    "prefect.deployments.flow_runs": "runyard.deployments.run_from_python",
    "prefect.deployments.runner": "runyard.deployments.deploy_from_python",
    "prefect.deployments.steps": "runyard.deployments.steps",
    "prefect.deployments.steps.core": "runyard.deployments.steps",
    "prefect.deployments.steps.pull": "runyard.deployments.steps",
    "prefect.deployments.steps.utility": "runyard.deployments.steps",
    "prefect.docker": "runyard.prefect_names.deployment_names",
    "prefect.docker.docker_image": "runyard.deployments.docker_images",
    "prefect.engine": "runyard.prefect_names.engines",
    "prefect.exceptions": "runyard.base.exceptions",
    "prefect.filesystems": "runyard.blocks.filesystems",
    "prefect.flow_engine": "runyard.prefect_names.engines",
    "prefect.flow_runs": "runyard.sdk.pausing",
    "prefect.flows": "runyard.prefect_names.flow_module",
    "prefect.futures": "runyard.prefect_names.future_names",
    "prefect.input": "runyard.sdk.input",
    "prefect.input.actions": "runyard.sdk.input.input_actions",
    "prefect.input.run_input": "runyard.sdk.input.run_input",
    "prefect.locking": "runyard.engine.locking",
    "prefect.locking.filesystem": "runyard.engine.locking.file_locks",
    "prefect.locking.memory": "runyard.engine.locking.memory_locks",
    "prefect.locking.protocol": "runyard.engine.locking.lock_protocol",
    "prefect.logging": "runyard.engine.logging",
    "prefect.logging.configuration": "runyard.prefect_names.logs.configuration",
    "prefect.logging.formatters": "runyard.prefect_names.logs.formatters",
    "prefect.logging.handlers": "runyard.engine.logging.handlers",
    "prefect.logging.loggers": "runyard.prefect_names.loggers",
    "prefect.main": "runyard",
    "prefect.projects": "runyard.prefect_names.deployment_names",
    "prefect.projects.steps": "runyard.deployments.steps",
    "prefect.results": "runyard.engine.results.result_stores",
    "prefect.runner": "runyard.prefect_names.deployment_names",
    "prefect.runner.runner": "runyard.workers.serve_from_python",
    "prefect.runner.storage": "runyard.deployments.storage",
    "prefect.runtime": "runyard.engine.runtime",
    "prefect.runtime.deployment": "runyard.engine.runtime.deployment",
    "prefect.runtime.flow_run": "runyard.engine.runtime.flow_run",
    "prefect.runtime.task_run": "runyard.engine.runtime.task_run",
    "prefect.schedules": "runyard.domain.schedules.specifications",
    "prefect.serializers": "runyard.engine.results.serializers",
    "prefect.server": "runyard.compat",
    "prefect.server.schemas": "runyard.client.schemas",
    "prefect.server.schemas.actions": "runyard.client.schemas.actions",
    "prefect.server.schemas.core": "runyard.client.schemas.objects",
    "prefect.server.schemas.filters": "runyard.client.schemas.filters",
    "prefect.server.schemas.responses": "runyard.client.schemas.responses",
    "prefect.server.schemas.schedules": "runyard.client.schemas.schedule_models",
    "prefect.server.schemas.sorting": "runyard.client.schemas.sorting",
    "prefect.server.schemas.states": "runyard.prefect_names.state_names",
    "prefect.server.schemas.statuses": "runyard.client.schemas.objects",
    "prefect.settings": "runyard.prefect_names.setting_names",
    "prefect.settings.context": "runyard.prefect_names.setting_names",
    "prefect.settings.legacy": "runyard.prefect_names.setting_names",
    "prefect.settings.profiles": "runyard.prefect_names.profile_names",
    "prefect.states": "runyard.prefect_names.state_names",
    "prefect.task_engine": "runyard.prefect_names.engines",
    "prefect.task_runners": "runyard.engine.task_runners",
    "prefect.task_worker": "runyard.workers.task_worker",
    "prefect.tasks": "runyard.prefect_names.task_names",
    "prefect.testing": "runyard.sdk.testing",
    "prefect.testing.utilities": "runyard.prefect_names.testing_names",
    "prefect.transactions": "runyard.engine.transactions",
    "prefect.types": "runyard.prefect_names.types",
    "prefect.types._datetime": "runyard.prefect_names.moments",
    "prefect.types.entrypoint": "runyard.deployments.entrypoint_type",
    "prefect.utilities": "runyard.prefect_names.utilities",
    "prefect.utilities.annotations": "runyard.base.markers",
    "prefect.utilities.asyncutils": "runyard.prefect_names.utilities.asyncutils",
    "prefect.utilities.callables": "runyard.prefect_names.utilities.callables",
    "prefect.utilities.collections": "runyard.prefect_names.utilities.collections",
    "prefect.utilities.context": "runyard.prefect_names.utilities.contexts",
    "prefect.utilities.dockerutils": "runyard.prefect_names.utilities.image_names",
    "prefect.utilities.filesystem": "runyard.prefect_names.utilities.path_names",
    "prefect.utilities.hashing": "runyard.prefect_names.utilities.hashing",
    "prefect.utilities.importtools": "runyard.prefect_names.utilities.importtools",
    "prefect.utilities.names": "runyard.prefect_names.utilities.slugs",
    "prefect.utilities.processutils": "runyard.prefect_names.utilities.process_names",
    "prefect.utilities.pydantic": "runyard.prefect_names.utilities.models",
    "prefect.utilities.slugify": "runyard.prefect_names.utilities.slugs",
    "prefect.utilities.templating": "runyard.prefect_names.utilities.placeholder_names",
    "prefect.utilities.text": "runyard.prefect_names.utilities.slugs",
    "prefect.utilities.timeout": "runyard.prefect_names.utilities.timeout",
    "prefect.utilities.urls": "runyard.prefect_names.utilities.urls",
    "prefect.utilities.visualization": "runyard.sdk.visualization.drawing",
    "prefect.variables": "runyard.sdk.variables",
    "prefect_dask": "runyard.engine.task_runners",
    "prefect_dask.client": "runyard.engine.task_runners.dask",
    "prefect_dask.task_runners": "runyard.engine.task_runners.dask",
    "prefect_dask.utils": "runyard.engine.task_runners.dask",
    "prefect_ray": "runyard.engine.task_runners",
    "prefect_ray.context": "runyard.engine.task_runners.ray",
    "prefect_ray.task_runners": "runyard.engine.task_runners.ray",
}

# The value of `prefect.__version__`, for scripts that depend on it.
PREFECT_VERSION = "3.8.8"

# The top-level names among them.
ROOTS = frozenset(name.partition(".")[0] for name in MODULES)

_IN_FILE = "declare it in prefect.yaml and run `runyard deploy`"

_CLOUD = (
    "call the provider's own library from a task, with its credentials in a Secret; store results "
    "on s3://, gs:// or az:// with `result_storage`, and fetch code with the steps of prefect.yaml"
)
_GIT = "use flow.from_source with `prefect.runner.storage.GitRepository`, with its token in a Secret"
_SLOTS = "acquire slots with `prefect.concurrency.sync.concurrency`"
_NOTIFY = "notification blocks are in `prefect.blocks.notifications`"

# Hints for names that Runyard does not have; a key also applies to everything below it.
ADVICE: dict[str, str] = {
    "prefect.analytics": "Runyard sends no telemetry; remove it",
    "prefect.assets": "Runyard does not store assets; omit @materialize and asset_deps",
    "prefect.automations": "Runyard has no automations yet; use state hooks, such as on_failure",
    "prefect.blocks.redis": "call the library redis from a task",
    "prefect.bundles": "fetch code with the steps of prefect.yaml, or with `flow.from_source`",
    "prefect.client.collections": "to see the options of a type of work pool, run `runyard work-pool "
    "get-default-base-job-template`",
    "prefect.concurrency.context": _SLOTS,
    "prefect.concurrency.services": _SLOTS,
    "prefect.deployments.base": "`runyard init` writes a prefect.yaml",
    "prefect.deployments.schedules": "give schedules to `flow.deploy`, `flow.serve` or in prefect.yaml",
    "prefect.logging.clients": "`runyard flow-run logs` shows the records of a run",
    "prefect.task_runs": "wait for the future of the task run: `future.wait()`",
    "prefect.telemetry": "Runyard collects no telemetry; a flow may use the library opentelemetry",
    "prefect.types.names": "it is a helper of Prefect's own code; write your own",
    "prefect.concurrency.v1": "write `from prefect.concurrency.sync import concurrency`",
    "prefect.events": "Runyard has no events yet; use state hooks, such as on_failure",
    "prefect.filesystems.SMB": "mount the share and use its path",
    "prefect.agent": "workers replaced agents: `runyard worker start --pool NAME`",
    "prefect.cli": "the commands are the same, called `runyard`",
    "prefect.flow_engine": "call the flow; `flow(..., return_state=True)` gives its final state",
    "prefect.infrastructure": "work pools replaced infrastructure blocks: `runyard work-pool create NAME`",
    "prefect.logging.filters": "Runyard removes secrets from all records",
    "prefect.logging.highlighters": "Runyard does not colour the console with highlighters",
    "prefect.orion": "Runyard has nothing of this name; it is the server of Prefect 2",
    "prefect.packaging": _IN_FILE,
    "prefect.plugins": "steps, blocks and serializers are found by importing their modules",
    "prefect.server": "the server is `runyard server start`; schedules are written in prefect.yaml",
    "prefect.settings": "unknown setting; to see all settings, run `runyard config view --show-defaults`",
    "prefect.task_engine": "call the task; `task(..., return_state=True)` gives its final state",
    "prefect.utilities.dockerutils": "build images with `prefect.docker.DockerImage` or the steps "
    "of prefect.yaml",
    "prefect.utilities": "it is a helper of Prefect's own code; write your own",
    "prefect.workers": "start a worker with `runyard worker start --pool NAME`",
    "prefect_aws": _CLOUD,
    "prefect_azure": _CLOUD,
    "prefect_bitbucket": _GIT,
    "prefect_docker": "build images with `prefect.docker.DockerImage` or the steps of prefect.yaml",
    "prefect_email": _NOTIFY,
    "prefect_gcp": _CLOUD,
    "prefect_github": _GIT,
    "prefect_gitlab": _GIT,
    "prefect_kubernetes": "call the library kubernetes from a task",
    "prefect_shell": "call subprocess from a task; in prefect.yaml use the step run_shell_script",
    "prefect_slack": _NOTIFY,
}


# Prefect's integration packages; any other prefect_x belongs to someone else.
_INTEGRATIONS = frozenset(
    f"prefect_{name}"
    for name in (
        "airbyte", "airflow", "alert", "aws", "azure", "bitbucket", "census", "cloud", "cubejs", "dask",
        "databricks", "dbt", "docker", "email", "fivetran", "firebolt", "gcp", "github", "gitlab",
        "great_expectations", "hex", "hightouch", "jupyter", "kubernetes", "kv", "metricflow", "monday",
        "monte_carlo", "openai", "openmetadata", "planetary_computer", "prometheus", "ray", "redis", "shell",
        "sifflet", "slack", "snowflake", "soda_cloud", "soda_core", "spark_on_k8s_operator", "sqlalchemy",
        "stitch", "transform", "twitter", "vault",
    )
)  # fmt: skip


def is_integration(name: str) -> bool:
    """Whether a module belongs to one of Prefect's integrations."""
    package = name.partition(".")[0]
    return package in _INTEGRATIONS or package in ADVICE


def advice(name: str) -> str | None:
    """A hint for a dotted Prefect name, or None."""
    while name:
        if name in ADVICE:
            return ADVICE[name]
        name = name.rpartition(".")[0]
    return None


def target(module: str) -> str:
    """Our module for one of Prefect's; any other name is returned unchanged."""
    return MODULES.get(module, module)
