"""Deployments from Python: `flow.to_deployment`, `flow.deploy`, `deploy(a, b)`."""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import EntrypointError, InvalidInput, RunyardError
from runyard.base.markers import freeze
from runyard.base.quoting import command_of
from runyard.base.syncing import async_twin, sync_compatible
from runyard.base.thread_calls import in_thread
from runyard.client.engine_client import shared_client
from runyard.deployments import docker_images, local_flows, signature_schema
from runyard.deployments.deployment_options import fields_of, schedule_of
from runyard.deployments.docker_images import provide
from runyard.deployments.entrypoint_type import EntrypointType as EntrypointType
from runyard.deployments.loading.from_source import flow_from_source
from runyard.deployments.loading.loading import load_flow
from runyard.deployments.project import job_variable_warnings, version_info
from runyard.deployments.storage import RunnerStorage
from runyard.domain.job_templates import worker_command
from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.deployments.deployment_shapes import DeploymentApply, DeploymentsApply
from runyard.operations.work_pools.work_pools import read_work_pool

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self, Unpack

    from runyard.deployments.deployment_options import CommonOptions, DeploymentOptions
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.operations.deployments.deployment_shapes import Deployment

# Prefect's name of the exception for an invalid deployment.
DeploymentApplyError = RunyardError

# Prefect has it here too.
DockerImage = docker_images.DockerImage

# The owner of schedules from Python: a redeploy from Python deletes those that it no longer declares; others
# stay.
OWNER = "python"


