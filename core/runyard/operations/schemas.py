"""The shared parts of the schemas of all operations: base models, times, states, JSON columns, listings."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    VERSION,
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from runyard.base import clock, ids, texts
from runyard.base.errors import InvalidInput
from runyard.base.state_details import StateDetails, checked
from runyard.domain.states import STATE_TYPES, TERMINAL, State
from runyard.domain.states import StateType as StateTypes
from runyard.operations.json_columns import shallow

if TYPE_CHECKING:
    from runyard.store.database import Row


Time = Annotated[
    datetime,
    AfterValidator(clock.as_utc),
    PlainSerializer(clock.format_time, return_type=str, when_used="json"),
]


def _known_type(kind: str) -> str:
    if kind not in STATE_TYPES:
        raise ValueError(f"unknown state type {kind!r}; valid are {', '.join(STATE_TYPES)}")
    return StateTypes(kind)


StateType = Annotated[str, AfterValidator(_known_type)]
Details = Annotated[dict[str, Any], AfterValidator(StateDetails)]
MOST_SECONDS = 366 * 86_400.0
# The duration of a lease or of a heartbeat interval. A larger number does not fit into microsecond columns.
LeaseSeconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
# A duration. In JSON it is a number of seconds.
Seconds = Annotated[timedelta, PlainSerializer(timedelta.total_seconds, return_type=float, when_used="json")]


# A command uses few of the models that it imports: building the others takes 15 ms of a deploy. Before 2.14,
# pydantic does not lock while it builds a model at its first use.
LAZY = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


def build_models() -> None:
    """Build the models that were imported, in a process that uses most of them or that forks."""
    models: list[type[BaseModel]] = [Query, Input, Model]
    for model in models:
        model.model_rebuild()
        model.model_config["defer_build"] = False  # what FastAPI makes of a model follows it
        models += model.__subclasses__()


class Model(BaseModel):
    """A response of an operation. Fields of newer versions are ignored.

    If a stored value is invalid, the field shows its default or the value as text. So one invalid row does
    not break the whole list.
    """

    model_config = ConfigDict(extra="ignore", defer_build=LAZY)

    @model_validator(mode="wrap")
    @classmethod
    def _tolerate(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(data)
        except ValidationError as error:
            if not isinstance(data, dict):
                raise
            return handler(_fitting(cls, data, error))


def _fitting(model: type[BaseModel], data: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """The fields of a row without the invalid values. Where a field is a text, the value as text."""
    data = dict(data)
    for name in {fault["loc"][0] for fault in error.errors(include_input=False) if fault["loc"]}:
        field = model.model_fields.get(str(name))
        if field is None:
            continue
        value = data.get(str(name))
        if field.annotation in (str, str | None) and value is not None:
            data[str(name)] = texts.told(value)
        elif field.annotation == list[str] and isinstance(value, list):
            data[str(name)] = [texts.told(item) for item in value]
        elif not field.is_required():
            data.pop(str(name), None)
        elif field.annotation is int:
            data[str(name)] = 0
    return data


class Query(BaseModel):
    """The body of a search. An unknown key is accepted only if it is null, as clients send it."""

    model_config = ConfigDict(extra="ignore", defer_build=LAZY)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        # A filter that is ignored would match too much.
        asked = [key for key, value in data.items() if value is not None] if isinstance(data, dict) else []
        unknown = [key for key in asked if key not in cls.model_fields]
        if unknown:
            raise ValueError(
                f"{', '.join(map(repr, unknown))} unknown; known are {', '.join(cls.model_fields)}"
            )
        return data


class Input(BaseModel):
    """The body of a write. An unknown key is rejected.

    `only_null`: keys that clients send as null and that have no meaning here.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=LAZY)
    only_null: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, data: Any) -> Any:
        if cls.only_null and isinstance(data, dict):
            return {
                key: value for key, value in data.items() if value is not None or key not in cls.only_null
            }
        return data


def _is(*types: str) -> Any:
    """A method that tells whether a state has one of the types."""

    def test(self: StateModel) -> bool:
        return self.type in types

    return test


