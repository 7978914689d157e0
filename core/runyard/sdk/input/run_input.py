"""Models of input, which a pause requests or runs send to each other."""

from __future__ import annotations

import json
from inspect import isclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, PrivateAttr, create_model

from runyard.base.syncing import async_twin, sync_compatible
from runyard.sdk.input.input_actions import create, create_from_model, ensure_flow_run_id, read
from runyard.sdk.input.receiving import GetAutomaticInputHandler, GetInputHandler

if TYPE_CHECKING:
    from runyard.domain.states import State
    from runyard.operations.flow_runs.flow_run_inputs import FlowRunInput

Keyset = dict[str, str]
R = TypeVar("R", bound="BaseRunInput")


def keyset_from_base_key(base_key: str) -> Keyset:
    """The keys of a request for input and its response."""
    return {kind: f"{base_key}-{kind}" for kind in ("description", "response", "schema")}


def keyset_from_paused_state(state: State) -> Keyset:
    """The keys of a pause.

    Raises:
        RuntimeError: the state is not Paused.
    """
    if not state.is_paused():
        raise RuntimeError(f"{state.type!r} is unsupported.")
    return keyset_from_base_key(f"{state.name.lower()}-{state.state_details.get('pause_key')}")


class RunInputMetadata(BaseModel):
    """The metadata of an input: its key, its sender, and the id of the receiving run."""

    key: str
    sender: str | None = None
    receiver: str


