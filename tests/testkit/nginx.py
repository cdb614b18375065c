"""nginx before a service, as Debian packages it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.testkit.alarm import until
from tests.testkit.need import need
from tests.testkit.port import free_port
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = """
daemon off;
master_process off;
error_log stderr error;
pid {folder}/pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location = /nginx-is-up {{ return 200; }}
    {locations}
  }}
}}
"""


@contextmanager
def nginx(locations: str, port: int | None = None) -> Iterator[str]:
    """The URL of an nginx with these `location` blocks. `port`: a free one unless it is named."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    need(binary, "nginx (apt-get install nginx)")
    assert binary is not None
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(_CONFIG.format(folder=folder, port=port, locations=locations))
        process = Process(f"nginx {port}", [binary, "-c", str(config), "-e", "stderr"])
        try:
            until(lambda: _up(port), f"nginx on port {port}", alarm=30)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/nginx-is-up", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
