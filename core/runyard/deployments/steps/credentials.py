"""Credentials of steps: mappings, saved blocks, secrets of several kinds, plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runyard.base.errors import InvalidInput

_TOKEN_KEYS = ("token", "access_token", "password", "value")


def plain(value: Any) -> Any:
    """The text of a secret of any kind; other values unchanged."""
    if isinstance(value, Mapping):
        return value
    for name in ("get", "get_secret_value"):
        read = getattr(value, name, None)
        if callable(read):
            return plain(read())
    return value


def login(credentials: Any) -> tuple[str, str]:
    """The username and the token of credentials.

    Args:
        credentials: the token itself, or a mapping or a saved block with a `token`, `access_token`,
            `password` or `value`, and optionally a `username`; or None.

    Returns:
        Both; empty if missing.

    Raises:
        InvalidInput: they contain no token.
    """
    told = plain(credentials)
    if told is None or isinstance(told, str):
        return "", told or ""
    fields = told if isinstance(told, Mapping) else vars(told)
    token = next((fields[key] for key in _TOKEN_KEYS if fields.get(key)), None)
    if token is None:
        raise InvalidInput("these credentials contain no token; add {'token': ...}")
    return str(plain(fields.get("username")) or ""), login(token)[1]
