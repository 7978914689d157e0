"""What the schemas of all operations share: base models, times, states, JSON columns, listings."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
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
        raise ValueError(f"{kind!r} is no state type; one of {', '.join(STATE_TYPES)}")
    return StateTypes(kind)


StateType = Annotated[str, AfterValidator(_known_type)]
Details = Annotated[dict[str, Any], AfterValidator(StateDetails)]
MOST_SECONDS = 366 * 86_400.0
# How long a lease holds, or a worker may be silent: a larger number fits in no column of microseconds.
LeaseSeconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
# A span of time, which JSON has as seconds.
Seconds = Annotated[timedelta, PlainSerializer(timedelta.total_seconds, return_type=float, when_used="json")]


class Model(BaseModel):
    """What an operation answers: fields of a newer version are ignored.

    It shows what is stored, whatever wrote it: where a field does not fit, its default or its text is
    shown, so that one such row never costs the list that it is in.
    """

    model_config = ConfigDict(extra="ignore")

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
    """The fields of a row without the values that do not fit: their text where only a text is wanted."""
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
    """What an operation is asked for: a key that it does not know may be null, as clients send it."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        # What is asked and not looked at would find too much.
        asked = [key for key, value in data.items() if value is not None] if isinstance(data, dict) else []
        unknown = [key for key in asked if key not in cls.model_fields]
        if unknown:
            raise ValueError(
                f"{', '.join(map(repr, unknown))} unknown; known are {', '.join(cls.model_fields)}"
            )
        return data


class Input(BaseModel):
    """What an operation is given: a key it does not know is refused.

    `only_null`: the keys that clients send as null, and that mean nothing here.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
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
    """A method that tells whether a state is of one of the types."""

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
        """The model of a state."""
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
        """The state that the model shows."""
        return State(
            self.type, self.name, self.message, self.data, self.timestamp, dict(self.state_details), self.id
        )

    # As of a State: what people ask the state of a run that they have read.
    is_scheduled, is_pending, is_running = _is("SCHEDULED"), _is("PENDING"), _is("RUNNING")
    is_paused, is_cancelling, is_cancelled = _is("PAUSED"), _is("CANCELLING"), _is("CANCELLED")
    is_completed, is_failed, is_crashed = _is("COMPLETED"), _is("FAILED"), _is("CRASHED")
    is_final = _is(*TERMINAL)

    def result(self, raise_on_failure: bool = True) -> Any:
        """The value that the run returned, where it was kept; see `State.result`."""
        return self.to_state().result(raise_on_failure)

    async def aresult(self, raise_on_failure: bool = True) -> Any:
        """As `result`, for async code."""
        return await self.to_state().aresult(raise_on_failure)


class StateCreate(Input):
    """A state to propose. Its time is the moment it is accepted, whatever the caller's clock says."""

    model_config = ConfigDict(extra="ignore")

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: Annotated[dict[str, Any], AfterValidator(checked)] = Field(default_factory=dict)

    @classmethod
    def of(cls, state: State) -> StateCreate:
        """The proposal of a state."""
        return cls(
            type=state.type,
            name=state.name,
            message=state.message,
            data=state.data,
            state_details=state.state_details,
        )

    def to_state(self) -> State:
        """A fresh state of now; details that say nothing are left out."""
        details = {name: value for name, value in self.state_details.items() if value not in (None, False)}
        return State(self.type, self.name, self.message, self.data, None, details)


class Filter(Query):
    """What to search. Each object is a filter of the API's reference; all that are given must hold.

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
    """What to list: a filter, and which part of what it finds.

    `limit` is at most 200, which is also the default; `sort` is one of the kind's sort values.
    """

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


def check_name(kind: str, name: str, forbidden: str = ids.FORBIDDEN) -> None:
    """Refuse a name that could not stand in a URL or on a command line.

    Raises:
        InvalidInput: it is empty, too long, or has a forbidden or an unprintable character.
    """
    if not name.strip() or len(name) > 250:
        raise InvalidInput(f"the name of a {kind} has 1 to 250 characters, not {len(name.strip())}")
    bad = next((letter for letter in name if letter in forbidden or not letter.isprintable()), None)
    if bad is not None:
        raise InvalidInput(f"the name of a {kind} cannot have {bad!r}, as {name!r} does")


def load(text: str | None, default: Any = None) -> Any:
    """What a JSON column holds; `default` where it is null, or no JSON that the API could answer with."""
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
        InvalidInput: it is nested so deep that the API could not answer with it.
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
    """The datetime of a time column, None where it is null."""
    return None if microseconds is None else clock.from_us(microseconds)


def micros(value: datetime | None) -> int | None:
    """What a time column holds for a datetime."""
    return None if value is None else clock.to_us(value)


def state_of_row(row: Row) -> StateModel:
    """The state in a row of flow_run_states or task_run_states."""
    return StateModel(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        timestamp=clock.from_us(row["timestamp"]),
        message=row["message"],
        data=load(row["data"]),
        state_details=load(row["state_details"], {}),
    )
