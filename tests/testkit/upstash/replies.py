"""What Upstash answers, byte for byte where that is known: texts, shapes, base64.

"Upstash REST docs" below are the pages under upstash.com/docs/redis, as read in November 2026.
Where they are silent the comment says so: nothing in the product may depend on such a text.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse, JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ErrorReply(str):
    """An error as Redis words it, code first: `ERR wrong number of arguments for 'get' command`."""

    __slots__ = ()


Reply = int | bytes | None | ErrorReply | list[Any]
"""One RESP2 reply; a list nests replies."""

# Upstash REST docs, troubleshooting "WRONGPASS invalid or missing auth token"; status: "HTTP Codes", 401.
WRONGPASS: Final = ErrorReply("WRONGPASS invalid or missing auth token")
# The wording of Redis up to 8, which Upstash keeps; Valkey 9 says only "NOSCRIPT No matching script."
NOSCRIPT: Final = ErrorReply("NOSCRIPT No matching script. Please use EVAL.")
# Upstash REST docs, troubleshooting "ERR max requests limit exceeded"; the numbers as in public logs.
RATE_LIMITED: Final = ErrorReply("ERR max requests limit exceeded. Limit: 500000, Usage: 500000")
# The docs name no 5xx; a client must not care what is in one.
INTERNAL: Final = ErrorReply("ERR internal error")
# The text of Redis and Valkey for a flag they do not know: what a database without key locking says.
UNKNOWN_FLAG: Final = ErrorReply("ERR Unexpected flag in script shebang: allow-key-locking")
# Malformed requests: the docs promise a 400 with an error ("HTTP Codes"), not these words.
NOT_A_COMMAND: Final = ErrorReply("ERR failed to parse command")
NOT_A_PIPELINE: Final = ErrorReply("ERR failed to parse pipeline request")
EMPTY_COMMAND: Final = ErrorReply("ERR empty command")
EMPTY_PIPELINE: Final = ErrorReply("ERR empty pipeline request")
NULL_ARGUMENT: Final = ErrorReply("ERR null args are not supported")
NESTED_ARGUMENT: Final = ErrorReply("ERR unsupported arg type")
RESP2_FORMAT: Final = ErrorReply("ERR this emulator answers Upstash-Response-Format: json only")


def not_available(name: str) -> ErrorReply:
    """Upstash REST docs, "REST - Redis API Compatibility": what has no tick there is refused."""
    return ErrorReply(f"ERR Command is not available: '{name}'")


def not_over_rest(name: str) -> ErrorReply:
    """Connection-bound commands; "Connection: only PING and ECHO are supported". Wording from public logs."""
    return ErrorReply(f'ERR Command "{name}" is not allowed in REST or it has a special context path')


def no_permission(name: str) -> ErrorReply:
    """Upstash REST docs, "Security": the read-only token permits read commands only. Redis's ACL wording."""
    return ErrorReply(f"NOPERM this user has no permissions to run the '{name.lower()}' command")


def too_large(limit: int, actual: int) -> ErrorReply:
    """Upstash REST docs, troubleshooting "ERR max request size exceeded"; it covers answers as well."""
    return ErrorReply(f"ERR max request size exceeded. Limit: {limit} bytes, Actual: {actual} bytes")


def envelope(reply: Reply, base64: bool) -> dict[str, Any]:
    """Upstash REST docs, "Response": a single `result`, or a single `error` that is never encoded."""
    if isinstance(reply, ErrorReply):
        return {"error": str(reply)}
    return {"result": _json(reply, base64)}


def single(reply: Reply, base64: bool, headers: Mapping[str, str]) -> Response:
    """Upstash REST docs, "HTTP Codes": 200 where the command ran, 400 where it failed."""
    status = 400 if isinstance(reply, ErrorReply) else 200
    return JSONResponse(envelope(reply, base64), status, headers)


def several(replies: Sequence[Reply], base64: bool, headers: Mapping[str, str]) -> Response:
    """Upstash REST docs, "Pipelining": 200 and one envelope each, in order, errors among them."""
    return JSONResponse([envelope(reply, base64) for reply in replies], 200, headers)


def refusal(error: ErrorReply, status: int = 400) -> Response:
    """One `{"error": …}`: bad requests, wrong tokens, discarded transactions ("Transactions")."""
    return JSONResponse({"error": str(error)}, status)


def bad_gateway() -> Response:
    """What a proxy in front of the database says when it is down: a page, not JSON."""
    return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)


def _json(reply: Reply, base64: bool) -> Any:
    if isinstance(reply, list):
        return [_json(item, base64) for item in reply]
    if isinstance(reply, bytes):
        return _text(reply, base64)
    return reply


def _text(reply: bytes, base64: bool) -> str:
    # Upstash REST docs, "Base64 Encoded Responses": all strings are encoded "except for the OK response";
    # otherwise "an invalid utf-8 character … will be replaced with U+FFFD".
    if base64 and reply != b"OK":
        return b64encode(reply).decode()
    return reply.decode(errors="replace")
