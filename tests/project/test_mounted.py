"""Gapless mounted in another FastAPI app, beside a package of the user that is called `app`, too."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import gapless
from tests.testkit.alarm import until
from tests.testkit.port import free_port
from tests.testkit.process import Process

pytestmark = pytest.mark.real(seconds=5)

THEIRS = """
from fastapi import FastAPI

import gapless

app = FastAPI()
app.mount("/live", gapless.create_app(gapless.Settings()))


@app.get("/")
def mine() -> str:
    return "mine"
"""
ASKED = """
import asyncio, json

import httpx

import app.main


async def ask():
    transport = httpx.ASGITransport(app.main.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        sent = await http.post("/live/channels/a/messages", json={"data": "hi"})
        put = await http.put("/live/channels/a/messages")
        api = (await http.get("/live/openapi.json")).json()
        return {
            "mine": (await http.get("/")).json(),
            "page": (await http.get("/live/")).status_code,
            "script": (await http.get("/live/static/page.js")).status_code,
            "sent": sent.status_code,
            "put": [put.status_code, put.headers["allow"]],
            "paths": "/channels/{channel}/messages" in api["paths"],
        }


print(json.dumps(asyncio.run(ask())))
"""


CLOSING = """
from contextlib import asynccontextmanager

from fastapi import FastAPI

import gapless

live = gapless.create_app(gapless.Settings())


@asynccontextmanager
async def lifespan(_):
    async with live.router.lifespan_context(live):
        yield
    print("closed", flush=True)


app = FastAPI(lifespan=lifespan)
app.mount("/live", live)
"""


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with a package `app` that is the user's own."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "main.py").write_text(THEIRS)
    return tmp_path


def test_it_runs_beside_a_package_app_and_leaves_nothing_running(theirs: Path) -> None:
    library = str(Path(gapless.__file__).parent.parent)
    code = f"import sys; sys.path[:0] = [{str(theirs)!r}]; sys.path.append({library!r})\n{ASKED}"
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        cwd=theirs,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        '"mine": "mine", "page": 200, "script": 200, "sent": 201, "put": [405, "GET, POST"], "paths": true'
        in done.stdout
    )
    assert "Warning" not in done.stderr
    assert not runs(theirs / ".gapless")


@pytest.mark.parametrize("main", [THEIRS, CLOSING], ids=["at exit", "by lifespan"])
def test_under_a_server_it_ends_with_its_host(main: str, theirs: Path) -> None:
    (theirs / "app" / "main.py").write_text(main)
    port = free_port()
    argv = [sys.executable, "-W", "error::ResourceWarning", "-m", "uvicorn", "app.main:app", "--port", str(port)]
    with Process("host", argv, cwd=theirs, env=environment(theirs)) as host:
        host.wait_for_line("Uvicorn running on")
        assert httpx.post(f"http://127.0.0.1:{port}/live/channels/a/messages", json={"data": 1}).status_code == 201
        assert runs(theirs / ".gapless")
        host.terminate()
    assert not re.search(r"Warning|Traceback|never retrieved", host.log), host.log
    assert ("closed" in host.log) == (main is CLOSING)
    until(lambda: not runs(theirs / ".gapless"), "the Valkey's end")  # a process of its own sees to it


def test_the_command_serves_gapless_and_not_their_app(theirs: Path) -> None:
    port = free_port()
    command = Path(sys.executable).with_name("gapless")
    with Process("gapless serve", [str(command), "serve", "--port", str(port)], cwd=theirs) as served:
        served.wait_for_line(f"http://127.0.0.1:{port}")
        assert httpx.post(f"http://127.0.0.1:{port}/channels/a/messages", json={"data": 1}).status_code == 201
        assert "<html" in httpx.get(f"http://127.0.0.1:{port}/").text
        assert served.terminate() in {0, 143}
    assert not re.search(r"Warning|Traceback", served.log), served.log
    assert not runs(theirs / ".gapless")


def environment(theirs: Path) -> dict[str, str]:
    """Where their `app` is found before ours."""
    return {**os.environ, "PYTHONPATH": f"{theirs}{os.pathsep}{Path(gapless.__file__).parent.parent}"}


def runs(folder: Path) -> bool:
    """Whether a Valkey runs on this data folder: it holds the lock as long as it lives."""
    with (folder / "server.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
