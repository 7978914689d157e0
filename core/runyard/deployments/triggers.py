"""Triggers of a deployment: events that create runs, in the shapes of Prefect's automations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    model_validator,
)

_PROACTIVE_WITHIN_SECONDS = 10.0


def _as_set(value: Any) -> Any:
    """A string is one item."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_as_set)]
Match = dict[str, str | list[str]]
Seconds = Annotated[float, Field(ge=0)]


class _Criteria(BaseModel):
    """The condition of a trigger; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class EventCriteria(_Criteria):
    """Events that occur, or do not occur."""

    type: Literal["event"] | None = None
    match: Match | None = Field(None, description="Labels of the event's resource; * at the end, ! before.")
    match_related: Match | list[Match] | None = Field(None, description="Labels of related resources.")
    after: Names | None = Field(None, description="Events that open the window.")
    expect: Names | None = Field(None, description="Events that are counted; * at the end.")
    for_each: Names | None = Field(None, description="Labels; events are counted per combination of values.")
    posture: Literal["Reactive", "Proactive"] | None = Field(
        None, description="Fire when they come, or when they do not (Reactive)."
    )
    threshold: Annotated[int, Field(ge=0)] | None = Field(None, description="How many events (1).")
    within: Seconds | None = Field(None, description="In how many seconds; Proactive: at least 10.")

    @model_validator(mode="after")
    def _proactive(self) -> EventCriteria:
        short = self.within is not None and self.within < _PROACTIVE_WITHIN_SECONDS
        if self.posture == "Proactive" and short:
            raise ValueError("within is at least 10 seconds where posture is Proactive")
        return self


class Metric(_Criteria):
    """A measured value, and when it is out of bounds."""

    name: Literal["lateness", "duration", "successes"]
    threshold: float
    operator: Literal["<", "<=", ">", ">="]
    range: Annotated[float, Field(ge=300)] = Field(300.0, description="Over how many seconds.")
    firing_for: Annotated[float, Field(ge=300)] = Field(300.0, description="For how many seconds.")


class MetricCriteria(_Criteria):
    """A measured value out of bounds; from Prefect Cloud."""

    type: Literal["metric"] | None = None
    posture: Literal["Metric"] | None = None
    match: Match | None = None
    match_related: Match | list[Match] | None = None
    metric: Metric


def kind_of(trigger: Any) -> str:
    """The type of a trigger; detected if it is not set."""
    if not isinstance(trigger, dict):
        return "event"
    if trigger.get("type"):
        return str(trigger["type"])
    if trigger.get("posture") == "Metric" or "metric" in trigger:
        return "metric"
    if "triggers" in trigger:
        return "compound" if "require" in trigger else "sequence"
    return "event"


class CompoundCriteria(_Criteria):
    """Several triggers, in any order."""

    type: Literal["compound"] | None = None
    triggers: list[InnerTrigger]
    require: Annotated[int, Field(ge=1)] | Literal["any", "all"] = Field(
        description="How many of them must fire."
    )
    within: Seconds | None = Field(None, description="In how many seconds.")


class SequenceCriteria(_Criteria):
    """Several triggers, in order."""

    type: Literal["sequence"] | None = None
    triggers: list[InnerTrigger]
    within: Seconds | None = Field(None, description="In how many seconds.")


InnerTrigger = Annotated[
    Annotated[EventCriteria, Tag("event")]
    | Annotated[MetricCriteria, Tag("metric")]
    | Annotated[CompoundCriteria, Tag("compound")]
    | Annotated[SequenceCriteria, Tag("sequence")],
    Discriminator(kind_of),
]


class _Action(_Criteria):
    """The fields for the run that a trigger creates."""

    name: str | None = Field(None, description="Its name; default: the deployment's name with a number.")
    description: str | None = None
    enabled: bool | None = Field(None, description="Whether it is active (true).")
    parameters: dict[str, Any] | None = Field(
        None, description="Of the runs; '{{ event... }}' is filled in when it fires."
    )
    job_variables: dict[str, Any] | None = Field(None, description="Of the runs.")
    schedule_after: Seconds | None = Field(None, description="How many seconds later the run starts.")


class EventTrigger(_Action, EventCriteria):
    """A trigger on events."""


class MetricTrigger(_Action, MetricCriteria):
    """A trigger on a measured value."""


class CompoundTrigger(_Action, CompoundCriteria):
    """A trigger on several triggers, in any order."""


class SequenceTrigger(_Action, SequenceCriteria):
    """A trigger on several triggers, in order."""


Trigger = Annotated[
    Annotated[EventTrigger, Tag("event")]
    | Annotated[MetricTrigger, Tag("metric")]
    | Annotated[CompoundTrigger, Tag("compound")]
    | Annotated[SequenceTrigger, Tag("sequence")],
    Discriminator(kind_of),
]
for _shape in (CompoundCriteria, SequenceCriteria, CompoundTrigger, SequenceTrigger):
    _shape.model_rebuild()
# Every key that one of them has.
KEYS = tuple(
    dict.fromkeys(
        name
        for shape in (EventTrigger, MetricTrigger, CompoundTrigger, SequenceTrigger)
        for name in shape.model_fields
    )
)
TRIGGERS: TypeAdapter[list[Any]] = TypeAdapter(list[Trigger])


def check_triggers(triggers: list[Any]) -> list[dict[str, Any]]:
    """Check the triggers of a deployment.

    Returns:
        The set fields of each, with its type.

    Raises:
        pydantic.ValidationError: one is invalid; its places contain the types of triggers.
    """
    return [_said(trigger) for trigger in TRIGGERS.validate_python(triggers)]


def _said(trigger: BaseModel) -> dict[str, Any]:
    said = trigger.model_dump(exclude_unset=True, exclude_none=True)
    if isinstance(trigger, CompoundCriteria | SequenceCriteria):
        said["triggers"] = [_said(inner) for inner in trigger.triggers]
    return {**said, "type": kind_of(said)}
