"""What the page about servers of one's own wants written and started. There is no Docker here: tests/container."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import yaml
from anyio import to_thread

from tests.testkit.nginx import nginx as started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from tests.docs.blocks import Block
    from tests.docs.stranger import Stranger

PORT = "http://127.0.0.1:8000"


async def compose(stranger: Stranger, block: Block, argument: str) -> None:
    """All but Docker's lines are typed; what they write into `.env` is handed on by compose.yaml."""
    lines = block.text.splitlines()
    for line in lines:
        if not line.startswith("docker compose "):
            await to_thread.run_sync(stranger.run, line)
    assert any(line.startswith("docker compose up") for line in lines)
    written = re.findall(r"(?m)^([A-Z_]+)=(.+)$", (stranger.folder / ".env").read_text())
    handed_on = yaml.safe_load((stranger.folder / "compose.yaml").read_text())["services"]["gapless"]["environment"]
    assert written and all(name in handed_on and len(value) >= 32 for name, value in written)


async def nginx(stranger: Stranger, block: Block, argument: str) -> None:
    """A proxy: through it a stream begins at once, and a message follows."""
    service = await stranger.service(GAPLESS_PUBLIC="true", GAPLESS_PROXIES="1")
    assert PORT in block.text
    with started(block.text.replace(PORT, service.url)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http, _stream(http) as stream:
            lines = stream.aiter_lines()
            await _comes(lines, "event: hello")
            (await http.post("/channels/general/messages", json={"data": "through"})).raise_for_status()
            await _comes(lines, '"data":"through"')


def _stream(http: httpx.AsyncClient) -> AbstractAsyncContextManager[httpx.Response]:
    return http.stream("GET", "/channels/general/stream")


async def _comes(lines: AsyncIterator[str], words: str) -> None:
    async for line in lines:
        if words in line:
            return
    raise AssertionError(f"the stream ended before {words}")
