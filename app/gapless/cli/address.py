"""The address to listen on: looked up, checked and bound before anything else is started."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from gapless.log.errors import StartupRefused

BACKLOG = 2048
"""Connections that may wait to be accepted: a herd that reconnects."""

UNREAD_MS = 30_000
"""Milliseconds for which a peer may leave what was sent unread or unacknowledged, before the kernel cuts it off."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of this machine, as the system writes it."""

    family: socket.AddressFamily
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self._ip.is_loopback

    @property
    def url(self) -> str:
        """What to open on this machine."""
        host = self.host
        if self._ip.is_unspecified:
            host = "127.0.0.1" if self.family == socket.AF_INET else "::1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address(self.host)


def resolve(host: str, port: int) -> Address:
    """The address that `host` names, IPv4 first."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise StartupRefused(
            f"There is no address for the host {host!r}. Choose one with --host or HOST, such as 127.0.0.1 for this "
            "machine only."
        ) from None
    family, _, _, _, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return Address(family, str(where[0]), port)


def listen(address: Address) -> tuple[socket.socket, Address]:
    """A listening socket, and its address with the port it really has."""
    # asyncio turns Nagle off only where the socket says that it is TCP.
    taken = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two services share a port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Connections inherit it. Without it a reader that never reads holds a full kernel buffer for ever.
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        taken.bind((address.host, address.port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise StartupRefused(_why(address, error)) from None
    return taken, Address(address.family, address.host, taken.getsockname()[1])


def _why(address: Address, error: OSError) -> str:
    other = address.port + 1 if address.port < 65_535 else 8000
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {address.port} on {address.host} is in use. Choose another: `PORT={other} make run`, or "
            f"`gapless serve --port {other}` (0 takes any free one)."
        )
    if error.errno == errno.EACCES:
        return f"You may not listen on port {address.port}. Choose one above 1023, with PORT=8000 or --port 8000."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is no address of this machine. Choose another with --host or HOST."
    return f"{address.host}, port {address.port}, can't be listened on: {error.strerror}."