@dataclass
class RunnerDeployment:
    """A deployment that is not created yet; `flow.to_deployment(...)` returns one.

    Args:
        name: its name.
        flow_name: its flow's.
        entrypoint: the flow, below `path` or the source's folder.
        path: the folder of the code on this machine; None with a storage.
        storage: the source of the code instead.
        schedules: mappings in the form of the API; None: keep the stored ones.
        paused: None: unchanged.
        The others are as in `prefect.yaml`.
    """

    name: str
    flow_name: str
    entrypoint: str
    path: str | None = None
    storage: RunnerStorage | None = None
    description: str | None = None
    version: str | None = None
    version_info: dict[str, Any] | None = None
    tags: list[str] | None = None
    schedules: list[dict[str, Any]] | None = None
    paused: bool | None = None
    parameters: dict[str, Any] | None = None
    concurrency_limit: int | None = None
    concurrency_options: dict[str, Any] | None = None
    enforce_parameter_schema: bool = True
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    parameter_openapi_schema: dict[str, Any] | None = None
    triggers: list[Any] = field(default_factory=list)
    flow: Any = field(default=None, repr=False)  # a flow that no other process can import, for `serve`

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow_name}/{self.name}"

    @classmethod
    def from_flow(cls, flow: FlowDefinition, name: str, **options: Unpack[DeploymentOptions]) -> Self:
        """A deployment of a flow of this program.

        Args:
            name: its name.
            options: see `DeploymentOptions`.

        Raises:
            EntrypointError: other processes cannot load the flow.
            InvalidInput: options are unknown or exclude each other.
            ParameterError: the parameters are invalid.
        """
        kind = options.pop("entrypoint_type", None) or EntrypointType.FILE_PATH
        entrypoint, path, storage = _place_of(flow, kind)
        given = fields_of(options)
        where = f"deployment {name}"
        parameters_schema = _schema_of(flow, given)
        if given.get("enforce_parameter_schema", True):
            signature_schema.check_parameters(flow.fn, given.get("parameters") or {}, where)
        return cls(
            name=name,
            flow_name=flow.name,
            entrypoint=entrypoint,
            path=path,
            storage=storage,
            parameter_openapi_schema=parameters_schema,
            flow=flow if local_flows.is_local(entrypoint) else None,
            description=given.pop("description", None) or flow.description,
            **version_info.describe(
                flow, given.pop("version", None), given.pop("version_type", None), path or os.getcwd()
            ),
            **given,
        )

    @classmethod
    def from_entrypoint(
        cls,
        entrypoint: str,
        name: str | None = None,
        flow_name: str | None = None,
        **options: Unpack[DeploymentOptions],
    ) -> Self:
        """A deployment of the flow of an entrypoint; for `options` see `from_flow`.

        Args:
            entrypoint: below the current folder.
            name: its name; default: the flow's.
            flow_name: instead of the flow's own name.

        Raises:
            EntrypointError: the flow does not exist.
        """
        flow = load_flow(entrypoint)
        made = cls.from_flow(flow, name or flow.name, **options)
        made.entrypoint, made.path, made.storage = entrypoint, os.getcwd(), None
        made.flow_name = flow_name or made.flow_name
        return made

    @classmethod
    def from_storage(
        cls,
        storage: Any,
        entrypoint: str,
        name: str,
        flow_name: str | None = None,
        **options: Unpack[DeploymentOptions],
    ) -> Self:
        """A deployment of a flow in a source of code; for `options` see `from_flow`.

        Raises:
            RunyardError: the code cannot be fetched, or does not contain the flow.
        """
        made = cls.from_flow(flow_from_source(storage, entrypoint), name, **options)
        made.flow_name = flow_name or made.flow_name
        return made

    def to_apply(self) -> DeploymentApply:
        """The body for the operation, without fields that are not set, so that their stored values stay."""
        if self.work_pool_name is not None and local_flows.is_local(self.entrypoint):
            raise EntrypointError(
                f"flow {self.flow_name!r} is defined inside a function, where no worker can load it; "
                "define it at the top of its file, or serve it"
            )
        if self.work_queue_name is not None and self.work_pool_name is None:
            raise InvalidInput(
                f"deployment {self.full_name} names the work queue {self.work_queue_name!r} without a work "
                f"pool; "
                "set work_pool_name=... too"
            )
        body: dict[str, Any] = {
            "name": self.name,
            "flow_name": self.flow_name,
            "entrypoint": self.entrypoint,
            "path": None if self.storage else self.path,
            "pull_steps": [self.storage.to_pull_step()] if self.storage else None,
            "enforce_parameter_schema": self.enforce_parameter_schema,
            "work_pool_name": self.work_pool_name,
        }
        for name in (
            "description", "version", "tags", "schedules", "paused", "parameters", "concurrency_options",
            "parameter_openapi_schema", "work_queue_name", "concurrency_limit", "version_info",
        ):  # fmt: skip
            if getattr(self, name) is not None:
                body[name] = getattr(self, name)
        if self.job_variables:
            body["job_variables"] = self.job_variables
        if self.triggers:
            body["triggers"] = self.triggers
        return DeploymentApply.model_validate(body)

    @sync_compatible
    def apply(
        self,
        schedules: list[dict[str, Any]] | None = None,
        work_pool_name: str | None = None,
        image: str | None = None,
    ) -> str:
        """Create or update the deployment.

        Args:
            schedules: instead of its own.
            work_pool_name: instead of its own.
            image: the container image of its runs.

        Returns:
            Its id.

        Raises:
            NotFound: the pool does not exist.
            ParameterError: parameters or job variables are invalid.
        """
        if schedules is not None:
            self.schedules = [schedule_of(each) for each in schedules]
        self.work_pool_name = work_pool_name or self.work_pool_name
        if image:
            self.job_variables = {**self.job_variables, "image": image}
        return apply_all([self])[0].id

    aapply = async_twin(apply)

    @classmethod
    async def afrom_storage(
        cls,
        storage: Any,
        entrypoint: str,
        name: str,
        flow_name: str | None = None,
        **options: Unpack[DeploymentOptions],
    ) -> Self:
        """Like `from_storage`, for async code."""
        return await in_thread(lambda: cls.from_storage(storage, entrypoint, name, flow_name, **options))


def apply_all(deployments: Iterable[RunnerDeployment]) -> list[Deployment]:
    """Create or update deployments: all of them or none.

    Raises:
        RunyardError: one of them is refused.
    """
    body = DeploymentsApply(deployments=[each.to_apply() for each in deployments], owner=OWNER)
    return [applied.deployment for applied in shared_client().call(apply_deployments, body)]


to_deployment = sync_compatible(RunnerDeployment.from_flow)


def _deploy_flow(
    flow: FlowDefinition,
    name: str,
    work_pool_name: str | None = None,
    image: Any = None,
    build: bool = True,
    push: bool = True,
    print_next_steps: bool = True,
    ignore_warnings: bool = False,
    **options: Unpack[CommonOptions],
) -> str:
    """Implements `flow.deploy(...)`; returns its deployment's id."""
    if not name or not isinstance(name, str):
        raise InvalidInput("flow.deploy() needs a name for the deployment")
    made = RunnerDeployment.from_flow(flow, name, **options)
    return _deploy(
        made,
        work_pool_name=work_pool_name,
        image=image,
        build=build,
        push=push,
        print_next_steps_message=print_next_steps,
    )[0]


