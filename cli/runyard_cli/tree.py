"""The tree of commands: what each is called, where it lives and what it does, in one line each.

Only this table is read for `runyard --help`; a command's module is imported when it is called.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """One name below `runyard`. `attribute` is the app in `runyard_cli.commands.<module>`."""

    module: str
    attribute: str
    help: str
    section: str


COMMANDS: dict[str, Entry] = {
    "status": Entry("status", "status", "See where things stand and what to do next.", "Projects"),
    "init": Entry("init", "init", "Start a project: write its prefect.yaml.", "Projects"),
    "deploy": Entry("deploy", "deploy", "Create deployments of a project's flows.", "Projects"),
    "run": Entry("run", "run", "Run a flow or a script here and now.", "Projects"),
    "dev": Entry("dev", "dev", "Try flows: deploy on save, run, see logs.", "Projects"),
    "deployment": Entry("deployment", "deployment", "See, run, pause and delete deployments.", "Work"),
    "schedule": Entry("schedule", "schedule", "See what is due next; list and pause schedules.", "Work"),
    "flow": Entry("flow", "flow", "See flows, and serve one.", "Work"),
    "flow-run": Entry("flow_run", "flow_run", "See flow runs, their logs, and cancel them.", "Work"),
    "task-run": Entry("task_run", "task_run", "See task runs and their logs.", "Work"),
    "task": Entry("task", "task", "Run tasks that other processes submit.", "Work"),
    "work-pool": Entry("work_pool", "work_pool", "Create and manage work pools.", "Where work runs"),
    "work-queue": Entry("work_queue", "work_queue", "Create and manage a pool's queues.", "Where work runs"),
    "worker": Entry("worker", "worker", "Start workers and see them.", "Where work runs"),
    "environment": Entry(
        "environment", "environment", "See the virtual environments of runs.", "Where work runs"
    ),
    "variable": Entry("variable", "variable", "Set values that flows share.", "What runs use"),
    "block": Entry("block", "block", "Save configuration by name.", "What runs use"),
    "secret": Entry("secret", "secret", "Keep secret values by name.", "What runs use"),
    "global-concurrency-limit": Entry(
        "global_concurrency_limit",
        "global_concurrency_limit",
        "Limit what runs at the same time, by name.",
        "What runs use",
    ),
    "concurrency-limit": Entry(
        "concurrency_limit", "concurrency_limit", "Limit the task runs of a tag.", "What runs use"
    ),
    "artifact": Entry("artifact", "artifact", "See the artifacts that runs created.", "What runs use"),
    "server": Entry("server", "server", "Serve the API to other machines.", "Installation"),
    "database": Entry(
        "database", "database", "Check, back up, restore and upgrade the database.", "Installation"
    ),
    "completion": Entry(
        "completion", "completion", "Complete commands and names in your shell.", "Installation"
    ),
    "alias": Entry("alias", "alias", "Make prefect another word for runyard.", "Installation"),
    "config": Entry("config", "config", "See and change the settings.", "Installation"),
    "profile": Entry(
        "profile", "profile", "Keep named sets of settings and switch between them.", "Installation"
    ),
    "api": Entry("api", "api", "Call a route of the API, with or without a server.", "Installation"),
    "doctor": Entry("doctor", "doctor", "Find problems and how to fix them.", "Installation"),
    "version": Entry("version", "version", "Show the installed version.", "Installation"),
}

# The plural of every group works as well.
ALIASES: dict[str, str] = {
    "artifacts": "artifact",
    "blocks": "block",
    "concurrency-limits": "concurrency-limit",
    "deployments": "deployment",
    "environments": "environment",
    "flows": "flow",
    "flow-runs": "flow-run",
    "profiles": "profile",
    "gcl": "global-concurrency-limit",
    "global-concurrency-limits": "global-concurrency-limit",
    "schedules": "schedule",
    "secrets": "secret",
    "task-runs": "task-run",
    "tasks": "task",
    "variables": "variable",
    "work-pools": "work-pool",
    "work-queues": "work-queue",
    "workers": "worker",
}
