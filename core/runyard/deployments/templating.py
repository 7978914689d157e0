"""Placeholders in a project file: `{{ step.output }}`, `{{ $ENV }}`, `{{ prefect.variables.x }}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

STEP = "step"
ENVIRONMENT = "environment"
VARIABLE = "variable"
BLOCK = "block"
CONTEXT = "context"

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_.$\-\[\]]+)\s*\}\}")
_STEP_OF_PATH = re.compile(r"[^.\[\]]+|\[\d+\]")

Warn = Callable[[str], None]


class Placeholder(NamedTuple):
    """One placeholder: as written, the name between its braces, and its kind."""

    text: str
    name: str
    kind: str


class _Marker:
    """What a lookup answers instead of a value."""


KEEP = _Marker()
"""Leave the placeholder as it is."""
DROP = _Marker()
"""There is no value: a mapping's key or a list's item goes, embedded in text it becomes empty."""

Lookup = Callable[[Placeholder], Any]


def silent(_: str) -> None:
    """Warns nobody."""


def parse(match: re.Match[str]) -> Placeholder:
    """The placeholder that a match of the pattern stands for."""
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
    """Every placeholder in the texts of a value; the keys of mappings are not looked at."""
    if isinstance(value, str):
        for match in _PLACEHOLDER.finditer(value):
            yield parse(match)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)


def has_placeholder(value: Any) -> bool:
    """Whether any text in `value` holds a placeholder."""
    return next(placeholders(value), None) is not None


def fill(value: Any, lookup: Lookup) -> Any:
    """A copy of `value` with its placeholders replaced.

    A placeholder that is the whole text keeps the type of what replaces it; embedded in other text it
    becomes text. What is put in is not searched again.

    Args:
        value: anything YAML can say.
        lookup: gives the value of a placeholder, or KEEP, or DROP.

    Returns:
        The copy; None where `value` itself was a placeholder without a value.
    """
    filled = _fill(value, lookup)
    return None if filled is DROP else filled


def fill_outputs(value: Any, outputs: Mapping[str, Any], warn: Warn | None = None) -> Any:
    """Put step outputs in.

    Args:
        value: anything YAML can say.
        outputs: of the steps that ran: by name, and by step id.
        warn: given, this is the last pass: a placeholder that no step filled is dropped, with a warning
            through this callable. Without it such placeholders stay.
    """

    def lookup(placeholder: Placeholder) -> Any:
        if placeholder.kind != STEP:
            return KEEP
        found = _find(outputs, placeholder.name)
        if found is not DROP:
            return found
        if warn is None:
            return KEEP
        warn(f"no step put out {placeholder.name!r}; {placeholder.text} is left empty")
        return DROP

    return fill(value, lookup)


def fill_environment(value: Any, environment: Mapping[str, str], warn: Warn | None = None) -> Any:
    """Put environment variables in, always as text.

    Args:
        value: anything YAML can say.
        environment: usually os.environ.
        warn: given, this is the last pass: a variable that is not set becomes empty, with a warning.
    """

    def lookup(placeholder: Placeholder) -> Any:
        if placeholder.kind != ENVIRONMENT:
            return KEEP
        name = placeholder.name[1:]
        if name in environment:
            return environment[name]
        if warn is None:
            return KEEP
        warn(f"the environment variable {name} is not set; {placeholder.text} is left empty")
        return ""

    return fill(value, lookup)


def _fill(value: Any, lookup: Lookup) -> Any:
    if isinstance(value, str):
        return _fill_text(value, lookup)
    if isinstance(value, Mapping):
        pairs = ((key, _fill(item, lookup)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not DROP}
    if isinstance(value, list | tuple):
        return [item for item in (_fill(item, lookup) for item in value) if item is not DROP]
    return value


def _fill_text(text: str, lookup: Lookup) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        found = lookup(parse(whole))
        return text if found is KEEP else found

    def replace(match: re.Match[str]) -> str:
        found = lookup(parse(match))
        if found is KEEP:
            return match.group(0)
        return "" if found is DROP or found is None else str(found)

    return _PLACEHOLDER.sub(replace, text)


def _find(outputs: Mapping[str, Any], name: str) -> Any:
    """The output called `name`, which may lead into mappings and lists: `build.images[0].tag`."""
    if name in outputs:
        return outputs[name]
    # An id may hold dots of its own: the longest beginning that is known counts.
    cut = len(name)
    while (cut := max(name.rfind(".", 0, cut), name.rfind("[", 0, cut))) > 0:
        if name[:cut] in outputs:
            return _follow(outputs[name[:cut]], name[cut:])
    return DROP


def _follow(value: Any, path: str) -> Any:
    for step in _STEP_OF_PATH.findall(path):
        if step.startswith("[") and isinstance(value, list) and int(step[1:-1]) < len(value):
            value = value[int(step[1:-1])]
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        else:
            return DROP
    return value
