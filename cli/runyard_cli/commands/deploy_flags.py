"""What the flags of `runyard deploy` say of a deployment."""

from __future__ import annotations

from typing import Any

from runyard_cli.shared import values


def overrides_of(entrypoint: str | None, options: dict[str, Any]) -> Any:
    """What the flags say of a deployment."""
    from runyard.deployments.project.flag_overrides import Overrides

    timezone = _timezone(options["timezone"])
    return Overrides(
        entrypoint=entrypoint,
        description=options["description"],
        version=options["version"],
        version_type=options["version_type"],
        tags=list(options["tag"]) or None,
        parameters=values.parameters(options["param"], options["params"]),
        work_pool_name=options["pool"],
        work_queue_name=options["work_queue"],
        job_variables=values.job_variables(options["job_variable"]),
        concurrency_limit=options["concurrency_limit"],
        collision_strategy=options["collision_strategy"],
        enforce_parameter_schema=options["enforce_parameter_schema"],
        schedules=_schedules(options),
        timezone=timezone,
        anchor_date=options["anchor_date"],
        triggers=_triggers(options["trigger"]),
    )


def _triggers(given: list[str]) -> list[Any] | None:
    """The triggers of --trigger: JSON texts, or files with a list of them."""
    from runyard.base.errors import InvalidInput

    if not given:
        return None
    found: list[Any] = []
    for text in given:
        if not text.endswith((".yaml", ".yml", ".json")):
            found.append(values.json_object(text, "--trigger"))
            continue
        import yaml

        try:
            with open(text, encoding="utf-8") as stream:
                content = yaml.safe_load(stream)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidInput(f"--trigger {text} cannot be read: {' '.join(str(error).split())}") from None
        triggers = content.get("triggers") if isinstance(content, dict) else None
        if not isinstance(triggers, list):
            raise InvalidInput(f"--trigger {text}: the file has no list `triggers`")
        found += triggers
    return found


def _timezone(name: str | None) -> str | None:
    """The zone of --timezone, refused by the flag's name: later it would be looked for in the file."""
    from runyard.base.errors import ScheduleError
    from runyard.domain.schedules.instants import check_zone

    try:
        return check_zone({"timezone": name})
    except ScheduleError as error:
        raise ScheduleError(f"--timezone: {error}") from None


def _schedules(options: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"cron": text} for text in options["cron"]]
    found += [
        {"interval": values.duration(text, "--interval").total_seconds()} for text in options["interval"]
    ]
    found += [{"rrule": text} for text in options["rrule"]]
    for schedule in found:
        _check_schedule(schedule, options["timezone"], options["anchor_date"])
    return found


def _check_schedule(schedule: dict[str, Any], timezone: str | None, anchor_date: str | None) -> None:
    """Refuse a wrong flag by its own name: later it would be looked for in the project's file."""
    from runyard.base.errors import ScheduleError
    from runyard.domain.schedules.instants import parse

    spec = {**schedule, **({} if timezone is None else {"timezone": timezone})}
    if anchor_date and "interval" in schedule:
        spec["anchor_date"] = anchor_date
    try:
        parse(spec)
    except ScheduleError as error:
        raise ScheduleError(f"--{next(iter(schedule))}: {error}") from None
