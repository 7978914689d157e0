"""Hide the passwords and tokens in URLs, and values whose name says that they are secret."""

from __future__ import annotations

import re
from typing import Any

from runyard.base.redaction import STARS

# `user:` before the host, and the password up to the last @, because not every program encodes it. Text that
# starts like a port is not a password.
_PASSWORD = re.compile(r"""(://[^\s/?#:@'"<>]*:)(?!\d{1,5}(?:[/?#]|$))[^\s'"<>]+(?=@)""")
# A token alone, as git servers accept it. Account names are shorter.
_TOKEN = re.compile(r"""(https?://)[^\s/?#:@'"<>]{20,}(?=@)""", re.IGNORECASE)
_PARAMETER = re.compile(
    r"""([?&][\w.-]*(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key|signature|sig)=)[^&#\s'"<>]+""",
    re.IGNORECASE,
)

# Names of fields and environment variables with secret values.
_SECRET_NAME = re.compile(
    r"(?i)secret|token|passw|credential|api_?key|(access|private)_?key|(^|_)(auth|pwd)($|_)"
)


def hidden(text: str) -> str:
    """Replace the secrets in the URLs of a text by stars."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\1{STARS}", _TOKEN.sub(rf"\1{STARS}", _PASSWORD.sub(rf"\1{STARS}", text)))


def hidden_within(value: Any) -> Any:
    """Replace secrets in a JSON value by stars: in URLs, and texts whose name says that they are secret.

    Placeholders such as `{{ prefect.blocks.secret.token }}` stay, because they contain no secret.
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
