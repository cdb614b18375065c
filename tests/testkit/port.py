"""Ports that stay free while their server is down."""

from __future__ import annotations

import random
import socket

# Below the range from which systems give out outgoing ports. A port from that range would be taken
# by some client while its server restarts, or even connect to itself under a reconnecting client.
_LOW, _HIGH = 10_240, 32_000

_dice = random.SystemRandom()


def free_port() -> int:
    """A loopback TCP port on which nobody listens now."""
    while True:
        port = _dice.randrange(_LOW, _HIGH)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
