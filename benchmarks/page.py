"""The first page with ten thousand messages: what scrolling, typing and a busy room cost its main thread, and how soon
it has what was written while its plug was pulled."""

from __future__ import annotations

import asyncio
import json

import httpx
from playwright.async_api import Page

from benchmarks.server import serving, valkey
from tests.testkit.browser import chromium

MESSAGES, STEPS, KEYS, RATE = 10_000, 40, 200, 20
DARK, MISSED = 5, 20  # seconds without a network, and messages meanwhile
# `tasks`: milliseconds of each task of more than 50; `frames`: from a key to the frame after it.
_WATCH = """
window.tasks = [];
window.frames = [];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)))
  .observe({ type: "longtask" });
addEventListener("keydown", () => {
  const began = performance.now();
  requestAnimationFrame(() => setTimeout(() => frames.push(performance.now() - began)));
}, true);
"""
_SCROLL = """async (steps) => {
  for (let n = 0; n < steps; n++) {
    messages.scrollTop = Math.max(300, messages.scrollTop - 1500);
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  }
}"""
_PLUG_IN = """async (last) => {
  const began = performance.now();
  document.getElementById("cut").click();
  while (!messages.textContent.includes(last)) await new Promise((resolve) => requestAnimationFrame(resolve));
  return performance.now() - began;
}"""


def main() -> None:
    """Print the tasks of more than 50 ms while the page opens, is scrolled, and while somebody types in a busy room."""
    kinds = json.dumps({"": {"cap": MESSAGES * 2, "signals": True, "receipts": True, "presence": True}})
    env = {"GAPLESS_NAMESPACES": kinds, "GAPLESS_RATE": "0"}
    with valkey() as url, serving("gapless.asgi:app", {"REDIS_URL": url, **env}) as server:
        asyncio.run(measure(server.url))


async def measure(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as http, chromium() as browser:
        await publish(http, [f"Message number {n} of ten thousand" for n in range(MESSAGES)])
        page = await browser.new_page()
        await page.add_init_script(_WATCH)
        print(f"{'':28}{'tasks > 50 ms':>14}{'longest, ms':>12}{'of CPU':>8}")
        await browser.start_tracing(page=page, categories=["toplevel"])
        await page.goto(f"{server}/?channel=bench")
        await page.get_by_text(f"number {MESSAGES - 1} ").wait_for()
        await tell(page, "opened", longest(await browser.stop_tracing()))
        await browser.start_tracing(page=page, categories=["toplevel"])
        await page.evaluate(_SCROLL, STEPS)
        await tell(page, f"{STEPS} steps into the past", longest(await browser.stop_tracing()))
        writing = asyncio.create_task(write(http))
        await page.get_by_label("Message", exact=True).press_sequentially("a word " * (KEYS // 7), delay=20)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await tell(page, f"{KEYS} keys, {RATE} messages a second")
        frames = sorted(await page.evaluate("frames"))
        print(f"from a key to its frame: p50 {frames[len(frames) // 2]:.1f} ms, longest {frames[-1]:.1f} ms")
        late = await plug(page, http)
        print(f"from plugging in to the last of {MISSED} messages: {late:.0f} ms, after {DARK} s in the dark")


async def plug(page: Page, http: httpx.AsyncClient) -> float:
    """Milliseconds from plugging in until all that was missed is there."""
    await page.locator("#newest").click()
    await page.get_by_role("button", name="Pull the plug").click()
    await page.get_by_label("Cut my network").check()
    await publish(http, [f"missed {n + 1} of {MISSED}" for n in range(MISSED)])
    await asyncio.sleep(DARK)
    late: float = await page.evaluate(_PLUG_IN, f"missed {MISSED} of {MISSED}")
    return late


async def publish(http: httpx.AsyncClient, texts: list[str]) -> None:
    for start in range(0, len(texts), 100):
        body = [{"data": {"text": one}, "user": "bob"} for one in texts[start : start + 100]]
        (await http.post("/channels/bench/messages", json=body)).raise_for_status()


async def write(http: httpx.AsyncClient) -> None:
    """Others, until it is cancelled."""
    for n in range(100_000):
        await publish(http, [f"news {n}"])
        await asyncio.sleep(1 / RATE)


async def tell(page: Page, what: str, cpu: float | None = None) -> None:
    """What took long since the last time. `cpu`: of the longest task, however busy the machine is."""
    tasks = [one for one in await page.evaluate("tasks.splice(0)") if one > 50]
    print(f"{what:28}{len(tasks):14}{max(tasks, default=0):12.0f}{'' if cpu is None else f'{cpu:8.0f}'}")


def longest(trace: bytes) -> float:
    """Milliseconds of CPU of the longest task of a page's main thread."""
    events = json.loads(trace)["traceEvents"]
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    own = (one for one in events if names.get((one["pid"], one["tid"])) == "CrRendererMain")
    return max((one["tdur"] / 1000 for one in own if "tdur" in one), default=0.0)
