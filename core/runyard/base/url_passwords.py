"""Values as they may be shown: without the passwords and tokens of URLs, and of what is named so."""

from __future__ import annotations

import re
from typing import Any

from runyard.base.redaction import STARS

# `user:` of what stands before the host, and the password, up to the last @: not every program encodes it.
# What begins as a port does is none.
_PASSWORD = re.compile(r"""(://[^\s/?#:@'"<>]*:)(?!\d{1,5}(?:[/?#]|$))[^\s'"<>]+(?=@)""")
# A token alone, as git's hosts take it. The name of an account is shorter.
_TOKEN = re.compile(r"""(https?://)[^\s/?#:@'"<>]{20,}(?=@)""", re.IGNORECASE)
_PARAMETER = re.compile(
    r"""([?&][\w.-]*(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key|signature|sig)=)[^&#\s'"<>]+""",
    re.IGNORECASE,
)

# Names of fields and of variables of an environment whose value is a secret.
_SECRET_NAME = re.compile(
    r"(?i)secret|token|passw|credential|api_?key|(access|private)_?key|(^|_)(auth|pwd)($|_)"
)


def hidden(text: str) -> str:
    """A text with stars for what is secret in the URLs that it holds."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\1{STARS}", _TOKEN.sub(rf"\1{STARS}", _PASSWORD.sub(rf"\1{STARS}", text)))


def hidden_within(value: Any) -> Any:
    """A JSON value with stars for what is secret in it: in URLs, and texts that are named as secrets are.

    Placeholders, as in `{{ prefect.blocks.secret.token }}`, stay: they tell no secret.
    """
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {name: _hidden_field(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [hidden_within(item) for item in value]
    return tuple(map(hidden_within, value)) if type(value) is tuple else value


def _hidden_field(name: Any, value: Any) -> Any:
    if not isinstance(value, str) or not _SECRET_NAME.search(str(name)):
        return hidden_within(value)
    return value if not value or value.strip().startswith("{{") else STARS