class StateModel(Model):
    """A state as the API shows it."""

    id: str
    type: StateType
    name: str | None = None
    timestamp: Time
    message: str | None = None
    data: Any = None
    state_details: Details = Field(default_factory=StateDetails)

    @classmethod
    def of(cls, state: State) -> StateModel:
        """Convert a state to its model."""
        return cls.model_construct(
            id=state.id,
            type=state.type,
            name=state.name,
            timestamp=state.timestamp,
            message=state.message,
            data=state.data,
            state_details=state.state_details,
        )

    def to_state(self) -> State:
        """Convert the model to a state."""
        return State(
            self.type, self.name, self.message, self.data, self.timestamp, dict(self.state_details), self.id
        )

    # The same methods as a State has, for the state of a run that was read through the API.
    is_scheduled, is_pending, is_running = _is("SCHEDULED"), _is("PENDING"), _is("RUNNING")
    is_paused, is_cancelling, is_cancelled = _is("PAUSED"), _is("CANCELLING"), _is("CANCELLED")
    is_completed, is_failed, is_crashed = _is("COMPLETED"), _is("FAILED"), _is("CRASHED")
    is_final = _is(*TERMINAL)

    def result(self, raise_on_failure: bool = True) -> Any:
        """The value that the run returned, if it was stored; see `State.result`."""
        return self.to_state().result(raise_on_failure)

    async def aresult(self, raise_on_failure: bool = True) -> Any:
        """As `result`, for async code."""
        return await self.to_state().aresult(raise_on_failure)


class StateCreate(Input):
    """A state to propose. Its time is set when the state is accepted; the caller's clock does not matter."""

    model_config = ConfigDict(extra="ignore")

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: Annotated[dict[str, Any], AfterValidator(checked)] = Field(default_factory=dict)

    @classmethod
    def of(cls, state: State) -> StateCreate:
        """Convert a state to a proposal."""
        return cls(
            type=state.type,
            name=state.name,
            message=state.message,
            data=state.data,
            state_details=state.state_details,
        )

    def to_state(self) -> State:
        """A new state with the present time. Empty details are omitted."""
        details = {name: value for name, value in self.state_details.items() if value not in (None, False)}
        return State(self.type, self.name, self.message, self.data, None, details)


class Filter(Query):
    """Filters by kind of object. A result must match all given filters.

    `work_pool_queues` is another name of `work_queues`.
    """

    flows: dict[str, Any] | None = None
    flow_runs: dict[str, Any] | None = None
    task_runs: dict[str, Any] | None = None
    deployments: dict[str, Any] | None = None
    work_pools: dict[str, Any] | None = None
    work_queues: dict[str, Any] | None = None
    work_pool_queues: dict[str, Any] | None = None


class Listing(Filter):
    """Which objects to list: filters, order and page.

    `limit`: default and maximum 200. `sort`: a sort value of the listed kind.
    """

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


class Paging(Filter):
    """Which page of a listing to read: filters, order, `page` (the first is 1) and its `limit`.

    `limit`: default and maximum 200. `sort`: a sort value of the listed kind.
    """

    limit: int | None = None
    page: int | None = None
    sort: str | None = None


class Page(Model):
    """A page of a listing: its number, how many objects match in all, and how many pages they fill."""

    count: int
    limit: int
    pages: int
    page: int


class BulkDelete(Model):
    """The ids of the objects that a call deleted."""

    deleted: list[str] = Field(default_factory=list)


# The most objects that one call changes, as in Prefect.
MOST_AT_ONCE = 50
AtOnce = Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]


def check_name(kind: str, name: str, forbidden: str = ids.FORBIDDEN) -> None:
    """Reject a name that cannot be used in a URL or on a command line.

    Raises:
        InvalidInput: the name is empty, too long, or contains a forbidden or an unprintable character.
    """
    if not name.strip() or len(name) > 250:
        raise InvalidInput(f"the name of a {kind} has 1 to 250 characters, not {len(name.strip())}")
    bad = next((letter for letter in name if letter in forbidden or not letter.isprintable()), None)
    if bad is not None:
        raise InvalidInput(f"the name of a {kind} cannot have {bad!r}, as {name!r} does")


def load(text: str | None, default: Any = None) -> Any:
    """The value of a JSON column; `default` if it is null, invalid JSON, or nested too deep for the API."""
    if text is None:
        return default
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return default
    return default if texts.is_too_deep(value, text) else texts.with_storable_keys(value, text)


def dump(value: Any) -> str:
    """The compact JSON of a column.

    Raises:
        InvalidInput: the value is nested too deep for a response of the API.
    """
    return shallow(
        value, lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_plain)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.format_time(clock.as_utc(value))
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")


def moment(microseconds: int | None) -> datetime | None:
    """Convert the value of a time column to a datetime. None if it is null."""
    return None if microseconds is None else clock.from_us(microseconds)


def micros(value: datetime | None) -> int | None:
    """Convert a datetime to the value of a time column."""
    return None if value is None else clock.to_us(value)


def state_of_row(row: Row) -> StateModel:
    """Convert a row of `flow_run_states` or `task_run_states` to its model."""
    return StateModel(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        timestamp=clock.from_us(row["timestamp"]),
        message=row["message"],
        data=load(row["data"]),
        state_details=load(row["state_details"], {}),
    )
