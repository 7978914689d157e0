"""Checks the addresses that a block may call, so that it cannot reach private networks."""

from __future__ import annotations

from urllib.parse import urlsplit


def refuse_private(url: str) -> None:
    """Check that a URL is http or https, and that its host has a public address.

    Raises:
        ValueError: it is not; the message omits the URL, which may be secret.
    """
    import ipaddress
    import socket

    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("with allow_private_urls=False, only http and https URLs are allowed")
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except OSError:
        raise ValueError(f"unknown host {host!r} (checked because of allow_private_urls=False)") from None
    for address in found:
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise ValueError(
                f"{host!r} has the private address {address}, which allow_private_urls=False forbids"
            )
