"""The same work by a server in C: Nchan in nginx (Debian: libnginx-mod-nchan). Left out where there is none."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import Server, wait

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_CONFIG = """
load_module {module};
daemon off;
master_process off;
error_log stderr error;
pid {folder}/pid;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location = /healthz {{ return 200; }}
    location = /channels/bench/messages {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; }}
    location = /channels/bench/stream {{
      nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


def found() -> str | None:
    """nginx, where it has Nchan."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    return nginx if nginx and MODULE.exists() else None


@contextmanager
def serving(nginx: str) -> Iterator[Server]:
    """nginx as one process, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(_CONFIG.format(module=MODULE, folder=folder, port=port))
        process = subprocess.Popen([nginx, "-c", config, "-e", "stderr"], stderr=subprocess.DEVNULL)
        try:
            wait(f"http://127.0.0.1:{port}/healthz")
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)
