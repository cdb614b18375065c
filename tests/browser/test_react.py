"""React as while one develops: StrictMode, two components of one channel, modules that are replaced while they run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Route

from gapless.runtime.version import __version__
from tests.browser.room import room
from tests.testkit.need import need
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=4)

CLIENT_TESTS = Path(__file__).parents[1] / "client"
REACT = """
export { StrictMode, createElement, useCallback, useSyncExternalStore } from "react";
export { createRoot } from "react-dom/client";
"""
PREPARE = """() => {
  const names = JSON.stringify({ imports: { react: "/react.js" } });
  document.head.append(Object.assign(document.createElement("script"), { type: "importmap", text: names }));
  document.body.append(Object.assign(document.createElement("div"), { id: "app" }));
}"""
# As a development server gives it: each time under another address, and with it what it imports.
COMPONENT = """
import { createElement } from "react";
import { gapless } from "SERVICE/static/FOLDERgapless.js";
import { useChannel } from "SERVICE/static/FOLDERgapless-react.js";
const room = gapless("SERVICE", { user: "ann" }).channel("react");
export function Rows({ id }) {
  const { messages, state } = useChannel(room);
  return createElement("p", { id }, [NUMBER, state, ...messages.map(({ data }) => data)].join(" "));
}
"""
SHOW = """async (number) => {
  const { StrictMode, createElement, createRoot } = await import("/react.js");
  const { Rows } = await import(`/component.js?t=${number}`);
  window.root ??= createRoot(document.getElementById("app"));
  root.render(createElement(StrictMode, null, ...["one", "two"].map((id) => createElement(Rows, { id, key: id }))));
}"""


@pytest.fixture(scope="module")
def react() -> str:
    """React for development, as one module."""
    esbuild = CLIENT_TESTS / "node_modules" / ".bin" / "esbuild"
    need(esbuild.exists(), "npm packages: run npm install in tests/client")
    argv = [esbuild, "--bundle", "--format=esm", '--define:process.env.NODE_ENV="development"']
    return subprocess.run(argv, cwd=CLIENT_TESTS, input=REACT, capture_output=True, check=True, text=True).stdout


async def test_modules_that_are_replaced_while_they_run_keep_one_stream(
    context: BrowserContext, origin: str, service: Service, react: str
) -> None:
    asked: list[str] = []
    said: list[str] = []
    page = await context.new_page()
    page.on("request", lambda request: asked.append(request.url) if "/stream?" in request.url else None)
    page.on("console", lambda line: said.append(line.text) if line.type in ("warning", "error") else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    async def component(route: Route) -> None:
        number = route.request.url.rpartition("=")[2]
        folder = ["", f"{__version__}/"][int(number) % 2]
        code = COMPONENT.replace("SERVICE", service.url).replace("FOLDER", folder).replace("NUMBER", number)
        await route.fulfill(content_type="text/javascript", body=code)

    await page.route("**/react.js", lambda route: route.fulfill(content_type="text/javascript", body=react))
    await page.route("**/component.js?*", component)
    await page.goto(f"{origin}/")
    await page.evaluate(PREPARE)
    bob = await room(context, origin, service.url, "react", user="bob")
    for number in range(3):
        await page.evaluate(SHOW, number)
        await bob.send(f"message{number}")
        rows = [f"message{n}" for n in range(number + 1)]
        for name in ("one", "two"):
            await page.locator(f"#{name}", has_text=" ".join([str(number), "live", *rows])).wait_for()
    assert (len(asked), said) == (1, [])
