"""`runyard schedule`: the schedules of all deployments."""

from __future__ import annotations

from runyard_cli.commands.deployment_schedule import changing
from runyard_cli.commands.schedule_list import ls
from runyard_cli.commands.schedule_next import next_
from runyard_cli.commands.schedule_pause import pausing
from runyard_cli.shared.app import App

schedule = App(
    "schedule",
    "See what is due next, and list, add, pause and delete the schedules of deployments.",
    """runyard schedule next --until tomorrow
    runyard schedule ls --paused""",
)
schedule.add_typer(ls)
schedule.add_typer(next_)
schedule.add_typer(changing)
schedule.add_typer(pausing)
