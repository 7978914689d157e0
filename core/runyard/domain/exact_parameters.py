"""The exact forms of a run's parameters, in its context, where their JSON forms do not restore them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# In the context of a run: by parameter, `{"value": EXACT}`, `{"lost": WHY}` or `{"default": true}`.
KEY = "runyard.parameters"


def without(context: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A context without the exact forms of parameters that got other values.

    Args:
        context: of a run.
        names: the parameters.
    """
    exact = context.get(KEY)
    if not isinstance(exact, dict):
        return context
    changed = set(names)
    rest = {name: form for name, form in exact.items() if name not in changed}
    others = {key: value for key, value in context.items() if key != KEY}
    return {**others, KEY: rest} if rest else others
