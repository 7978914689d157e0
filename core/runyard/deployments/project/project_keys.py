"""Checks the keys of a project file, and collects all mistakes of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runyard.base.errors import (
    EntrypointError,
    InvalidInput,
    NotFound,
    ParameterError,
    ProjectError,
    RunyardError,
)
from runyard.base.suggestions import closest
from runyard.deployments.placeholders import fill_placeholders
from runyard.deployments.project.project_shapes import ConcurrencySpec, ScheduleSpec, WorkPoolSpec
from runyard.deployments.project.yaml_places import Path, Places

# Mistakes of one deployment, which do not affect the others.
_MISTAKES = (ProjectError, EntrypointError, ParameterError, InvalidInput, NotFound)
# The right places of keys that are misplaced in a deployment.
_BELONGS = {
    **{name: f"; it belongs into each of schedules, as {name}" for name in ScheduleSpec.model_fields},
    **{name: f"; it belongs into concurrency_limit, as {name}" for name in ("limit", "collision_strategy")},
    **{name: f"; it belongs into work_pool, as {name}" for name in WorkPoolSpec.model_fields},
    "infra_overrides": "; it belongs into work_pool, as job_variables",
    "work_pool_name": "; write work_pool: {name: ...}",
    "work_queue": "; it belongs into work_pool, as work_queue_name",
    "work_queue_name": "; it belongs into work_pool, as work_queue_name",
    "env": "; it belongs into work_pool, under job_variables",
    "max_active_runs": "; use concurrency_limit to limit concurrent runs",
}


class Faults:
    """Collects the mistakes of a file: as a context manager, it catches a ProjectError."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _traceback: object) -> bool:
        if isinstance(error, ProjectError):
            self.found += [line for line in error.message.split("\n") if line not in self.found]
            return True
        return False

    def raise_all(self) -> None:
        """Raise one error for the file, with one line per mistake.

        Raises:
            ProjectError: there are any.
        """
        if self.found:
            raise ProjectError("\n".join(self.found))


class AllFaults:
    """Collects the mistakes of several deployments, each once."""

    def __init__(self, before: Iterable[str] = ()) -> None:
        """Start with known mistakes."""
        self._found: dict[str, tuple[str, RunyardError]] = {
            message: ("", ProjectError(message)) for message in before
        }

    @contextmanager
    def of(self, place: str) -> Iterator[None]:
        """Catch a mistake, and continue after the block.

        Args:
            place: the place of the entrypoint in the file, or empty.
        """
        try:
            yield
        except _MISTAKES as error:
            self._found.setdefault(error.message, (place, error))

    def raise_all(self) -> None:
        """Raise the collected mistakes: one as it is, several with one or more lines each.

        Raises:
            RunyardError: there are any.
        """
        told = []
        for message, (place, error) in self._found.items():
            # The others contain their places.
            told.append(f"{place}: {message}" if place and isinstance(error, EntrypointError) else message)
        if len(told) == 1:
            error = next(iter(self._found.values()))[1]
            raise error if told[0] == error.message else EntrypointError(told[0]) from error
        if told:
            raise ProjectError("\n".join(told))


def flatten(raw: dict[str, Any], places: Places, path: Path, warnings: list[str]) -> None:
    """Check the keys of the nested mappings, and convert every schedule to its plain form."""
    faults = Faults()
    if isinstance(raw.get("work_pool"), dict):
        keys = tuple(WorkPoolSpec.model_fields)
        with faults:
            check_keys(places, (*path, "work_pool"), raw["work_pool"], keys, warnings)
    if isinstance(raw.get("concurrency_limit"), dict):
        keys = tuple(ConcurrencySpec.model_fields)
        with faults:
            check_keys(places, (*path, "concurrency_limit"), raw["concurrency_limit"], keys, warnings)
        if raw["concurrency_limit"].get("limit") is None:
            place = (*path, "concurrency_limit")
            warnings.append(str(places.error(place, "has no limit and limits nothing; write limit: 1")))
            raw["concurrency_limit"] = None
    if isinstance(raw.get("schedule"), dict):
        raw["schedule"] = _plain_schedule(raw["schedule"], places, (*path, "schedule"), warnings, faults)
    if raw.get("schedule") == {}:
        raw["schedule"] = None
    if isinstance(raw.get("schedules"), dict):
        with faults:
            raise places.error((*path, "schedules"), "is a list; write `- ` before each schedule")
        raw["schedules"] = None
    if isinstance(raw.get("triggers"), list):
        raw["triggers"] = [_plain_trigger(trigger) for trigger in raw["triggers"]]
    if isinstance(raw.get("schedules"), list):
        schedules = list(raw["schedules"])
        for position, item in enumerate(schedules):
            if isinstance(item, dict):
                place = (*path, "schedules", position)
                schedules[position] = _plain_schedule(item, places, place, warnings, faults)
        raw["schedules"] = schedules
    faults.raise_all()


