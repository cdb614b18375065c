"""TLS before Valkey: trusted when told to, refused when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from tests.testkit.tls import tls_front

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testkit.valkey import Valkey


async def test_commands_go_through_tls(valkey: Valkey, tmp_path: Path) -> None:
    with tls_front(valkey, tmp_path) as front:
        async with Redis.from_url(front.url) as redis:
            await redis.set("k", "x" * 300_000)
            assert await redis.get("k") == b"x" * 300_000
        assert valkey.cli("STRLEN", "k") == 300_000
        assert front.handshakes == 1


async def test_an_unknown_authority_is_refused(valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_front(valkey, tmp_path) as front:
        async with Redis.from_url(front.untrusted_url) as redis:
            with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await redis.ping()
        monkeypatch.setenv("SSL_CERT_FILE", str(front.ca_file))
        async with Redis.from_url(front.untrusted_url) as redis:
            assert await redis.ping()
