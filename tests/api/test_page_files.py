"""The pages name all of their files, by paths that change with any of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gapless import Settings, create_app
from gapless.api import page_files
from gapless.api.page_files import WEB, modules, version

PAGES = {"/": "chat/chat.js", "/run": "run/run.js"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as http:
        yield http


@pytest.mark.parametrize("path", PAGES)
async def test_each_file_of_a_page_is_there_and_kept(http: httpx.AsyncClient, path: str) -> None:
    page = (await http.get(path)).text
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    assert {f"static/{version()}/{name}" for name in ["page.js", "page.css", *modules(PAGES[path])]} < set(named)
    for name in named:
        reply = await http.get(f"/{name}")
        assert (reply.status_code, "immutable" in reply.headers["cache-control"]) == (200, True), name


async def test_a_page_from_before_a_change_gets_what_there_is_and_keeps_nothing(http: httpx.AsyncClient) -> None:
    reply = await http.get(f"/static/{version()[:-8]}01234567/page.js")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-cache")


def test_all_modules_of_a_page_are_found() -> None:
    """Those of its folder and of the client, but for what only others import."""
    found = set(modules("chat/chat.js"))
    assert {f"chat/{path.name}" for path in (WEB / "chat").glob("*.js")} < found
    client = {path.name for path in (WEB / "client").glob("*.js")} - {"gapless-react.js"}
    assert client == {name for name in found if "/" not in name}


def test_the_version_changes_with_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = version()
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy)
    monkeypatch.setattr(page_files, "WEB", copy)
    assert version() == before, "it is of what the files say, and not of where and when"
    row = copy / "client" / "row.js"
    row.write_text(row.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert version() != before
