"""Placeholders in a project file: `{{ step.output }}`, `{{ $ENV }}`, `{{ prefect.variables.x }}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runyard.base.errors import InvalidInput
from runyard.base.suggestions import did_you_mean

STEP = "step"
ENVIRONMENT = "environment"
VARIABLE = "variable"
BLOCK = "block"
CONTEXT = "context"

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_.$\-\[\]]+)\s*\}\}")
_SECRET_NAME = re.compile(r"(?i)secret|token|passw|credential|private|(^|_)(key|auth|pwd|pass)($|_)|api_?key")
_STEP_OF_PATH = re.compile(r"[^.\[\]]+|\[\d+\]")

Warn = Callable[[str], None]


def looks_secret(name: str) -> bool:
    """Whether the name of a variable or an option says that its value is secret."""
    return _SECRET_NAME.search(name) is not None


class Verbatim(dict[str, Any]):
    """A mapping whose placeholders belong to another program: it stays unchanged."""


class Placeholder(NamedTuple):
    """One placeholder: its text, its name, and its kind."""

    text: str
    name: str
    kind: str


class _Marker:
    """Special results of a lookup."""


KEEP = _Marker()
"""Leave the placeholder as it is."""
MISSING = _Marker()
"""The value does not exist."""


class MissingValue(InvalidInput):
    """A placeholder has no value."""

    def __init__(self, placeholder: Placeholder, why: str) -> None:
        super().__init__(f"{placeholder.text}: {why}")
        self.placeholder = placeholder


Lookup = Callable[[Placeholder], Any]


def silent(_: str) -> None:
    """Ignore warnings."""


def parse(match: re.Match[str]) -> Placeholder:
    """The placeholder of a match of the pattern."""
    name = match.group(1)
    if name.startswith("$"):
        kind = ENVIRONMENT
    elif name.startswith("prefect.variables."):
        kind = VARIABLE
    elif name.startswith("prefect.blocks."):
        kind = BLOCK
    elif name.startswith("ctx."):
        kind = CONTEXT
    else:
        kind = STEP
    return Placeholder(match.group(0), name, kind)


def placeholders(value: Any) -> Iterator[Placeholder]:
    """Every placeholder in the strings of a value; keys of mappings are ignored."""
    if isinstance(value, str):
        if "{{" in value:
            yield from map(parse, _PLACEHOLDER.finditer(value))
    elif isinstance(value, dict | Mapping) and not isinstance(value, Verbatim):  # a dict is fast
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)


def has_placeholder(value: Any) -> bool:
    """Whether any string in `value` contains a placeholder."""
    return next(placeholders(value), None) is not None


def is_placeholder(text: str) -> bool:
    """Whether a text is exactly one placeholder."""
    return _PLACEHOLDER.fullmatch(text) is not None


def fill(value: Any, lookup: Lookup) -> Any:
    """A copy of `value` with its placeholders replaced.

    A placeholder that is the whole text keeps the type of its value; inside other text it becomes text.
    Replaced values are not searched again.

    Args:
        value: any YAML value.
        lookup: returns the value of a placeholder, or KEEP.
    """
    if isinstance(value, str):
        return _fill_text(value, lookup)
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, Mapping):
        return {key: fill(item, lookup) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, lookup) for item in value]
    return value


def fill_outputs(value: Any, outputs: Mapping[str, Any], final: bool = False) -> Any:
    """Fill in step outputs.

    outputs: the outputs of the steps that ran: by name, and by step id.
        value: any YAML value.
        outputs: of the steps that ran: by name, and by step id.
        final: whether no other step follows: then a missing output is an error; else its placeholder stays.

    Raises:
        MissingValue: with `final`, a placeholder has no value.
    """

    def lookup(placeholder: Placeholder) -> Any:
        if placeholder.kind != STEP:
            return KEEP
        found = _find(outputs, placeholder.name)
        if found is not MISSING:
            return found
        if not final:
            return KEEP
        raise MissingValue(
            placeholder, f"no step has the output {placeholder.name!r}{_similar(outputs, placeholder)}"
        )

    return fill(value, lookup)


def fill_environment(value: Any, environment: Mapping[str, str], final: bool = False) -> Any:
    """Fill in environment variables, always as text.

    Args:
        value: any YAML value.
        environment: usually os.environ.
        final: whether a variable that is not set is an error; otherwise its placeholder stays.

    Raises:
        MissingValue: with `final`, a variable is not set.
    """

    def lookup(placeholder: Placeholder) -> Any:
        if placeholder.kind != ENVIRONMENT:
            return KEEP
        name = placeholder.name[1:]
        if name in environment:
            return environment[name]
        if not final:
            return KEEP
        raise MissingValue(placeholder, f"the environment variable {name} is not set")

    return fill(value, lookup)


def fill_shareable_environment(value: Any, environment: Mapping[str, str]) -> Any:
    """Fill in the environment variables that may be stored; the worker fills in the others.

    Every user who may read the deployment can read stored values. So a variable with the name of a secret is
    left for the worker, and so is a variable that is not set here.
    """
    shareable = {name: text for name, text in environment.items() if not looks_secret(name)}
    return fill_environment(value, shareable)


def place_of(value: Any, text: str) -> tuple[str | int, ...]:
    """The path of a text in `value`: keys and positions; () if it is not found."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return ()
    for key, item in items:
        if isinstance(item, str) and text in item:
            return (key,)
        inner = place_of(item, text)
        if inner:
            return (key, *inner)
    return ()


def _fill_text(text: str, lookup: Lookup) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        found = lookup(parse(whole))
        return text if found is KEEP else found

    def replace(match: re.Match[str]) -> str:
        found = lookup(parse(match))
        if found is KEEP:
            return match.group(0)
        return "" if found is None else str(found)

    return _PLACEHOLDER.sub(replace, text)


def _find(outputs: Mapping[str, Any], name: str) -> Any:
    """The output `name`, which may be a path into mappings and lists: `build.images[0].tag`."""
    if name in outputs:
        return outputs[name]
    # An id may contain dots: the longest known prefix counts.
    cut = len(name)
    while (cut := max(name.rfind(".", 0, cut), name.rfind("[", 0, cut))) > 0:
        if name[:cut] in outputs:
            return _follow(outputs[name[:cut]], name[cut:])
    return MISSING


def _similar(outputs: Mapping[str, Any], placeholder: Placeholder) -> str:
    known = [str(name) for name in outputs]
    for name, value in outputs.items():
        if isinstance(value, Mapping):
            known += [f"{name}.{key}" for key in value]
    return did_you_mean(placeholder.name, known)


def _follow(value: Any, path: str) -> Any:
    for step in _STEP_OF_PATH.findall(path):
        if step.startswith("[") and isinstance(value, list) and int(step[1:-1]) < len(value):
            value = value[int(step[1:-1])]
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        else:
            return MISSING
    return value
