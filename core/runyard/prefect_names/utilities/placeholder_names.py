"""The names of `prefect.utilities.templating` that scripts use: placeholders as Prefect fills them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base.markers import NotSet
from runyard.base.syncing import async_twin
from runyard.deployments.placeholders import fill_placeholders, stored_placeholders
from runyard.deployments.placeholders.fill_placeholders import BLOCK, ENVIRONMENT, KEEP, MISSING, VARIABLE
from runyard.engine.logging import get_logger
from runyard.prefect_names.utilities.collections import get_from_dict
from runyard.sdk.variables import Variable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Placeholder",
    "PlaceholderType",
    "apply_values",
    "determine_placeholder_type",
    "find_placeholders",
    "resolve_block_document_references",
    "resolve_variables",
]


class PlaceholderType(Enum):
    """The kinds of placeholders."""

    STANDARD = "standard"
    BLOCK_DOCUMENT = "block_document"
    VARIABLE = "variable"
    ENV_VAR = "env_var"


_KINDS = {
    BLOCK: PlaceholderType.BLOCK_DOCUMENT,
    ENVIRONMENT: PlaceholderType.ENV_VAR,
    VARIABLE: PlaceholderType.VARIABLE,
}


class Placeholder(NamedTuple):
    """One placeholder: its text, its name, and its kind."""

    full_match: str
    name: str
    type: PlaceholderType


def determine_placeholder_type(name: str) -> PlaceholderType:
    """The kind of a placeholder by its name."""
    (found,) = find_placeholders(f"{{{{ {name} }}}}")
    return found.type


def find_placeholders(template: Any) -> set[Placeholder]:
    """All placeholders in the strings of a value."""
    return {
        Placeholder(found.text, found.name, _KINDS.get(found.kind, PlaceholderType.STANDARD))
        for found in fill_placeholders.placeholders(template)
    }


def apply_values(
    template: Any,
    values: dict[str, Any],
    remove_notset: bool = True,
    warn_on_notset: bool = False,
    skip_prefixes: list[str] | None = None,
) -> Any:
    """A copy of a value with its placeholders filled in, except those of blocks and variables.

    Args:
        values: by name; `a.b[0]` is a path into them.
        remove_notset: remove an unknown placeholder with its key; inside a text it becomes empty. If false,
            it stays.
        warn_on_notset: log unknown placeholders.
        skip_prefixes: placeholders whose names have one of these prefixes stay too.
    """
    import os

    def lookup(placeholder: fill_placeholders.Placeholder) -> Any:
        name = placeholder.name
        if placeholder.kind in (BLOCK, VARIABLE) or name.startswith(tuple(skip_prefixes or ())):
            return KEEP
        if placeholder.kind == ENVIRONMENT:
            found: Any = os.environ.get(name[1:], MISSING)
        else:
            found = values[name] if name in values else get_from_dict(values, name, MISSING)
        if found is not MISSING:
            return _EMPTY if found is None and placeholder.text != whole else found
        if warn_on_notset:
            get_logger("templating").warning("nothing fills %s", placeholder.text)
        if placeholder.kind == ENVIRONMENT:
            return ""
        if not remove_notset:
            return KEEP
        return NotSet if placeholder.text == whole else ""

    whole: str | None = None

    def filled(value: Any) -> Any:
        nonlocal whole
        if isinstance(value, dict):
            pairs = ((key, filled(item)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not NotSet}
        if isinstance(value, list):
            return [item for item in map(filled, value) if item is not NotSet]
        whole = value if isinstance(value, str) else None
        return fill_placeholders.fill(value, lookup)

    return filled(template)


# Prefect shows a None inside other text like this.
_EMPTY = "None"


async def resolve_variables(template: Any, client: Any = None) -> Any:
    """A copy of a value with the variables that it names filled in; None for unknown ones."""

    def lookup(placeholder: fill_placeholders.Placeholder) -> Any:
        if placeholder.kind != VARIABLE:
            return KEEP
        return Variable.get(placeholder.name.removeprefix("prefect.variables."), _sync=True)

    return await async_twin(fill_placeholders.fill)(template, lookup)


async def resolve_block_document_references(
    template: Any, client: Any = None, value_transformer: Callable[[str, Any], Any] | None = None
) -> Any:
    """A copy of a value with the blocks that it names filled in.

    Args:
        value_transformer: called with the placeholder's name and its value; its result is used.

    Raises:
        RunyardError: the block does not exist, or does not have the field.
    """

    def lookup(placeholder: fill_placeholders.Placeholder) -> Any:
        if placeholder.kind != BLOCK:
            return KEEP
        value = stored_placeholders.resolve(placeholder.text, "the template")
        return value if value_transformer is None else value_transformer(placeholder.name, value)

    return await async_twin(fill_placeholders.fill)(template, lookup)
