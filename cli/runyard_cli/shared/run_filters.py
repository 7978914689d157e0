"""The filters of flow runs that `ls`, `cancel`, `retry` and `delete` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from runyard_cli.shared import values
from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.options import many, option
from runyard_cli.shared.run_lists import state_filter

if TYPE_CHECKING:
    from runyard.client import Client

_PANEL = "Filters"

FlowName = Annotated[list[str], many("--flow-name", help="Only runs of this flow.", rich_help_panel=_PANEL)]
States = Annotated[
    list[str],
    many("--state", help="Only runs in this state, such as Late or Running.", rich_help_panel=_PANEL),
]
StateTypes = Annotated[
    list[str], many("--state-type", help="Only runs in a state of this type.", rich_help_panel=_PANEL)
]
Tags = Annotated[
    list[str],
    many("-t", "--tag", help="Only runs with this tag; of several, with all.", rich_help_panel=_PANEL),
]
Deployment = Annotated[
    str | None,
    option("--deployment", help="Only runs of this deployment: flow/name or an id.", rich_help_panel=_PANEL),
]
Pool = Annotated[
    str | None, option("-p", "--pool", help="Only runs in this work pool.", rich_help_panel=_PANEL)
]
Name = Annotated[
    str | None, option("--name", help="Only runs with this in their name.", rich_help_panel=_PANEL)
]
Since = Annotated[
    str | None,
    option(
        "--since",
        metavar="TIME",
        help="Only runs that started, or are due, after this time: 2h, yesterday, or a time.",
        rich_help_panel=_PANEL,
    ),
]
Until = Annotated[
    str | None,
    option(
        "--until",
        metavar="TIME",
        help="Only runs that started, or are due, before this time.",
        rich_help_panel=_PANEL,
    ),
]
OlderThan = Annotated[
    str | None,
    option(
        "--older-than",
        metavar="DURATION",
        help="Only runs that started, or were due, longer ago than this: 30d.",
        rich_help_panel=_PANEL,
    ),
]


class RunFilter(NamedTuple):
    """Which flow runs are meant: the values of the options above."""

    flow_name: list[str]
    state: list[str]
    state_type: list[str]
    tag: list[str]
    deployment: str | None = None
    pool: str | None = None
    name: str | None = None
    since: str | None = None
    until: str | None = None
    older_than: str | None = None

    def __bool__(self) -> bool:
        """Whether it leaves out any run."""
        return any(self._asdict().values())

    def fields(self, client: Client) -> dict[str, Any]:
        """The filter objects of the API.

        Args:
            client: where the deployment is looked up.

        Raises:
            NotFound: the deployment is not found.
            InvalidInput: a time is invalid.
            WrongUsage: two options exclude each other.
        """
        criteria = {**state_filter(self.state, self.state_type), **self._of_time()}
        if self.tag:
            criteria["tags"] = {"all_": list(self.tag)}
        if self.name:
            criteria["name"] = {"like_": self.name}
        if self.deployment:
            from runyard.operations.deployments import deployments

            found = client.call(deployments.find_deployment, reference=self.deployment)
            criteria["deployment_id"] = {"any_": [found.id]}
        fields: dict[str, Any] = {}
        if criteria:
            fields["flow_runs"] = criteria
        if self.flow_name:
            fields["flows"] = {"name": {"any_": list(self.flow_name)}}
        if self.pool:
            fields["work_pools"] = {"name": {"any_": [self.pool]}}
        return fields

    def _of_time(self) -> dict[str, Any]:
        if self.older_than and self.until:
            raise WrongUsage("--older-than and --until exclude each other.")
        found = {}
        if self.since:
            found["after_"] = values.past(self.since).isoformat()
        if self.until:
            found["before_"] = values.past(self.until).isoformat()
        if self.older_than:
            from datetime import UTC, datetime

            age = values.duration(self.older_than)
            try:
                found["before_"] = (datetime.now(UTC) - age).isoformat()
            except OverflowError:
                raise WrongUsage(f"--older-than {self.older_than} is before the year 1.") from None
        return {"start_time": found} if found else {}
