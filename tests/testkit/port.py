"""Ports that stay free while their server is down."""

from __future__ import annotations

import random
import socket
import sys
from collections import deque

# Below the range from which systems give out outgoing ports. A port from that range would be taken
# by some client while its server restarts, or even connect to itself under a reconnecting client.
_LOW, _HIGH = 10_240, 32_000
_CLAIMS = 200

_dice = random.SystemRandom()
_claims: deque[socket.socket] = deque()


def free_port() -> int:
    """A loopback TCP port on which nobody listens now, and which no other test's process is given meanwhile."""
    while True:
        port = _dice.randrange(_LOW, _HIGH)
        if _claim(port) and _is_free(port):
            return port


def _claim(port: int) -> bool:
    """Tell other processes on this machine that it is taken, by a name that goes with this process.

    The newest claims are kept: by then, older ports have their server, or need none.
    """
    if sys.platform != "linux":  # names without a file are Linux's own
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0gapless test port {port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    if len(_claims) > _CLAIMS:
        _claims.popleft().close()
    return True


def _is_free(port: int) -> bool:
    """By every address: a cluster's bus listens on all of them."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
