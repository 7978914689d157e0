"""Finding what a command line names: deployments, schedules, flow runs, task runs, and names of flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of

from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.client import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client

_SHORTEST_BEGINNING = 4


def find_deployment(client: Client, reference: str) -> Any:
    """The deployment that `flow/name`, a name, an id or the beginning of an id means."""
    from runyard.operations.deployments import deployments

    return client.call(deployments.find_deployment, reference=reference)


def deployment_reference(reference: str | None, deployment_id: str | None) -> str:
    """The deployment that a command was given, by its argument or by --id.

    Raises:
        WrongUsage: neither was given, or both.
    """
    if (reference is None) == (deployment_id is None):
        raise WrongUsage("Name a deployment, or give --id.")
    return str(deployment_id if reference is None else reference)


def full_name(client: Client, found: Any) -> str:
    """`flow/name` of a deployment."""
    from runyard.operations.deployments import known_flows

    return f"{client.call(known_flows.read_flow, found.flow_id).name}/{found.name}"


def find_schedules(found: Any, key: str | None) -> list[Any]:
    """The schedules of a deployment that an id, its beginning or a slug means; all of them for None."""
    from runyard.base.errors import Conflict, NotFound

    if key is None:
        return list(found.schedules)
    matches = [each for each in found.schedules if key in (each.id, each.slug)] or [
        each for each in found.schedules if len(key) >= _SHORTEST_BEGINNING and each.id.startswith(key)
    ]
    if not matches:
        from runyard.base.suggestions import did_you_mean

        known = [each.slug for each in found.schedules if each.slug]
        command = command_of("runyard schedule ls", f"{found.flow_name}/{found.name}")
        hint = did_you_mean(key, known, otherwise=f"see: {command}")
        raise NotFound(f"deployment '{found.name}' has no schedule {key!r}{hint}")
    if len(matches) > 1:
        ids = ", ".join(each.id for each in matches)
        raise Conflict(f"the ids of {len(matches)} schedules begin with {key!r}; give more of the id: {ids}")
    return matches


def find_flow_run(client: Client, reference: str) -> Any:
    """The flow run that an id, the beginning of an id or a name means."""
    from runyard.operations.flow_runs import flow_runs

    return client.call(flow_runs.find_flow_run, reference=reference)


def find_task_run(client: Client, reference: str) -> Any:
    """The task run that an id, the beginning of an id or a name means."""
    from runyard.operations.task_runs import task_runs

    return client.call(task_runs.find_task_run, reference=reference)


def deployment_filters(
    client: Client,
    tags: Sequence[str] = (),
    pool: str | None = None,
    ids: Sequence[str] = (),
) -> dict[str, Any]:
    """Filter objects of the API for deployments, and for what belongs to them.

    Args:
        client: where the pool is.
        tags: deployments with all of these.
        pool: deployments of this work pool.
        ids: these deployments.

    Raises:
        NotFound: the work pool is not found.
    """
    wanted: dict[str, Any] = {}
    if ids:
        wanted["id"] = {"any_": list(ids)}
    if tags:
        wanted["tags"] = {"all_": list(tags)}
    filters: dict[str, Any] = {"deployments": wanted} if wanted else {}
    if pool is not None:
        from runyard.operations.work_pools.work_pools import read_work_pool

        filters["work_pools"] = {"name": {"any_": [client.call(read_work_pool, pool).name]}}
    return filters


def flow_names(client: Client, flow_ids: set[str]) -> dict[str, str]:
    """The names of flows, by id."""
    if not flow_ids:
        return {}
    from runyard.operations.deployments import known_flows

    wanted = {"id": {"any_": sorted(flow_ids)}}
    return {flow.id: flow.name for flow in listed(client, known_flows.filter_flows, flows=wanted)}


def deployment_names(client: Client, deployment_ids: set[str]) -> dict[str, str]:
    """The names `flow/name` of deployments, by id."""
    if not deployment_ids:
        return {}
    from runyard.operations.deployments import deployments

    wanted = {"id": {"any_": sorted(deployment_ids)}}
    found = listed(client, deployments.filter_deployments, deployments=wanted)
    return {each.id: f"{each.flow_name}/{each.name}" for each in found}
