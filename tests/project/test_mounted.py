"""Gapless mounted in another FastAPI app, beside a package of the user that is called `app`, too."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import gapless

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


def test_it_runs_beside_a_package_app_and_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "main.py").write_text(THEIRS)
    library = str(Path(gapless.__file__).parent.parent)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.path.append({library!r})\n{ASKED}"
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        cwd=tmp_path,
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
    listening = [file for file in (tmp_path / ".gapless").rglob("*.sock") if file.is_socket()]
    assert not any(answers(file) for file in listening)


def answers(file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(file)) == 0
