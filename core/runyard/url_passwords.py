"""URLs as they may be shown: without the passwords and tokens that stand in them."""

from __future__ import annotations

import re

from runyard.redaction import STARS

# `user:` of what stands before the host, and the password, up to the last @: not every program encodes it.
# What begins as a port does is none.
_PASSWORD = re.compile(r"""(://[^\s/?#:@'"<>]*:)(?!\d{1,5}(?:[/?#]|$))[^\s'"<>]+(?=@)""")
# A token alone, as git's hosts take it. The name of an account is shorter.
_TOKEN = re.compile(r"""(https?://)[^\s/?#:@'"<>]{20,}(?=@)""", re.IGNORECASE)
_PARAMETER = re.compile(
    r"""([?&][\w.-]*(?:passw(?:or)?d|pwd|secret|token|api_?key|access_?key|signature|sig)=)[^&#\s'"<>]+""",
    re.IGNORECASE,
)


def hidden(text: str) -> str:
    """A text with stars for what is secret in the URLs that it holds."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\1{STARS}", _TOKEN.sub(rf"\1{STARS}", _PASSWORD.sub(rf"\1{STARS}", text)))
