"""Firefox and WebKitGTK as Debian packages them: tabs that are opened, and scripts that run in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest

from tests.testkit.alarm import until
from tests.testkit.port import free_port
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVER = Path(__file__).parent / "driver"


class Browser(Protocol):
    """All tabs are of one profile. `script` is an expression, whose promise is waited for; its value is JSON-able."""

    def open(self, tab: str, url: str) -> None: ...

    def evaluate(self, tab: str, script: str) -> Any: ...


@contextmanager
def firefox() -> Iterator[Browser]:
    """Over WebDriver BiDi, which puppeteer-core speaks."""
    binary = _needed("firefox-esr", "apt-get install firefox-esr")
    if not (_DRIVER / "node_modules").is_dir():
        pytest.skip("npm packages: run npm install in tests/others/driver")
    argv = [_needed("node", "Node.js"), str(_DRIVER / "firefox.mjs"), binary]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield _Firefox(process)


class _Firefox:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answer()

    def open(self, tab: str, url: str) -> None:
        self._ask(tab=tab, url=url)

    def evaluate(self, tab: str, script: str) -> Any:
        return self._ask(tab=tab, script=script)

    def _ask(self, **what: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


@contextmanager
def webkit() -> Iterator[Browser]:
    """WebKitGTK's MiniBrowser over WebDriver, on a display of its own."""
    driver, display = _needed("WebKitWebDriver", "apt-get install webkit2gtk-driver"), _needed("Xvfb", "xvfb")
    port = free_port()
    screen = Process("Xvfb", [display, "-displayfd", "1", "-nolisten", "tcp"])
    env = {**os.environ, "DISPLAY": f":{screen.wait_for_line('^[0-9]+$')[0]}"}
    process = Process("WebKitWebDriver", [driver, f"--port={port}"], env=env)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _up(url), "WebKitWebDriver", alarm=60)
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            yield _WebKit(http)
    finally:
        process.kill()
        screen.terminate()


def _up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/status", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class _WebKit:
    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._session = ""
        self._session = f"/session/{self._ask('/session', capabilities={})['sessionId']}"
        self._windows: dict[str, str] = {}

    def open(self, tab: str, url: str) -> None:
        self._windows[tab] = self._ask("/window/new", type="tab")["handle"]
        self._ask("/window", handle=self._windows[tab])
        self._ask("/url", url=url)

    def evaluate(self, tab: str, script: str) -> Any:
        self._ask("/window", handle=self._windows[tab])
        then = "Promise.resolve(%s).then((value) => done([value ?? null]), (error) => done(String(error)))"
        value = self._ask("/execute/async", script=f"const done = arguments[0]; {then % f'({script})'};", args=[])
        if isinstance(value, str):
            raise RuntimeError(value)
        return value[0]

    def _ask(self, path: str, **body: Any) -> Any:
        answer = self._http.post(self._session + path, json=body).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{answer['error']}: {answer.get('message')}")
        return answer


def _needed(command: str, how: str) -> str:
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command}: {how}")
    return found
