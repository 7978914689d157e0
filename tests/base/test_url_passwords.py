"""Passwords and tokens in URLs are not shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput
from runyard.base.redaction import STARS
from runyard.base.url_passwords import hidden

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:geheim@db:5432/x", f"postgresql://u:{STARS}@db:5432/x"),
        ("postgresql+asyncpg://u:ge@he/im@db/x", f"postgresql+asyncpg://u:{STARS}@db/x"),
        ("postgresql://db/x?user=u&password=geheim&a=b", f"postgresql://db/x?user=u&password={STARS}&a=b"),
        ("http://:geheim@host:4200/api", f"http://:{STARS}@host:4200/api"),
        ("http://u:ge%40heim@[::1]:4200/api", f"http://u:{STARS}@[::1]:4200/api"),
        (f"https://{TOKEN}@git.example.com/a.git", f"https://{STARS}@git.example.com/a.git"),
        (f"https://x-access-token:{TOKEN}@git.example.com/a", f"https://x-access-token:{STARS}@git.example.com/a"),
        ("https://host/a?X-Amz-Signature=geheim#x", f"https://host/a?X-Amz-Signature={STARS}#x"),
        ("socks5://u:geheim@proxy:1080", f"socks5://u:{STARS}@proxy:1080"),
    ],
)  # fmt: skip
def test_what_is_hidden(url, shown):
    assert hidden(url) == shown
    assert (
        hidden(f"cannot reach '{url}': refused (see {url})")
        == f"cannot reach '{shown}': refused (see {shown})"
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:4200/api",
        "https://git@host/a.git and me@host",
        "git@host:a/b.git",
        "sqlite:////home/u/runyard.db",
        "ssh://git@host:22/a@v1",
        "http://host:4200/x@y",
        "docs: https://a.example/b?page=1",
    ],
)
def test_what_stays(text):
    assert hidden(text) == text


@given(
    st.text(
        alphabet=st.characters(exclude_characters=" \t\r\n'\"<>@", exclude_categories=["Z", "C"]), min_size=6
    )
)
def test_no_password_stays(word):
    secret = f"ge{word}im"
    assert secret not in hidden(f"cannot reach postgresql://user:{secret}@host/db now")


def test_no_error_shows_one():
    error = InvalidInput("cannot use http://u:geheim@host/api")
    assert "geheim" not in str(error) + error.message + repr(error)
