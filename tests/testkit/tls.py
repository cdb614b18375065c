"""A TLS front for a Valkey that speaks none: what `rediss://` tests connect to."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trustme
from anyio.from_thread import start_blocking_portal

from tests.testkit.listener import Listener
from tests.testkit.relay import pump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testkit.valkey import Valkey


class TlsFront:
    """Where it listens, and the authority that vouches for it."""

    def __init__(self, ca_file: Path) -> None:
        self.port = 0
        self.ca_file = ca_file
        self.handshakes = 0

    @property
    def untrusted_url(self) -> str:
        """`rediss://` with nothing said about whom to trust: to be refused, unless `SSL_CERT_FILE` says it."""
        return f"rediss://localhost:{self.port}"

    @property
    def url(self) -> str:
        """`rediss://` that names the authority in redis-py's own way (`ssl_ca_certs`)."""
        return f"{self.untrusted_url}?ssl_ca_certs={self.ca_file}"


@contextmanager
def tls_front(valkey: Valkey, folder: Path) -> Iterator[TlsFront]:
    """A TLS terminator before `valkey`, on a thread of its own, with a certificate for `localhost`.

    `handshakes` counts the connections that got through TLS.
    """
    authority = trustme.CA()
    ca_file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    front = TlsFront(ca_file)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        front.handshakes += 1
        await pump((reader, writer), await asyncio.open_unix_connection(valkey.socket))

    # A loop on a thread of its own: it serves tests without a loop, and product code that blocks theirs.
    with start_blocking_portal() as portal:
        listener = Listener(relay, tls=context)
        with portal.wrap_async_context_manager(listener):
            front.port = listener.port
            yield front