def _plain_trigger(trigger: Any) -> Any:
    """A trigger whose parameters keep their placeholders, which are filled in when it fires."""
    if isinstance(trigger, dict) and isinstance(trigger.get("parameters"), dict):
        return {**trigger, "parameters": fill_placeholders.Verbatim(trigger["parameters"])}
    return trigger


def _plain_schedule(
    item: dict[str, Any], places: Places, path: Path, warnings: list[str], faults: Faults
) -> dict[str, Any]:
    """A schedule without the API form's inner mapping `schedule`, and without older keys."""
    item = dict(item)
    if isinstance(item.get("catchup"), bool):
        # Prefect 3.0 wrote `catchup: false` into every schedule.
        item["catchup"] = "all" if item["catchup"] else "skip"
    if "max_active_runs" in item:
        limit = item.pop("max_active_runs")
        if limit is not None:
            message = "is ignored; use concurrency_limit of the deployment to limit concurrent runs"
            warnings.append(str(places.error((*path, "max_active_runs"), message, key=True)))
    inner = item.get("schedule")
    if isinstance(inner, dict):
        with faults:
            check_keys(
                places, (*path, "schedule"), inner, tuple(ScheduleSpec.model_fields), None, strict=True
            )
        item = {**inner, **{key: value for key, value in item.items() if key != "schedule"}}
    with faults:
        check_keys(places, path, item, tuple(ScheduleSpec.model_fields), None, strict=True)
    return item


def check_keys(
    places: Places,
    path: Path,
    mapping: Mapping[Any, Any],
    known: Iterable[str],
    warnings: list[str] | None,
    strict: bool = False,
) -> None:
    """Refuse keys that resemble a known one; warn of others, or with `strict` refuse them too."""
    known = tuple(known)
    faults = Faults()
    for key in mapping:
        if key in known:
            continue
        text = "on" if key is True else "off" if key is False else str(key)
        if text.startswith(("x-", "_", ".")):
            continue
        plain = text.lower().replace("-", "_")
        close = closest(plain, known, cutoff=0.75)
        close = close or next((name for name in known if name.replace("-", "_") == plain), None)
        place = (*path, text)
        if path[-1:] == ("work_pool",):
            belongs = f"; it belongs into job_variables, as {text}, if workers are to take it"
        else:
            belongs = _where_it_belongs(text, not close) if len(path) == 2 else ""
        if close and (not belongs or path[-1:] == ("work_pool",)):
            problem = f"unknown key; did you mean {close!r}?"
        elif strict:
            problem = f"unknown key; valid are {', '.join(known)}"
        else:
            problem = ""
        if problem:
            with faults:
                raise places.error(place, problem, key=True)
        elif warnings is not None:
            warnings.append(str(places.error(place, f"unknown key, ignored{belongs}", key=True)))
    faults.raise_all()


def _where_it_belongs(key: str, misspelt: bool) -> str:
    """The right place of a key in a deployment, optionally also of a misspelt one; empty if unknown."""
    close = closest(key.lower(), _BELONGS, cutoff=0.85) if misspelt else None
    return _BELONGS.get(key) or (_BELONGS[close] if close else "")
