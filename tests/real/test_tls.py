"""`rediss://`: the real product over TLS, and what it says where the certificate is nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.tls import tls_front
from tests.testkit.valkey import start_valkey
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=5), pytest.mark.timeout(180)]

CHANNEL = "general"


async def test_over_tls(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with start_valkey(tmp_path / "valkey") as valkey, tls_front(valkey, tmp_path) as front:
        async with Service({"REDIS_URL": front.url}) as here, Service({"REDIS_URL": front.url}) as there:
            ann = Publisher(History(), client, there.url, CHANNEL)
            async with visit(f"{here.url}/channels/{CHANNEL}/stream", client=client) as reader:
                await reader.next("hello")
                await ann.publish_many(20)
                assert await reader.messages(20) == [f"ann {number}" for number in range(1, 21)]
            assert front.handshakes >= 3, "commands of two services, and word of them where somebody reads"


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with start_valkey(tmp_path / "valkey") as valkey, tls_front(valkey, tmp_path) as front:
        async with Service({"REDIS_URL": front.untrusted_url}) as service:
            reply = await client.get(f"{service.url}/readyz")
            assert reply.status_code == 503
            assert "can't be reached" in reply.json()["detail"]
            assert "certificate" in reply.json()["detail"].lower()
        assert not valkey.commandstats().get("evalsha")
