"""Parameters: binds arguments to a function's signature, validates them, and renders run names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import texts, user_forks
from runyard.base.errors import ParameterError
from runyard.base.exceptions import RunNameError
from runyard.base.redaction import STARS, redact
from runyard.engine.library_types import understood
from runyard.engine.outside_exceptions import is_from_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.runnable import Runnable

_VAR_ARGS = 0x04
_VAR_KWARGS = 0x08
_EXACT = {"str": str, "int": int, "float": float, "bool": bool, "bytes": bytes, "dict": dict, "list": list}
# Also dict and list without item types: their items need no coercion.
_EXACT_TYPES = frozenset(_EXACT.values())


class Signature:
    """The parameters of a function, read from its code object: importing `inspect` takes 10 ms.

    Args:
        fn: a function or bound method.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        function: Any = getattr(fn, "__func__", fn)
        if getattr(function, "__code__", None) is None or hasattr(function, "__wrapped__"):
            self._from_inspect(fn)
            return
        code = function.__code__
        names = code.co_varnames
        skip = 1 if hasattr(fn, "__self__") else 0
        positional = code.co_argcount
        # For a bound method: the name of its `self` parameter.
        self.bound = names[0] if skip and positional else None
        keyword_end = positional + code.co_kwonlyargcount
        self.positional = names[skip:positional]
        self.positional_only = frozenset(names[skip : code.co_posonlyargcount])
        self.keyword_only = names[positional:keyword_end]
        at = keyword_end
        self.var_args = names[at] if code.co_flags & _VAR_ARGS else None
        at += self.var_args is not None
        self.var_kwargs = names[at] if code.co_flags & _VAR_KWARGS else None
        defaults = function.__defaults__ or ()
        given = names[positional - len(defaults) : positional]
        self.defaults = {**dict(zip(given, defaults, strict=True)), **(function.__kwdefaults__ or {})}
        self.annotations: dict[str, Any] = dict(getattr(function, "__annotations__", {}))
        self.annotations.pop("return", None)

    def _from_inspect(self, fn: Callable[..., Any]) -> None:
        """The same for a callable that is not a plain function, or that wraps one."""
        import inspect

        parameters = list(inspect.signature(fn).parameters.values())
        method = getattr(fn, "__func__", None)
        self.bound = None if method is None else next(iter(inspect.signature(method).parameters), None)

        def names(*kinds: Any) -> tuple[str, ...]:
            return tuple(one.name for one in parameters if one.kind in kinds)

        kind = inspect.Parameter
        self.positional = names(kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)
        self.positional_only = frozenset(names(kind.POSITIONAL_ONLY))
        self.keyword_only = names(kind.KEYWORD_ONLY)
        self.var_args = next(iter(names(kind.VAR_POSITIONAL)), None)
        self.var_kwargs = next(iter(names(kind.VAR_KEYWORD)), None)
        self.defaults = {one.name: one.default for one in parameters if one.default is not kind.empty}
        self.annotations = {
            one.name: one.annotation for one in parameters if one.annotation is not kind.empty
        }

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The value of every parameter by name, defaults included.

        Raises:
            TypeError: with Python's message for such a call.
        """
        bound = dict(zip(self.positional, args, strict=False))
        if len(args) > len(self.positional):
            if self.var_args is None:
                takes, given = texts.counted(len(self.positional), "positional argument"), len(args)
                raise TypeError(f"takes {takes} but {given} {'was' if given == 1 else 'were'} given")
            bound[self.var_args] = args[len(self.positional) :]
        extra = {}
        for name, value in kwargs.items():
            by_position = name in self.positional and name not in self.positional_only
            if not by_position and name not in self.keyword_only:
                if self.var_kwargs is None:
                    raise TypeError(f"got an unexpected keyword argument {name!r}")
                extra[name] = value
            elif name in bound:
                raise TypeError(f"got multiple values for argument {name!r}")
            else:
                bound[name] = value
        if self.var_kwargs is not None:
            bound[self.var_kwargs] = extra
        return self._with_defaults(bound)

    def _with_defaults(self, bound: dict[str, Any]) -> dict[str, Any]:
        missing = []
        for name in (*self.positional, *self.keyword_only):
            if name not in bound:
                if name in self.defaults:
                    bound[name] = self.defaults[name]
                else:
                    missing.append(repr(name))
        if missing:
            raise TypeError(f"missing a required argument: {', '.join(missing)}")
        return bound

    def complete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters given by name, such as a deployment's, plus the defaults of the others.

        Raises:
            ParameterError: a parameter is unknown or missing.
        """
        names = {*self.positional, *self.keyword_only, self.var_args, self.var_kwargs}
        bound: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, value in parameters.items():
            (bound if name in names else extra)[name] = value
        if extra and self.var_kwargs is None:
            known = ", ".join(name for name in (*self.positional, *self.keyword_only)) or "none"
            raise ParameterError(f"unknown parameter {', '.join(map(repr, extra))}; the flow has: {known}")
        if self.var_kwargs is not None:
            bound[self.var_kwargs] = {**bound.get(self.var_kwargs, {}), **extra}
        try:
            return self._with_defaults(bound)
        except TypeError as error:
            raise ParameterError(str(error)) from None

    def name_at(self, at: int) -> str:
        """The parameter name of the positional argument at this index."""
        return self.positional[at] if at < len(self.positional) else self.var_args or str(at)

    def call_with(self, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The (args, kwargs) that pass these parameters to the function."""
        args = [parameters[name] for name in self.positional]
        if self.var_args is not None:
            args.extend(parameters.get(self.var_args) or ())
        kwargs = {name: parameters[name] for name in self.keyword_only}
        if self.var_kwargs is not None:
            kwargs.update(parameters.get(self.var_kwargs) or {})
        return tuple(args), kwargs


def signature_of(runnable: Runnable) -> Signature:
    """The signature of a flow's or task's function, computed once."""
    found = runnable._kept.get("signature")
    if found is None:
        found = runnable._kept["signature"] = Signature(runnable.fn)
    return found


def bind(runnable: Runnable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a call by name.

    Raises:
        ParameterError: they do not match the signature.
    """
    try:
        return signature_of(runnable).bind(args, kwargs)
    except TypeError as error:
        raise ParameterError(f"{runnable.name}: {error}") from None


def complete(runnable: Runnable, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a call, for a bound method with its object.

    Run names and cache keys use these. The stored parameters and the call of the function do not include
    the object.
    """
    return {**bound_object(runnable), **parameters}


def bound_object(runnable: Runnable) -> dict[str, Any]:
    """The object of a bound method, by the name of its `self` parameter; else an empty dict."""
    fn = runnable.fn
    if not hasattr(fn, "__func__"):
        return {}
    name = signature_of(runnable).bound
    return {} if name is None else {name: fn.__self__}  # type: ignore[attr-defined]  # of a method


def validated(flow: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters, validated and coerced by pydantic if the flow's options require it.

    A value that is the parameter's default, or has exactly the annotated plain type, is not validated.
    Pydantic is imported only for the others.

    Raises:
        ParameterError: one or more values are invalid; the message lists all of them.
    """
    if not flow.should_validate_parameters:
        return parameters
    signature = signature_of(flow)
    if all(_is_right(signature, name, value) for name, value in parameters.items()):
        return parameters
    from pydantic import ValidationError

    model, fields = model_of(flow, signature)
    given = {field: parameters[name] for field, name in fields.items() if name in parameters}
    try:
        checked = model.model_validate(given)
    except ValidationError as error:
        lines = []
        for one in error.errors():
            field, *inner = one["loc"] or ("",)
            where = ".".join([fields.get(str(field), str(field)), *map(str, inner)])
            lines.append(f"{where}: {one['msg']}")
        raise ParameterError(f"invalid parameters of flow {flow.name!r}: {'; '.join(lines)}") from None
    return {
        name: parameters[name] if _is_default(signature, name, parameters[name]) else getattr(checked, field)
        for field, name in fields.items()
        if name in parameters
    }


def concealed(flow: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters that did not pass validation, for the run's record; secrets among them are hidden."""
    if not flow.should_validate_parameters:
        return parameters
    from pydantic import ValidationError

    found = dict(parameters)
    try:
        model, fields = model_of(flow, signature_of(flow))
    except Exception:
        # Pydantic does not support these types.
        return parameters
    for field, name in fields.items():
        if name not in parameters:
            continue
        if hasattr(type(parameters[name]), "__next__"):
            continue  # an iterator: a second validation would advance it further
        try:
            checked = model.__pydantic_validator__.validate_assignment(
                model.model_construct(), field, parameters[name]
            )
            found[name] = getattr(checked, field)
        except ValidationError:
            if _holds_secrets(model.model_fields[field].annotation):
                found[name] = STARS
    return found


def _holds_secrets(hint: Any) -> bool:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return "'writeOnly'" in str(TypeAdapter(hint).json_schema())
    except PydanticUserError:
        return "Secret" in repr(hint)


def _is_default(signature: Signature, name: str, value: Any) -> bool:
    return name in signature.defaults and signature.defaults[name] is value


def _is_right(signature: Signature, name: str, value: Any) -> bool:
    annotation = signature.annotations.get(name, Any)
    if annotation is Any or annotation == "Any" or _is_default(signature, name, value):
        return True
    if name in (signature.var_args, signature.var_kwargs):
        return not value
    exact = _EXACT.get(annotation) if isinstance(annotation, str) else annotation
    return type(value) is exact and exact in _EXACT_TYPES


def model_of(flow: Any, signature: Signature) -> tuple[Any, dict[str, str]]:
    """The pydantic model of a flow's parameters, and the parameter name of each field."""
    found = flow._kept.get("model")
    if found is not None:
        return found
    from typing import Optional

    from pydantic import ConfigDict, PydanticUserError, create_model

    # 6 ms; only for parameters that pydantic checks.
    from runyard.engine.typed_dicts import readable

    hints = {
        name: understood(readable(_evaluated(flow.fn, hint))) for name, hint in signature.annotations.items()
    }
    names = [*signature.positional, *signature.keyword_only]
    names += [name for name in (signature.var_args, signature.var_kwargs) if name]
    # Neutral field names: a parameter may be named `schema`, `copy` or `_x`.
    fields = {f"p{at}": name for at, name in enumerate(names)}
    shapes: dict[str, Any] = {}
    for field, name in fields.items():
        hint: Any = hints.get(name, Any)
        if name == signature.var_args:
            shapes[field] = (tuple.__class_getitem__((hint, ...)), ())
        elif name == signature.var_kwargs:
            shapes[field] = (dict.__class_getitem__((str, hint)), {})
        elif name in signature.defaults and signature.defaults[name] is None:
            shapes[field] = (Optional[hint], None)  # noqa: UP045  # `hint | None` fails for strings
        else:
            shapes[field] = (hint, signature.defaults.get(name, ...))
    config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())
    try:
        model = create_model("Parameters", __config__=config, **shapes)
    except PydanticUserError as error:
        why = str(error).partition("\n")[0]
        raise ParameterError(
            f"the annotations of flow {flow.name!r} cannot be checked: {why}"
            " Or pass validate_parameters=False."
        ) from None
    found = flow._kept["model"] = (model, fields)
    return found


def _evaluated(fn: Any, hint: Any) -> Any:
    """An annotation that is a string, evaluated in the module of its function.

    A name that exists only for type checkers (imported under TYPE_CHECKING, or local to a function)
    counts as Any, because it cannot be evaluated.
    """
    if not isinstance(hint, str):
        return hint
    from typing import get_type_hints

    def carrier() -> None: ...

    carrier.__annotations__ = {"it": hint}
    function = getattr(fn, "__func__", fn)
    try:
        found = get_type_hints(carrier, getattr(function, "__globals__", {}), include_extras=True)
    except (NameError, AttributeError):
        return Any
    return found["it"]


def render_name(template: Any, parameters: dict[str, Any]) -> str:
    """A run's name from its template: a string with `{parameter}` fields, or a function.

    The function is called with `parameters` if it has such an argument. Secrets become stars.
    """
    if isinstance(template, str):
        return texts.name(redact(template.format(**parameters)))
    if not callable(template):
        raise TypeError(f"{template!r} is not a name template; give a string or a function")
    signature = Signature(template)
    takes_any = "parameters" in (*signature.positional, *signature.keyword_only)
    try:
        name = user_forks.held(lambda: template(parameters=parameters) if takes_any else template())
    except BaseException as error:
        if isinstance(error, Exception) or is_from_outside(error):
            raise
        raise RunNameError(f"the name template {template!r} raised {type(error).__name__}") from error
    if not isinstance(name, str):
        raise TypeError(f"the name template {template!r} returned {name!r}, which is not a string")
    return texts.name(redact(name))
