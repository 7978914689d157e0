"""The schemas of bodies that operations take as plain dicts. The server validates the bodies with them.

The process of a flow loads no schema library: there the engine itself creates these bodies. A body that comes
over HTTP may contain anything, and each client must be able to read the rows that are stored.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator

from runyard.base.state_details import checked
from runyard.domain.states import State
from runyard.operations.nesting import MOST_LEVELS, levels
from runyard.operations.runs import run_records
from runyard.operations.schemas import MOST_SECONDS, StateType

_MOST_MICROSECONDS = 253_402_300_799_999_999  # the end of the year 9999
_LEAST_MICROSECONDS = -62_135_596_800_000_000  # the beginning of the year 1

Text = Annotated[str, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Moment = Annotated[int, Field(strict=True, ge=_LEAST_MICROSECONDS, le=_MOST_MICROSECONDS)]
Span = Annotated[int, Field(strict=True, ge=0, le=_MOST_MICROSECONDS)]
LeaseSeconds = Annotated[float, Field(ge=0, le=MOST_SECONDS)]


def _loaded(text: str) -> Any:
    if levels(text.encode("utf-8", "surrogatepass")) > MOST_LEVELS:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels")
    return json.loads(text)


def _json(text: str) -> str:
    _loaded(text)
    return text


def _object(text: str) -> str:
    if not isinstance(_loaded(text), dict):
        raise ValueError("not the JSON of an object")
    return text


def _details(text: str) -> str:
    checked(json.loads(_object(text)))
    return text


def _tags(text: str) -> str:
    value = _loaded(text)
    if not isinstance(value, list) or any(not isinstance(tag, str) for tag in value):
        raise ValueError("not the JSON of a list of texts")
    return text


JsonText = Annotated[str, Field(strict=True), AfterValidator(_json)]
ObjectText = Annotated[str, Field(strict=True), AfterValidator(_object)]
DetailsText = Annotated[str, Field(strict=True), AfterValidator(_details)]
TagsText = Annotated[str, Field(strict=True), AfterValidator(_tags)]


def _state_text(text: str) -> str:
    try:
        checked(State.from_json(json.loads(text)).state_details)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the JSON of a state: {error}") from None
    return text


StateText = Annotated[ObjectText, AfterValidator(_state_text)]

_MOMENTS = (
    "created", "updated", "expires", "timestamp", "state_timestamp", "expected_start_time",
    "next_scheduled_start_time", "start_time", "end_time",
)  # fmt: skip
_KINDS: dict[str, Any] = {
    **dict.fromkeys(_MOMENTS, Moment),
    **dict.fromkeys(("run_count", "flow_run_run_count", "level"), Whole),
    **dict.fromkeys(("empirical_policy", "parameters", "task_inputs"), ObjectText),
    "state_details": DetailsText,
    "total_run_time": Span,
    "tags": TagsText,
    "state": StateText,
    "type": StateType,
    "state_type": StateType,
    "serializer": ObjectText,
}
_NULLABLE = frozenset(
    (
        "expires", "flow_run_id", "task_run_id", "flow_version", "task_version", "parent_task_run_id",
        "root_flow_run_id", "next_scheduled_start_time", "start_time", "end_time", "message", "data", "place",
    )
)  # fmt: skip


class _Row:
    """An annotation: a row with a value of the right type for each field."""

    def __init__(self, row: type[NamedTuple], **others: Any) -> None:
        kinds = {**_KINDS, **others}
        types = [(kinds.get(name, Text), name in _NULLABLE) for name in row._fields]
        self._types = tuple(kind | None if nullable else kind for kind, nullable in types)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        row: Any = tuple
        return handler.generate_schema(row[self._types])


ResultRow = Annotated[tuple[Any, ...], _Row(run_records.ResultRow)]
TaskRunRow = Annotated[tuple[Any, ...], _Row(run_records.TaskRunRow)]
TaskStateRow = Annotated[tuple[Any, ...], _Row(run_records.TaskStateRow, data=JsonText)]
FlowRunRow = Annotated[tuple[Any, ...], _Row(run_records.FlowRunRow)]
FlowStateRow = Annotated[tuple[Any, ...], _Row(run_records.FlowStateRow, data=JsonText)]
LogRow = Annotated[tuple[Any, ...], _Row(run_records.LogRow)]


class PlainBody(BaseModel):
    """A body that its operation gets as a dict of the sent fields."""

    # Fields of later versions of the engine are passed on.
    model_config = ConfigDict(extra="allow")

    def plain(self) -> dict[str, Any]:
        """The sent fields, and the defaults that are not None."""
        defaults = {
            field.alias or name: field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if name not in self.model_fields_set
        }
        said = {name: value for name, value in defaults.items() if value is not None}
        return {**said, **self.model_dump(exclude_unset=True, by_alias=True)}


class Fenced(PlainBody):
    """The attempt of a flow run for which the caller writes."""

    flow_run_id: Text | None = None
    attempt: Whole | None = None


class Attempt(PlainBody):
    """A body of `is_open`."""

    flow_run_id: Text
    attempt: Whole | None


class KeptResults(Fenced):
    """A body of `keep_results`."""

    results: list[ResultRow]


class Journal(Fenced):
    """A body of `write_journal`."""

    flows: list[Text] | None = None
    flow_runs: list[FlowRunRow] | None = None
    flow_run_states: list[FlowStateRow] | None = None
    task_runs: list[TaskRunRow] | None = None
    task_run_states: list[TaskStateRow] | None = None
    logs: list[LogRow] | None = None
    results: list[ResultRow] | None = None


class Started(PlainBody):
    """A body of `start_flow_run`."""

    flow_run_id: Text
    attempt: Whole | None = None
    flow_name: Text
    name: Text | None
    parameters: ObjectText
    empirical_policy: ObjectText
    tags: list[Text]
    flow_version: Text | None = None
    owner: Text = ""
    lease_seconds: LeaseSeconds = 0.0
    place: Text | None = None
    proof: Text | None = None
    context: ObjectText | None = None
    start_id: Text | None = None
    again: bool = False
    waiting: bool = False

    @model_validator(mode="after")
    def _is_named(self) -> Started:
        if self.name is None and self.attempt is None and not (self.again or self.waiting):
            raise ValueError("a new run needs a name")
        return self


def _state(value: dict[str, Any]) -> dict[str, Any]:
    _state_text(json.dumps(value))
    return value


StateObject = Annotated[dict[str, Any], AfterValidator(_state)]


class Reported(PlainBody):
    """A body of `report_state`."""

    flow_run_id: Text
    attempt: Whole | None
    state: StateObject
    force: bool = False
    stopped: bool = False


class Paused(PlainBody):
    """A body of `pause_flow_run`."""

    flow_run_id: Text
    attempt: Whole | None
    state: StateObject
    input_schema: dict[str, Any] = Field(default_factory=dict, alias="schema")
    description: Text | None = None


class LostTask(Fenced):
    """A body of `report_lost_task`."""

    task_run_id: Text
    inside: Text
    message: Text


class ResultToKeep(PlainBody):
    """A body of `write_result`."""

    row: ResultRow


class ResultKey(PlainBody):
    """A body of `read_result` and of `delete_result`."""

    key: Text


class LockName(PlainBody):
    """A body of `read_lock`."""

    name: Text


class LockHolder(LockName):
    """A body of `release_lock`."""

    holder: Text


class LockLease(LockHolder):
    """A body of `acquire_lock`."""

    lease_seconds: LeaseSeconds


class BackgroundTask(PlainBody):
    """A task run of `submit_background_tasks`."""

    task_run_id: Text
    created: Moment
    task: Text
    payload: Text
    upstream: list[Text] | None = None


class SubmittedTasks(PlainBody):
    """A body of `submit_background_tasks`."""

    task_runs: list[TaskRunRow]
    task_run_states: list[TaskStateRow]
    tasks: list[BackgroundTask]


class TaskKeys(PlainBody):
    """A body of `look_for_background_tasks`."""

    tasks: list[Text]


class TaskClaim(TaskKeys):
    """A body of `claim_background_tasks`."""

    owner: Text
    lease_seconds: LeaseSeconds
    limit: Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class HeldTasks(PlainBody):
    """A body of `renew_background_tasks`."""

    held: list[tuple[Text, Whole]]
    lease_seconds: LeaseSeconds


class TaskReport(PlainBody):
    """A body of `report_background_task`."""

    task_run_id: Text
    attempt: Whole
    journal: Journal


class TaskRunId(PlainBody):
    """A body of `read_background_task`."""

    task_run_id: Text


Slots = Annotated[int, Field(strict=True, ge=1, lt=2**31)]


class SlotNames(PlainBody):
    """A body of `decrement_slots`."""

    names: list[Text] = Field(min_length=1)
    slots: Slots = 1


class GivenSlots(SlotNames):
    """A body of `decrement_slots`."""

    occupancy_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None


class WantedSlots(SlotNames):
    """A body of `increment_slots`."""

    mode: Text | None = None


class LeasedSlots(WantedSlots):
    """A body of `increment_slots_with_lease`."""

    lease_duration: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    lease_id: Text | None = None
    holder: dict[str, Any] | None = None


class SlotWait(SlotNames):
    """A body of `note_slot_wait`."""

    lease_id: Text
    holder: dict[str, Any] | None = None
    run_id: Text | None = None


class LeaseId(PlainBody):
    """A body of `decrement_slots_with_lease`."""

    lease_id: Text


class LeaseTime(PlainBody):
    """A body of `renew_slots`."""

    lease_duration: Annotated[float, Field(ge=1, le=86_400)] = 300.0


class Labels(PlainBody):
    """A body of `update_flow_run_labels`: any names."""


class Nothing(PlainBody):
    """A body of an operation that takes none."""


# By the name of the operation.
BODIES: dict[str, type[PlainBody]] = {
    "acquire_lock": LockLease,
    "release_lock": LockHolder,
    "read_lock": LockName,
    "read_result": ResultKey,
    "write_result": ResultToKeep,
    "delete_result": ResultKey,
    "submit_background_tasks": SubmittedTasks,
    "look_for_background_tasks": TaskKeys,
    "claim_background_tasks": TaskClaim,
    "renew_background_tasks": HeldTasks,
    "report_background_task": TaskReport,
    "read_background_task": TaskRunId,
    "pause_flow_run": Paused,
    "increment_slots": WantedSlots,
    "increment_slots_with_lease": LeasedSlots,
    "note_slot_wait": SlotWait,
    "decrement_slots": GivenSlots,
    "decrement_slots_with_lease": LeaseId,
    "renew_slots": LeaseTime,
    "update_flow_run_labels": Labels,
    "write_journal": Journal,
    "write_journal_soon": Journal,
    "is_open": Attempt,
    "keep_results": KeptResults,
    "start_flow_run": Started,
    "report_state": Reported,
    "report_lost_task": LostTask,
    "redate_flow_runs": Nothing,
    "tick_lease_clock": Nothing,
}

# The operations whose bodies may contain results, which can be large.
WITH_RESULTS = frozenset(
    ("keep_results", "report_background_task", "write_journal", "write_journal_soon", "write_result")
)
