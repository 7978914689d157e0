"""`runyard deploy` on a terminal: asks for missing values, and saves the answers to the project's file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer
from runyard.base.quoting import quoted
from runyard.base.texts import visible

from runyard_cli.commands.deploy_flags import overrides_of
from runyard_cli.shared import output as out
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.coercion import whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client
    from runyard.deployments.project.read_project import Project


class Answers:
    """What a person was asked, and what the command line said already.

    Args:
        project: the file, or none.
        entrypoint: of a deployment that the file does not describe.
        names: of deployments.
        everything: all deployments of the file.
        options: the other flags; the answers go among them.
    """

    def __init__(
        self,
        project: Project,
        entrypoint: str | None,
        names: Sequence[str],
        everything: bool,
        options: dict[str, Any],
    ) -> None:
        self.project = project
        self.entrypoint = entrypoint
        self.names = list(names)
        self.everything = everything
        self.options = options
        self.is_new = False

    def ask(self) -> None:
        """Ask for the missing values."""
        self.is_new = self._wants_new()
        if not self.is_new:
            return
        if self.entrypoint is None:
            self.entrypoint = self._ask_flow()
        if not self.names:
            self.names = [typer.prompt("Name of the deployment", default="default")]
        new_pool = False
        if not self.options["pool"]:
            self.options["pool"], new_pool = self._ask_pool()
        if not any(self.options[kind] for kind in ("cron", "interval", "rrule")):
            self._ask_schedule()
        if new_pool:  # only now: who stops before the last answer creates nothing
            _make_pool(self.options["pool"])

    def _wants_new(self) -> bool:
        """Whether a deployment is wanted that the file does not describe."""
        entries = self.project.entries
        if self.everything or len(self.names) > 1:
            return False
        if self.names:
            known = {entry.spec.name for entry in entries}
            if self.names[0] in known or "*" in self.names[0]:
                return False
            # Else, with a file, a misspelt name: what deploy says of it helps more than questions.
            return self.entrypoint is not None or not entries
        if self.entrypoint is not None:
            from runyard.deployments.project.selection import entries_of

            nameless = any(entry.spec.entrypoint is None for entry in entries)
            return not nameless and not entries_of(self.project, self.entrypoint)
        if len(entries) > 1:
            return self._asks_for_new()
        return not entries

    def offer_to_save(self, prefect_file: str) -> None:
        """Save a new deployment to the project's file, if wanted."""
        if not self.is_new or not typer.confirm(f"Save it to {prefect_file}?", default=True):
            return
        from runyard.deployments.project.saving import save_deployment

        save_deployment(prefect_file, self._mapping())
        out.done(
            f"Saved to {prefect_file}; deploy it again with: runyard deploy --name {quoted(self.names[0])}"
        )

    def _asks_for_new(self) -> bool:
        names = [entry.spec.name for entry in self.project.entries if entry.spec.name]
        chosen = _choose("Which deployment?", [*names, "all of them", "a new one"])
        if chosen < len(names):
            self.names = [names[chosen]]
        self.everything = chosen == len(names)
        return chosen > len(names)

    def _ask_flow(self) -> str:
        from runyard.deployments.loading.discovery import find_flows

        found = find_flows(self.project.folder)
        if not found:
            return str(typer.prompt("No flow found here. Entrypoint (path/file.py:function)"))
        lines = [f"{flow.name}  ({flow.entrypoint})" for flow in found]
        return found[_choose("Which flow?", lines)].entrypoint

    def _ask_pool(self) -> tuple[str, bool]:
        """The name of a work pool, and whether it is a new one."""
        from runyard.operations.work_pools.list_work_pools import list_work_pools

        pools = connect().call(list_work_pools)
        lines = [f"{pool['name']}  ({pool['type']})" for pool in pools] + ["a new one"]
        chosen = _choose("Which work pool?", lines) if pools else 0
        if chosen < len(pools):
            return str(pools[chosen]["name"]), False
        known = {pool["name"] for pool in pools}
        name = str(typer.prompt("Name of the new work pool (type process)", default="default-agent-pool"))
        return name, name not in known

    def _ask_schedule(self) -> None:
        from runyard.base.errors import ScheduleError
        from runyard.domain.schedules.instants import parse

        while True:
            text = typer.prompt(
                "Schedule, as a cron expression (empty: none)", default="", show_default=False
            )
            if not text.strip():
                return
            try:
                parse({"cron": text})
            except ScheduleError as error:
                out.error_line(str(error))
                continue
            self.options["cron"] = (text,)
            return

    def _mapping(self) -> dict[str, Any]:
        """The deployment as the project's file says it."""
        said = overrides_of(self.entrypoint, self.options)
        pool = {
            "name": said.work_pool_name,
            "work_queue_name": said.work_queue_name,
            "job_variables": said.job_variables,
        }
        schedules = [
            {**schedule, **({"timezone": said.timezone} if said.timezone else {})}
            for schedule in said.schedules
        ]
        mapping = {
            "name": self.names[0],
            "entrypoint": self._relative(str(self.entrypoint)),
            "version": said.version,
            "description": said.description,
            "tags": list(said.tags or []),
            "parameters": said.parameters,
            "concurrency_limit": said.concurrency_limit,
            "work_pool": {key: value for key, value in pool.items() if value},
            "schedules": schedules,
        }
        return {key: value for key, value in mapping.items() if value not in (None, {}, [])}

    def _relative(self, entrypoint: str) -> str:
        if os.path.isabs(entrypoint) and entrypoint.startswith(self.project.folder + os.sep):
            return os.path.relpath(entrypoint, self.project.folder)
        return entrypoint


def offer_pools(client: Client, plan: Any) -> None:
    """Ask whether to create the work pools that deployments name and that do not exist.

    A name that is nearly the one of a pool is not asked about: the deploy refuses it with the right name.

    Args:
        client: where the pools are.
        plan: the body with the deployments as they will be applied.
    """
    from runyard.base.suggestions import closest
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    wanted: dict[str, str] = {}
    for each in plan.deployments:
        if each.work_pool_name:
            in_image = "image" in (each.job_variables or {})
            wanted.setdefault(each.work_pool_name, "docker" if in_image else "process")
    known = {str(pool["name"]).casefold() for pool in client.call(list_work_pools)} if wanted else set()
    for name, kind in wanted.items():
        if closest(name.casefold(), known) is not None:
            continue
        question = f"Work pool '{name}' does not exist. Create it, of type {kind}?"
        if typer.confirm(visible(question), default=True):
            _make_pool(name, kind)


def _make_pool(name: str, kind: str = "process") -> None:
    from runyard.operations.work_pools import work_pools

    connect().call(work_pools.create_work_pool, body=body(work_pools.create_work_pool, name=name, type=kind))
    out.done(f"Created work pool '{name}'.")


def _choose(question: str, lines: Sequence[str]) -> int:
    """The position of the line that a person chooses by its number."""
    for number, line in enumerate(lines, 1):
        out.say(f"{number:>3}  {line}")
    chosen: int = typer.prompt(question, default=1, value_proc=whole_number(1, len(lines)))
    return chosen - 1
