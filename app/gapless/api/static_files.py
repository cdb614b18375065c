"""Files of the pages and of the browser client: compressed, for every origin, and under a name that never changes.

`/static/gapless.js` is asked for again each time; `/static/0.1.0/gapless.js` is kept for a year. The version is a part
of the path and no query, so that the modules which the client imports relative to itself have it, too. The pages' own
files have a digest behind it (`page_files.py`).
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gapless.api.page_files import WEB, version
from gapless.runtime.version import __version__

NO_CACHE = {"Cache-Control": "no-cache"}
"""Asked for again each time, and answered 304 unless a newer version brought another."""
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_SWAGGER = ("fastapi_swagger", "resources")
"""The package, and its folder, that holds Swagger UI; never imported. Where it is not installed, /docs is a list."""
_COMMENT = re.compile(rb"^[ \t]*(?:/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*|//[^\n]*)$", re.MULTILINE)
_COMMENT_AFTER_CODE = re.compile(rb"(?<=[;,{(\[])[ \t]+// [^\"'`\n]*$", re.MULTILINE)
"""With a quote in it, it might be the rest of a text, and stays."""
_VERSION = re.compile(rf"({re.escape(__version__)}(?:-[0-9a-f]{{8}})?)/")
_TEXTS = {".js", ".css", ".html", ".svg", ".ts", ".json"}


class WebFiles(StaticFiles):
    """The files of `web/`, those of `web/client/` without the folder's name, and Swagger UI's.

    `compress` False: something before us takes bodies for text. An AWS REST API without `binaryMediaTypes` hands
    anything else on as base64.
    """

    def __init__(self, *, compress: bool = True) -> None:
        self._compress = compress
        super().__init__(directory=WEB, packages=[_SWAGGER] if find_spec(_SWAGGER[0]) else None)
        self.all_directories = [*self.all_directories, WEB / "client"]

    async def get_response(self, path: str, scope: Scope) -> Response:
        """As Starlette's; below this version's name, the reply may be kept.

        Another digest is that of a page which was loaded before a file was changed, or from another instance while a
        newer one is brought out: it gets what there is, and keeps nothing.
        """
        named = _VERSION.match(path)
        response = await super().get_response(path[named.end() :] if named else path, scope)
        if named and response.status_code in (200, 304) and (named[1] == __version__ or named[1] == version()):
            response.headers.update(_FOR_EVER)
        return response

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        """The file, compressed where the client takes that, or 304. Pages of every origin may import it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update({**NO_CACHE, "Access-Control-Allow-Origin": "*"})
        if not self._compress or Path(full_path).suffix not in _TEXTS or not Path(full_path).is_relative_to(WEB):
            return response
        response.headers.add_vary_header("Accept-Encoding")
        if not isinstance(response, FileResponse) or not _takes_gzip(scope):
            return response
        return _compressed(response, full_path, stat_result.st_mtime_ns, head=scope["method"] == "HEAD")


def _takes_gzip(scope: Scope) -> bool:
    encodings = Headers(scope=scope).get("accept-encoding", "").replace(" ", "").lower().split(",")
    return "gzip" in encodings and "range" not in Headers(scope=scope)


def _compressed(response: FileResponse, path: Any, changed: int, *, head: bool) -> Response:
    """The same reply with other bytes. A weak ETag is the same for both, and matches as Starlette compares."""
    content = _gzip(str(path), changed)
    kept = {name: value for name, value in response.headers.items() if name not in ("content-length", "accept-ranges")}
    headers = {**kept, "etag": f"W/{kept['etag']}", "content-encoding": "gzip", "content-length": str(len(content))}
    return Response(b"" if head else content, headers=headers)


@lru_cache(maxsize=128)
def _gzip(path: str, changed: int) -> bytes:
    """Once for each file, and again when it was changed."""
    content = Path(path).read_bytes()
    return gzip.compress(without_comments(content) if path.endswith(".js") else content, 9, mtime=0)


def without_comments(code: bytes) -> bytes:
    """JavaScript without its comments, a third of what travels. Lines keep their numbers."""
    code = _COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), code)
    return _COMMENT_AFTER_CODE.sub(b"", code)
