"""The browser client's files: small on the wire, for every origin, and under a name that never changes."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from gapless import Settings, create_app
from gapless.api.page_files import WEB
from gapless.api.static_files import without_comments
from gapless.platforms.policy import LAMBDA, LAMBDA_ADAPTER_BUFFERED, Policy
from gapless.runtime.version import __version__

MODULES = sorted(path.name for path in (WEB / "client").glob("*.js"))
MOST = 26.9 * 1024
"""Bytes of all modules together, compressed one by one as they are served."""


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as http:
        yield http


@pytest.mark.parametrize("policy", [LAMBDA, LAMBDA_ADAPTER_BUFFERED], ids=["lambda", "adapter"])
async def test_where_bodies_are_handed_over_as_text_they_are_text(policy: Policy) -> None:
    """An AWS REST API without `binaryMediaTypes` would hand on base64, which says of itself that it is gzip."""
    transport = httpx.ASGITransport(create_app(Settings(), policy))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False) as http:
        reply = await http.get("/static/page.js", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in reply.headers
    assert reply.content == (WEB / "page.js").read_bytes()


@pytest.mark.parametrize("folder", ["", f"{__version__}/"])
async def test_every_module_is_served_small_and_to_every_origin(http: httpx.AsyncClient, folder: str) -> None:
    total = 0
    for name in MODULES:
        reply = await http.get(f"/static/{folder}{name}", headers={"Accept-Encoding": "br, gzip"})
        assert (reply.status_code, reply.headers["content-encoding"]) == (200, "gzip")
        assert reply.content == without_comments((WEB / "client" / name).read_bytes())
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["content-type"].startswith("text/javascript")
        assert "accept-encoding" in reply.headers["vary"].lower()
        assert ("immutable" in reply.headers["cache-control"]) == bool(folder)
        total += int(reply.headers["content-length"])
    assert MODULES and total <= MOST


async def test_a_file_that_is_known_is_not_sent_again(http: httpx.AsyncClient) -> None:
    for encoding in ("gzip", "identity"):
        first = await http.get("/static/gapless.js", headers={"Accept-Encoding": encoding})
        known = {"Accept-Encoding": encoding, "If-None-Match": first.headers["etag"]}
        again = await http.get("/static/gapless.js", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["access-control-allow-origin"] == "*"


async def test_plain_bytes_for_who_takes_no_gzip_or_a_part(http: httpx.AsyncClient) -> None:
    for headers in ({"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip", "Range": "bytes=0-9"}):
        reply = await http.get("/static/gapless.js", headers=headers)
        assert "content-encoding" not in reply.headers
        assert (WEB / "client" / "gapless.js").read_bytes().startswith(reply.content)


async def test_a_head_says_what_a_get_would(http: httpx.AsyncClient) -> None:
    headers = {"Accept-Encoding": "gzip"}
    said = [(await http.request(method, "/static/gapless.js", headers=headers)).headers for method in ("HEAD", "GET")]
    for one in said:
        del one["x-request-id"], one["server-timing"]  # each request's own
    assert said[0] == said[1]
    packed = gzip.compress(without_comments((WEB / "client" / "gapless.js").read_bytes()), 9, mtime=0)
    assert said[0]["content-length"] == str(len(packed))


@pytest.mark.parametrize("path", ["0.0.9/gapless.js", f"{__version__}/", f"{__version__}/nowhere.js"])
async def test_another_version_is_not_here(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(f"/static/{path}")
    assert reply.status_code == 404
    assert "immutable" not in reply.headers["cache-control"]


def test_comments_go_and_the_lines_of_the_code_keep_their_numbers() -> None:
    code = b'/** What\n * it is.\n */\nlet a = "/** no */"; // goes\n  // goes\n  /** goes */\nb(1, // goes\n 2);\n'
    assert without_comments(code) == b'\n\n\nlet a = "/** no */";\n\n\nb(1,\n 2);\n'


@pytest.mark.parametrize(
    "line",
    [b'a("; // text");', b"a('; // text');", b"a(`; // text`);", b"a = b // c", b'let a = "http://b";', b"a; // it's"],
)
def test_what_might_be_a_text_stays(line: bytes) -> None:
    assert without_comments(line) == line
