"""HAProxy before a service, as Debian packages it."""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testkit.alarm import until
from tests.testkit.need import need
from tests.testkit.port import free_port
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = """
global
    maxconn 200
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client {silence}s
    timeout server {silence}s
frontend front
    bind 127.0.0.1:{port}
    default_backend service
backend service
    option forwardfor
    server one 127.0.0.1:{upstream}
"""


@contextmanager
def haproxy(upstream: int, silence: int) -> Iterator[str]:
    """The URL of a HAProxy before this port of loopback, which cuts what is silent for so many seconds."""
    binary = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
    need(binary, "haproxy (apt-get install haproxy)")
    assert binary is not None
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "haproxy.cfg")
        config.write_text(_CONFIG.format(silence=silence, port=port, upstream=upstream))
        process = Process(f"haproxy {port}", [binary, "-db", "-f", str(config)])
        try:
            until(lambda: _up(port), f"haproxy on port {port}", alarm=30)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