def _deploy(
    *deployments: RunnerDeployment,
    work_pool_name: str | None = None,
    image: Any = None,
    build: bool = True,
    push: bool = True,
    print_next_steps_message: bool = True,
    ignore_warnings: bool = False,
) -> list[str]:
    """Create or update deployments for a work pool: all of them or none.

    Args:
        deployments: from `flow.to_deployment(...)`.
        work_pool_name: the pool whose workers start their runs; default: the setting, or each one's own.
        image: for pools of containers: the image's name, or a `DockerImage`.
        build, push: whether the image is built and pushed first.
        print_next_steps_message: print how to start a worker and a run.
        ignore_warnings: do not warn of suspicious job variables.

    Returns:
        Their ids.

    Raises:
        NotFound: the pool does not exist.
        InvalidInput: no pool is named, or it needs an image and none is given.
    """
    starts: dict[str, str] = {}  # the command that starts a worker, by pool
    for each in deployments:
        if not isinstance(each, RunnerDeployment):
            raise InvalidInput(f"deploy() takes results of flow.to_deployment(...), not {each!r}")
        pool_name = work_pool_name or each.work_pool_name or settings.get("default_work_pool_name")
        if not pool_name:
            raise InvalidInput(
                f"deployment {each.full_name} has no work pool; set work_pool_name=..., or use serve()"
            )
        each.work_pool_name = pool_name
        pool = shared_client().call(read_work_pool, pool_name)
        warnings = [
            *job_variable_warnings.warnings(each.full_name, each.job_variables),
            *job_variable_warnings.unread(each.full_name, pool, each.job_variables),
        ]
        for warning in [] if ignore_warnings else warnings:
            print(f"runyard: {warning}", file=sys.stderr)
        starts[pool_name] = worker_command(pool_name, pool.type)
        if pool.type != "process" and image is None and not each.job_variables.get("image"):
            raise InvalidInput(
                f"work pool {pool_name!r} runs containers: deployment {each.full_name} needs an image=..."
            )
    if image is not None:
        reference = provide(image, build=build, push=push)
        for each in deployments:
            each.job_variables = {**each.job_variables, "image": reference}
            # Without a storage, the code is in the image, in the folder where its runs start.
            each.path = None
    made = apply_all(deployments)
    if print_next_steps_message:
        _say_next_steps(list(deployments), starts.values())
    return [each.id for each in made]


deploy_flow = sync_compatible(_deploy_flow)
deploy = sync_compatible(_deploy)
adeploy = async_twin(_deploy)


def _say_next_steps(deployments: list[RunnerDeployment], starts: Iterable[str]) -> None:
    for each in deployments:
        print(f"Deployment {each.full_name!r} was deployed to work pool {each.work_pool_name!r}.")
    for command in starts:
        print(f"Start a worker:\n\n    {command}\n")
    print(f"Create a run:\n\n    {command_of('runyard deployment run', deployments[0].full_name)}\n")


# Where a flow is


def _schema_of(flow: FlowDefinition, given: dict[str, Any]) -> dict[str, Any]:
    """The schema of a flow's parameters; a frozen parameter has only one valid value."""
    made = signature_schema.parameter_schema(flow.fn)
    for name, value in (given.get("parameters") or {}).items():
        if isinstance(value, freeze):
            given["parameters"] = {**given["parameters"], name: value.unfreeze()}
            made.get("properties", {}).get(name, {}).update(readOnly=True, enum=[value.unfreeze()])
    return made


def _place_of(flow: FlowDefinition, kind: EntrypointType) -> tuple[str, str | None, RunnerStorage | None]:
    """A flow's entrypoint, and the folder or storage to which it is relative."""
    if flow.source is not None:
        storage, entrypoint = flow.source
        return entrypoint, None, storage
    name = _name_in_module(flow)
    if kind is EntrypointType.MODULE_PATH and flow.__module__ != "__main__":
        return f"{flow.__module__}.{name}", os.getcwd(), None
    file = getattr(getattr(inspect.unwrap(flow.fn), "__code__", None), "co_filename", "")
    if not os.path.isfile(file):
        raise EntrypointError(f"flow {flow.name!r} is not in a file; write it into one to serve or deploy it")
    file, here = os.path.abspath(file), os.getcwd()
    folder = here if file.startswith(here + os.sep) else os.path.dirname(file)
    return f"{os.path.relpath(file, folder)}:{name}", folder, None


def _name_in_module(flow: FlowDefinition) -> str:
    """The name of the flow in its module: the variable's, which may differ from the function's."""
    found = [name for name, value in vars(sys.modules.get(flow.__module__, sys)).items() if value is flow]
    return found[0] if found else flow.__qualname__