class BaseRunInput(BaseModel):
    """The base class of both kinds of input."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    _metadata: RunInputMetadata = PrivateAttr()

    @property
    def metadata(self) -> RunInputMetadata:
        """The metadata of the input."""
        return self._metadata

    @classmethod
    def described(cls) -> str | None:
        """The description shown to the user who gives the input."""
        text = cls.__dict__.get("_said")
        return text if isinstance(text, str) else None

    @classmethod
    def keyset_from_type(cls) -> Keyset:
        """The keys of a request named after the class."""
        return keyset_from_base_key(cls.__name__.lower())

    @classmethod
    def _save(cls, keyset: Keyset, flow_run_id: Any = None) -> None:
        """Store the request: the schema, and the description if set."""
        create(keyset["schema"], cls.model_json_schema(), flow_run_id)
        if cls.described():
            create(keyset["description"], cls.described(), flow_run_id)

    @classmethod
    def _load(cls, keyset: Keyset, flow_run_id: Any = None) -> Any:
        """The stored response.

        Raises:
            ValidationError: the response does not match the model.
        """
        run_id = ensure_flow_run_id(flow_run_id)
        instance = cls(**(read(keyset["response"], run_id) or {}))
        instance._metadata = RunInputMetadata(key=keyset["response"], receiver=run_id)
        return instance._unwrapped()

    def _unwrapped(self) -> Any:
        return self

    @classmethod
    def load_from_flow_run_input(cls: type[R], flow_run_input: FlowRunInput) -> R:
        """The model of a stored input."""
        instance = cls(**json.loads(flow_run_input.value))
        instance._metadata = RunInputMetadata(
            key=flow_run_input.key, sender=flow_run_input.sender, receiver=flow_run_input.flow_run_id
        )
        return instance

    @classmethod
    def with_initial_data(cls: type[R], description: str | None = None, **kwargs: Any) -> type[R]:
        """A copy of the model with default values for some fields, and a description for the user."""
        fields: dict[str, Any] = {}
        for name, value in kwargs.items():
            known = cls.model_fields.get(name)
            fields[name] = (known.annotation if known is not None else type(value), value)
        model: Any = create_model(cls.__name__, __base__=cls, **fields)
        if description is not None:
            type.__setattr__(model, "_said", description)
        return model

    def _respond(self, run_input: Any, sender: str | None = None, key_prefix: str | None = None) -> None:
        """Send an input to the flow run that sent this one.

        Raises:
            RuntimeError: the sender is not a flow run.
        """
        place, _, run_id = (self._metadata.sender or "").rpartition(".")
        if place != "prefect.flow-run":
            raise RuntimeError("Cannot respond to an input that was not sent by a flow run.")
        _send(run_input, run_id, sender, key_prefix)

    def _send_to(self, flow_run_id: Any, sender: str | None = None, key_prefix: str | None = None) -> None:
        """Send this input to a flow run."""
        _send(self, flow_run_id, sender, key_prefix)

    save: ClassVar[Any] = classmethod(sync_compatible(lambda cls, *a, **k: cls._save(*a, **k)))
    asave: ClassVar[Any] = classmethod(async_twin(lambda cls, *a, **k: cls._save(*a, **k)))
    load: ClassVar[Any] = classmethod(sync_compatible(lambda cls, *a, **k: cls._load(*a, **k)))
    aload: ClassVar[Any] = classmethod(async_twin(lambda cls, *a, **k: cls._load(*a, **k)))
    respond: ClassVar[Any] = sync_compatible(_respond)
    arespond: ClassVar[Any] = async_twin(_respond)
    send_to: ClassVar[Any] = sync_compatible(_send_to)
    asend_to: ClassVar[Any] = async_twin(_send_to)


class RunInput(BaseRunInput):
    """Input as a model: subclass it; its fields are the requested input."""

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: set[str] | None = None,
        key_prefix: str | None = None,
        flow_run_id: Any = None,
    ) -> GetInputHandler:
        """The inputs of this model that the run receives; see GetInputHandler."""
        return GetInputHandler(
            cls,
            key_prefix or f"{cls.__name__.lower()}-auto",
            timeout,
            poll_interval,
            raise_timeout_error,
            exclude_keys,
            flow_run_id,
        )

    @classmethod
    def subclass_from_base_model_type(cls, model_cls: type[BaseModel]) -> type[RunInput]:
        """An input model with the fields of a pydantic model."""
        return type(f"{model_cls.__name__}RunInput", (RunInput, model_cls), {})


class AutomaticRunInput(BaseRunInput):
    """Input that is one value of any type."""

    value: Any

    def _unwrapped(self) -> Any:
        return self.value

    @classmethod
    def subclass_from_type(cls, _type: Any) -> type[AutomaticRunInput]:
        """The model that contains values of a type."""
        name = getattr(_type, "__name__", getattr(_type, "_name", None)) or ""
        model: Any = create_model(f"{name.lower()}AutomaticRunInput", __base__=cls, value=(_type, ...))
        return model

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: set[str] | None = None,
        key_prefix: str | None = None,
        flow_run_id: Any = None,
        with_metadata: bool = False,
    ) -> GetAutomaticInputHandler:
        """The values of this type that the run receives; see GetAutomaticInputHandler."""
        return GetAutomaticInputHandler(
            cls,
            key_prefix or f"{cls.__name__.lower()}-auto",
            timeout,
            poll_interval,
            raise_timeout_error,
            exclude_keys,
            flow_run_id,
            with_metadata=with_metadata,
        )


def run_input_subclass_from_type(_type: Any) -> Any:
    """The input model of a type: the type itself, a model with its fields, or a model with one value."""
    if isclass(_type) and issubclass(_type, BaseRunInput):
        return _type
    if isclass(_type) and issubclass(_type, BaseModel):
        return RunInput.subclass_from_base_model_type(_type)
    return AutomaticRunInput.subclass_from_type(_type)


def _send(run_input: Any, flow_run_id: Any, sender: str | None = None, key_prefix: str | None = None) -> None:
    """Send an input to a flow run: a `RunInput`, another pydantic model, or any value.

    Args:
        run_input: the input.
        flow_run_id: the receiving run.
        sender: the sender; the default is the current flow run.
        key_prefix: the prefix of the key; the default is derived from the type.

    Raises:
        NotFound: the run does not exist.
    """
    message = run_input
    if not isinstance(message, BaseRunInput):
        model = run_input_subclass_from_type(type(run_input))
        is_model = isinstance(run_input, BaseModel)
        message = model(**run_input.model_dump()) if is_model else model(value=run_input)
    prefix = key_prefix or f"{type(message).__name__.lower()}-auto"
    create_from_model(f"{prefix}-{uuid4()}", message, flow_run_id, sender)


send_input = sync_compatible(_send)
asend_input = async_twin(_send)


def receive_input(
    input_type: Any,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    raise_timeout_error: bool = False,
    exclude_keys: set[str] | None = None,
    key_prefix: str | None = None,
    flow_run_id: Any = None,
    with_metadata: bool = False,
) -> GetInputHandler:
    """An iterator, sync or async, over the inputs of a type that the run receives.

    Args:
        input_type: a `RunInput`, another pydantic model, or any type.
        timeout: seconds to wait for each input; None: no limit.
        poll_interval: ignored.
        raise_timeout_error: raise TimeoutError at the timeout, instead of ending the loop.
        exclude_keys: the keys of inputs to skip.
        key_prefix: the prefix that was given to `send_input`.
        flow_run_id: the receiving run; the default is the current run.
        with_metadata: if the type is not a model, return the models that contain the values.
    """
    model = run_input_subclass_from_type(input_type)
    options: dict[str, Any] = {"with_metadata": with_metadata} if issubclass(model, AutomaticRunInput) else {}
    handler: GetInputHandler = model.receive(
        timeout, poll_interval, raise_timeout_error, exclude_keys, key_prefix, flow_run_id, **options
    )
    return handler
