"""Pages and components: shown by Chromium, from an origin that is not the service's."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
from anyio import to_thread
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from tests.docs.blocks import Block
from tests.docs.bundled import bundled
from tests.testkit.alarm import auntil
from tests.testkit.browser import chromium
from tests.testkit.forge import SECRET
from tests.testkit.lambda_runtime.loopback import listening
from tests.testkit.tab import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from tests.docs.stranger import Stranger

_SHORT = {"GAPLESS_LIFETIME": "1", "GAPLESS_RETRY_MS": "50", "GAPLESS_ORIGINS": "*"}
"""Streams that end while the page is looked at: it must go on by itself."""
_ROWS = "() => [...document.querySelectorAll('li')].map((row) => row.textContent)"
_MOUNT = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./chat.tsx";
const root = createRoot(document.body.appendChild(document.createElement("main")));
root.render(<StrictMode><Chat channel="general" /></StrictMode>);
"""
_DRAW = """
import { gapless } from "gapless-client";
import { useMessages } from "./messages.js";
const room = gapless(process.env.NEXT_PUBLIC_GAPLESS_URL, { user: "ann" }).channel("general");
const list = document.body.appendChild(document.createElement("ul"));
const row = ({ data }) => Object.assign(document.createElement("li"), { textContent: data.text });
const draw = (messages) => list.replaceChildren(...messages.map(row));
"""
_MOUNTS = {
    "vue": """
import { effectScope, watch } from "vue";
effectScope().run(() => watch(useMessages(room), draw, { immediate: true }));
""",
    "svelte": "useMessages(room).subscribe(draw);",
}


def _own(block: Block) -> dict[str, str]:
    """Logs of this block alone: a service that has served the one before still knows its messages."""
    return {"GAPLESS_PREFIX": f"line{block.line}"}


async def page(stranger: Stranger, block: Block, argument: str) -> None:
    """A page that lists messages: those from before, and each that comes, over the ends of streams."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block))
    html = block.text.replace("http://localhost:8000", service.url)
    assert html != block.text
    async with _shown(html) as tab:
        await _lists_all(tab, service.url, lambda row: json.loads(row)["text"])


async def component(stranger: Stranger, block: Block, argument: str) -> None:
    """A React component that lists the messages of a channel."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block))
    files = {"chat.tsx": block.text, "mount.tsx": _MOUNT}
    script = await to_thread.run_sync(bundled, stranger.folder, files, "mount.tsx", service.url)
    async with _shown(f"<!doctype html><body><script>{script}</script>") as tab:
        complaints: list[str] = []  # React's; the browser's own are of requests
        tab.on("console", lambda line: complaints.append(line.text) if "React" in line.text else None)
        await _lists_all(tab, service.url, str)
        assert not any("Download the React DevTools" not in text for text in complaints), complaints


async def composable(stranger: Stranger, block: Block, argument: str) -> None:
    """A function of another framework that gives a channel's messages, in a page that shows them."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block))
    files = {"messages.js": block.text, "mount.js": _DRAW + _MOUNTS[argument]}
    script = await to_thread.run_sync(bundled, stranger.folder, files, "mount.js", service.url)
    async with _shown(f"<!doctype html><body><script>{script}</script>") as tab:
        await _lists_all(tab, service.url, str)


async def module(stranger: Stranger, block: Block, argument: str) -> None:
    """A script of the client's that sends `hi` and shows each row with its state."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block))
    async with _shown(_module(block, service.url)) as tab:
        await tab.get_by_text("hi: sent").wait_for()


async def token_page(stranger: Stranger, block: Block, argument: str) -> None:
    """A script of the client's that has tokens, says when it is live, and writes each message to the console."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block), GAPLESS_JWT_SECRET=SECRET)
    async with _shown(_module(block, service.url)) as tab:

        async def written() -> list[Any]:
            return [json.loads(text) for text in await tab.evaluate("() => window.__written")]

        async def news() -> list[str]:
            return [one["text"] for one in await written() if one != "live"]

        async def live() -> bool:  # each stream begins with it
            return (await written())[:1] == ["live"]

        await auntil(live, "the page is live", alarm=60)
        await _comes_whole(service.url, news)


def _module(block: Block, url: str) -> str:
    code = block.text.replace("http://localhost:8000", url)
    assert code != block.text
    return f'<!doctype html><body><script type="module">{code}</script>'


async def ticket_page(stranger: Stranger, block: Block, argument: str) -> None:
    """A script that reads with tickets, and writes each message to the console."""
    stranger.store.flush()
    service = await stranger.service(**_SHORT, **_own(block), GAPLESS_JWT_SECRET=SECRET)
    code = block.text.replace("https://messages.example.com", service.url)
    assert code != block.text
    async with _shown(f'<!doctype html><script type="module">{code}</script>') as tab:
        rows: list[str] = []

        async def written() -> list[str]:
            rows[:] = [json.loads(text)["data"]["text"] for text in await tab.evaluate("() => window.__written")]
            return rows

        await auntil(lambda: tab.evaluate("() => window.__opened"), "the page reads", alarm=60)
        await _comes_whole(service.url, written)


async def _lists_all(tab: Page, url: str, text_of: Any) -> None:
    async def listed() -> list[str]:
        return [text_of(row) for row in await tab.evaluate(_ROWS)]

    await _comes_whole(url, listed)


async def _comes_whole(url: str, seen: Any) -> None:
    """Messages that are posted one after the other, each once the one before is seen; streams end meanwhile."""
    bearer = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(base_url=url, trust_env=False, headers=bearer, timeout=30) as http:
        for count in range(4):
            body = {"data": {"text": f"number {count}"}}
            (await http.post("/channels/general/messages", json=body)).raise_for_status()
            wanted = [f"number {number}" for number in range(count + 1)]
            await auntil(lambda: _is(seen, wanted), f"{wanted} on the page", alarm=60, look=0.05)  # noqa: B023
            await _a_stream_ends(http)


async def _is(seen: Any, wanted: list[str]) -> bool:
    return bool(await seen() == wanted)


async def _a_stream_ends(http: httpx.AsyncClient) -> None:
    """One that begins now, read to its end: those that began before have ended, too."""
    assert "event: end" in (await http.get("/channels/general/stream")).text


@asynccontextmanager
async def _shown(html: str) -> AsyncIterator[Page]:
    """The page in a tab, from an origin of its own that also makes tokens for who is signed in."""

    async def index(_: Any) -> HTMLResponse:
        return HTMLResponse(html)

    async def made(_: Any) -> JSONResponse:
        return JSONResponse({"token": token()})

    site = Starlette(routes=[Route("/", index), Route("/api/gapless-token", made)])
    async with listening(site) as (port,), chromium() as browser:
        tab = await browser.new_page()
        await tab.add_init_script(_WATCH)
        await tab.goto(f"http://localhost:{port}/")
        yield tab


# What a console would show, and whether a stream was ever open.
_WATCH = """
window.__written = [];
window.__opened = false;
const log = console.log;
console.log = (value) => { window.__written.push(JSON.stringify(value)); log(value); };
const Known = window.EventSource;
window.EventSource = class extends Known {
  constructor(...given) {
    super(...given);
    this.addEventListener("hello", () => { window.__opened = true; });
  }
};
"""
