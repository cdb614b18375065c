"""From an HTTP request to commands: body, path and batch forms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from tests.testkit.upstash import replies
from tests.testkit.upstash.replies import ErrorReply

if TYPE_CHECKING:
    from starlette.requests import Request

Argv = tuple[bytes, ...]
Shape = Literal["single", "pipeline", "multi-exec"]


class BadRequest(Exception):
    """The request is no command; `error` is what to answer with status 400."""

    def __init__(self, error: ErrorReply) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Asked:
    """What one HTTP request asks for: `commands` in order, in one of three shapes."""

    path: str
    shape: Shape
    commands: tuple[Argv, ...]
    base64: bool = False
    sync_token: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The commands' names in upper case."""
        return tuple(command_name(argv) for argv in self.commands)


def command_name(argv: Argv) -> str:
    """The first word in upper case."""
    return argv[0].decode(errors="replace").upper()


def parse(request: Request, body: bytes) -> Asked:
    """Read any form but a subscription. BadRequest where it is none."""
    path = raw_path(request)
    if request.headers.get("upstash-response-format", "json") != "json":
        raise BadRequest(replies.RESP2_FORMAT)
    return Asked(
        path=path,
        shape=_shape(path),
        commands=_commands(path, request.url.query, body),
        base64=request.headers.get("upstash-encoding") == "base64",
        sync_token=request.headers.get("upstash-sync-token", ""),
    )


def raw_path(request: Request) -> str:
    """The path as sent, still percent-encoded."""
    return bytes(request.scope["raw_path"]).decode("ascii").partition("?")[0]


def token_of(request: Request) -> str:
    """Upstash REST docs, "Security and Authentication": a bearer header or the parameter `_token`."""
    if token := request.query_params.get("_token"):
        return token
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def segments(path: str) -> list[bytes]:
    """`/set/a%2Fb/1` → `[b"set", b"a/b", b"1"]`."""
    return [unquote_to_bytes(part) for part in path.removeprefix("/").split("/")]


def _shape(path: str) -> Shape:
    if path == "/pipeline":
        return "pipeline"
    return "multi-exec" if path == "/multi-exec" else "single"


def _commands(path: str, query: str, body: bytes) -> tuple[Argv, ...]:
    if path in ("/pipeline", "/multi-exec"):
        return _batch(body)
    if path == "/":
        return (_argv(_array(body, replies.NOT_A_COMMAND)),)
    return (_path_command(path, query, body),)


def _path_command(path: str, query: str, body: bytes) -> Argv:
    # Upstash REST docs, "JSON or Binary Value": "the request body is appended as the last parameter";
    # what follows it in the command is given as query parameters.
    argv = segments(path)
    if body:
        argv.append(body)
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if name != "_token":
            argv += [unquote_to_bytes(name), unquote_to_bytes(value)] if equals else [unquote_to_bytes(name)]
    return tuple(argv)


def _batch(body: bytes) -> tuple[Argv, ...]:
    # Upstash REST docs, "Pipelining": "a two dimensional JSON array in the request body".
    rows = _array(body, replies.NOT_A_PIPELINE)
    if not rows:
        raise BadRequest(replies.EMPTY_PIPELINE)
    if not all(isinstance(row, list) for row in rows):
        raise BadRequest(replies.NOT_A_PIPELINE)
    return tuple(_argv(row) for row in rows)


def _array(body: bytes, otherwise: ErrorReply) -> list[Any]:
    try:
        # Numbers stay as they were written: 1.50 is the argument 1.50.
        value = json.loads(body, parse_int=str, parse_float=str)
    except ValueError:
        raise BadRequest(otherwise) from None
    if not isinstance(value, list):
        raise BadRequest(otherwise)
    return value


def _argv(row: list[Any]) -> Argv:
    if not row:
        raise BadRequest(replies.EMPTY_COMMAND)
    return tuple(_argument(value) for value in row)


def _argument(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if isinstance(value, bool):
        return b"true" if value else b"false"
    raise BadRequest(replies.NULL_ARGUMENT if value is None else replies.NESTED_ARGUMENT)
