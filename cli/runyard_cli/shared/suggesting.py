"""What a command says about a name that is not there: the one that is spelled like it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.client import Client

_MOST_NAMES = 1000


@contextmanager
def suggesting(client: Client, kind: str, word: str, see: str) -> Iterator[None]:
    """Name the similar one when the operation inside does not find a thing.

    Args:
        client: lists the names.
        kind: of the names, as `list_names` takes it; its last letter goes for one of them.
        word: what was looked for.
        see: the command that lists them.

    Raises:
        NotFound: it was not found.
    """
    from runyard.base.errors import NotFound

    try:
        yield
    except NotFound:
        from runyard.base.suggestions import did_you_mean
        from runyard.operations.installation.completion_names import list_names

        names: list[str] = client.call(list_names, kind=kind, limit=_MOST_NAMES)
        hint = did_you_mean(word, names, f"see: {see}")
        raise NotFound(f"{kind[:-1]} {word!r} not found{hint}") from None
