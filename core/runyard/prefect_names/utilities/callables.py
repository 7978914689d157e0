"""The names of `prefect.utilities.callables` that scripts use: calls, parameters and their schema."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from runyard.base.errors import ParameterError
from runyard.base.exceptions import ReservedArgumentError
from runyard.deployments import signature_schema
from runyard.deployments.loading.loading import load_flow
from runyard.engine.parameters import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ParameterSchema",
    "call_with_parameters",
    "cloudpickle_wrapped_call",
    "collapse_variadic_parameters",
    "explode_variadic_parameter",
    "get_call_parameters",
    "get_parameter_defaults",
    "parameter_docstrings",
    "parameter_schema",
    "parameter_schema_from_entrypoint",
    "parameters_to_args_kwargs",
    "raise_for_reserved_arguments",
]


class ParameterSchema(BaseModel):
    """The parameters of a function as a JSON schema."""

    title: Literal["Parameters"] = "Parameters"
    type: Literal["object"] = "object"
    properties: dict[str, Any] = Field(default_factory=dict)
    required: list[str] = Field(default_factory=list)
    definitions: dict[str, Any] = Field(default_factory=dict)

    def model_dump_for_openapi(self) -> dict[str, Any]:
        """The schema as a dictionary, without an empty `required`."""
        found = self.model_dump()
        if not self.required:
            del found["required"]
        return found


def parameter_schema(fn: Callable[..., Any]) -> ParameterSchema:
    """The JSON schema of a function's parameters.

    Raises:
        InvalidInput: an annotation has no JSON schema.
    """
    return ParameterSchema.model_validate(signature_schema.parameter_schema(fn))


def parameter_schema_from_entrypoint(entrypoint: str) -> ParameterSchema:
    """Load the flow of an entrypoint and return the JSON schema of its parameters."""
    return parameter_schema(load_flow(entrypoint).fn)


def parameter_docstrings(docstring: str | None) -> dict[str, str]:
    """The descriptions of the parameters in the `Args:` of a docstring."""

    def described() -> None: ...

    described.__doc__ = docstring
    return signature_schema.described(described)


def get_call_parameters(
    fn: Callable[..., Any],
    call_args: tuple[Any, ...],
    call_kwargs: dict[str, Any],
    apply_defaults: bool = True,
) -> dict[str, Any]:
    """The parameters of a call by name.

    Args:
        apply_defaults: include the defaults of missing parameters.

    Raises:
        ParameterBindError: the function cannot be called with these arguments.
    """
    signature = Signature(fn)
    try:
        bound = signature.bind(call_args, call_kwargs)
    except TypeError as error:
        raise ParameterError(f"{getattr(fn, '__name__', fn)}: {error}") from None
    if apply_defaults:
        return {signature.var_args: (), **bound} if signature.var_args else bound
    several = {signature.var_args, signature.var_kwargs}
    given = {*signature.positional[: len(call_args)], *call_kwargs, *(each for each in several if each)}
    return {name: value for name, value in bound.items() if name in given and (name not in several or value)}


def get_parameter_defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a function's parameters, by name."""
    return dict(Signature(fn).defaults)


def _names(signature: Signature) -> list[str]:
    names = (*signature.positional, signature.var_args, *signature.keyword_only, signature.var_kwargs)
    return [name for name in names if name is not None]


def parameters_to_args_kwargs(
    fn: Callable[..., Any], parameters: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments that pass these parameters to a function.

    Raises:
        SignatureMismatchError: it does not have such a parameter.
    """
    signature = Signature(fn)
    known = _names(signature)
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise ParameterError(
            f"{fn.__name__} has no parameter {', '.join(map(repr, unknown))}; it has: {', '.join(known)}"
        )
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name in signature.positional:
        if name not in parameters:
            # Parameters after a gap can only be passed by name.
            later = signature.positional[len(args) :]
            kwargs = {each: parameters[each] for each in later if each in parameters}
            break
        args.append(parameters[name])
    else:
        args.extend(parameters.get(signature.var_args or "", ()))
    kwargs.update({name: parameters[name] for name in signature.keyword_only if name in parameters})
    kwargs.update(parameters.get(signature.var_kwargs or "", {}))
    return tuple(args), kwargs


def call_with_parameters(fn: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Call a function with parameters by name."""
    args, kwargs = parameters_to_args_kwargs(fn, parameters)
    return fn(*args, **kwargs)


def collapse_variadic_parameters(fn: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Move parameters without a name of their own into the `**kwargs` parameter.

    Raises:
        ValueError: the function has no such parameter.
    """
    signature = Signature(fn)
    known = _names(signature)
    others = {name: value for name, value in parameters.items() if name not in known}
    if not others:
        return dict(parameters)
    if signature.var_kwargs is None:
        raise ValueError(f"{fn} takes no {', '.join(map(repr, others))}")
    named = {name: value for name, value in parameters.items() if name in known}
    return {**named, signature.var_kwargs: {**named.get(signature.var_kwargs, {}), **others}}


def explode_variadic_parameter(fn: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Move the items of the `**kwargs` parameter beside the other parameters."""
    several = Signature(fn).var_kwargs
    named = {name: value for name, value in parameters.items() if name != several}
    return {**named, **parameters.get(several or "", {})}


def raise_for_reserved_arguments(fn: Callable[..., Any], reserved_arguments: Iterable[str]) -> None:
    """Refuse a function with a reserved parameter.

    Raises:
        ReservedArgumentError: it has one.
    """
    known = _names(Signature(fn))
    for name in reserved_arguments:
        if name in known:
            raise ReservedArgumentError(f"{name!r} cannot be the name of a parameter: each call has it")


def cloudpickle_wrapped_call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], bytes]:
    """A call for another process: it and its result are pickled by cloudpickle."""
    import cloudpickle

    return partial(_call_pickled, cloudpickle.dumps((fn, args, kwargs)))


def _call_pickled(data: bytes) -> bytes:
    import cloudpickle

    fn, args, kwargs = cloudpickle.loads(data)
    pickled: bytes = cloudpickle.dumps(fn(*args, **kwargs))
    return pickled
