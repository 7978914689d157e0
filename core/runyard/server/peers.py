"""Finds out which user of this machine owns the other end of a connection (Linux)."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

# From <linux/netlink.h>, <linux/sock_diag.h> and <linux/inet_diag.h>.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI")
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
# The response: family, state, timer, retransmits; the socket's id; and four counters before the user.
_STATE_AT = _HEADER.size + 1
_USER = struct.Struct("=II")
_USER_AT = _HEADER.size + 4 + 48 + 12
_ESTABLISHED, _CLOSE_WAIT = 1, 8
_HALF_CLOSED = (4, 5)  # FIN_WAIT1, FIN_WAIT2
_LIVE = frozenset((_ESTABLISHED, _CLOSE_WAIT, *_HALF_CLOSED))
_ANSWER_SECONDS = 2.0


def user_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """The id of the user whose process owns the other end of a connection on this machine.

    Args:
        client: address and port of the other end.
        server: address and port of our end.

    Returns:
        The user's id; None if the system does not tell, or no process holds that end any more: the
        system shows a closed socket as owned by root.
    """
    family, ends = _ends(client, server)
    try:
        return _by_netlink(family, ends)
    except (OSError, AttributeError, struct.error):
        return _by_proc(family, ends)


_Ends = tuple[tuple[bytes, int], tuple[bytes, int]]


def _ends(client: tuple[str, int], server: tuple[str, int]) -> tuple[int, _Ends]:
    """The family and the packed ends; the client of an IPv6 socket may see the connection as IPv4."""
    addresses = [ipaddress.ip_address(host.partition("%")[0]) for host, _ in (client, server)]
    plain = [
        (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
        for address in addresses
    ]
    family = socket.AF_INET if plain[0].version == 4 else socket.AF_INET6
    return family, ((plain[0].packed, client[1]), (plain[1].packed, server[1]))


def _by_netlink(family: int, ends: _Ends) -> int | None:
    (source, source_port), (target, target_port) = ends
    wanted = struct.pack("!HH", source_port, target_port) + source.ljust(16, b"\0") + target.ljust(16, b"\0")
    body = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + wanted + _NO_COOKIE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(_ANSWER_SECONDS)
        link.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 0, 0) + body)
        answer = link.recv(8192)
    if _HEADER.unpack_from(answer)[1] == _ERROR:
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if code == errno.ENOENT:
            return None
        raise OSError(code, "the system does not tell which user owns a connection")
    user, inode = _USER.unpack_from(answer, _USER_AT)
    return user if inode and answer[_STATE_AT] in _LIVE else None


def _by_proc(family: int, ends: _Ends) -> int | None:
    """Look it up in the kernel's table of connections, which is slower if there are many."""
    wanted = [f"{_hex(packed)}:{port:04X}" for packed, port in ends]
    try:
        with open(f"/proc/net/{'tcp' if family == socket.AF_INET else 'tcp6'}", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if fields[1:3] == wanted:
                    inode, live = int(fields[9]), int(fields[3], 16) in _LIVE
                    return int(fields[7]) if inode and live else None
    except OSError:
        pass
    return None


def _hex(packed: bytes) -> str:
    """An address in the format of that table: words of four bytes in machine byte order."""
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)
