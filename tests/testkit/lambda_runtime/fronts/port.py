"""What a kind of front must be able to do, and what the kinds share. Pure: ids, times and addresses are arguments."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum, auto
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .exchange import Pairs, Reply, Request

MEGABYTE = 1024 * 1024
# Lambda's own limit on the event of a synchronous invocation. Its limit on the answer is 100 bytes more.
EVENT_LIMIT = 6 * MEGABYTE
RESULT_LIMIT = EVENT_LIMIT + 100
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


class Fault(Enum):
    """Everything that makes a front answer by itself."""

    FUNCTION_ERROR = auto()  # the handler raised, the process died, or it would not start
    FUNCTION_TIMEOUT = auto()  # killed at the function's own timeout
    FRONT_TIMEOUT = auto()  # the front would not wait longer; the function runs on and is billed
    THROTTLED = auto()  # every environment that may exist is busy
    REQUEST_TOO_LARGE = auto()
    HEADERS_TOO_LARGE = auto()
    RESULT_TOO_LARGE = auto()
    BAD_RESULT = auto()  # not in the shape this kind of front understands
    NO_ROUTE = auto()  # outside the stage


class BadResultError(Exception):
    """The function's result is not in the shape this kind of front understands."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the front is set up. `stage` None: `$default` where the kind has such a stage, else `prod`.

    `binary_media_types` is the REST API's setting of that name; the other kinds have none.
    `base_path`: the path of a REST API on a domain of one's own, such as `live`; None: at AWS's address.
    `host` None: the name AWS would give, else what the function is to find in the Host header.
    """

    stage: str | None = None
    source_ip: str = "203.0.113.7"
    host: str | None = None
    binary_media_types: tuple[str, ...] = ()
    region: str = "eu-central-1"
    base_path: str | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is new at every request: its id, its trace id, the epoch in milliseconds."""

    request_id: str
    trace_id: str
    epoch_ms: int

    @property
    def clf_time(self) -> str:
        """Such as `12/Mar/2020:19:03:58 +0000`."""
        return strftime("%d/%b/%Y:%H:%M:%S +0000", gmtime(self.epoch_ms / 1000))


class FrontKind(Protocol):
    """One way to put HTTP before a function.

    `front_timeout`: seconds until the front answers by itself, None if it waits as long as the function may run.
    `body_limit`, `event_limit`, `result_limit`: bytes; `header_limit`: bytes of all header names and values.
    `faults`: status, content type and body of each answer of the front's own.
    """

    @property
    def front_timeout(self) -> float | None: ...
    @property
    def body_limit(self) -> int: ...
    @property
    def event_limit(self) -> int: ...
    @property
    def result_limit(self) -> int: ...
    @property
    def header_limit(self) -> int | None: ...
    @property
    def faults(self) -> Mapping[Fault, tuple[int, str, bytes]]: ...

    def prefix(self, setup: Setup) -> str:
        """What stands before the application's own paths in the URL: empty, or `/` and the stage or base path."""
        ...

    def event(self, request: Request, setup: Setup, stamp: Stamp) -> dict[str, Any]:
        """The event for a request, whose path begins with the prefix."""
        ...

    def reply(self, result: bytes, request: Request, setup: Setup, stamp: Stamp) -> Reply:
        """The HTTP reply for the JSON that the function returned. Raises BadResultError."""
        ...


def arriving(request: Request, setup: Setup, stamp: Stamp, host: str) -> Pairs:
    """The client's headers with those that AWS sets, replaces or appends to. Fronts speak HTTPS outside."""
    replaced = {"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
    kept = tuple(pair for pair in request.headers if pair[0] not in replaced)
    claimed = request.header("x-forwarded-for")
    return (
        ("host", setup.host or host),
        *kept,
        ("x-amzn-trace-id", stamp.trace_id),
        # A client's own claim is kept and the true address comes last.
        ("x-forwarded-for", f"{claimed}, {setup.source_ip}" if claimed else setup.source_ip),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    )


def is_text(request: Request) -> bool:
    """Whether a body travels as a string. Everything else, forms and unnamed types too, becomes base64."""
    content_type = request.header("content-type").lower()
    if request.header("content-encoding") or not content_type.startswith(TEXT_TYPES):
        return False
    try:
        request.body.decode()
    except UnicodeDecodeError:
        return False
    return True


def carried(body: bytes, *, as_text: bool) -> tuple[str, bool]:
    """`body` and `isBase64Encoded` of an event."""
    if not body:
        return "", False
    return (body.decode(), False) if as_text else (base64.b64encode(body).decode(), True)


def decoded_query(query: str) -> Pairs:
    """Names and values, percent-decoded."""
    return tuple(parse_qsl(query, keep_blank_values=True))


def json_faults(**messages: tuple[int, str]) -> dict[Fault, tuple[int, str, bytes]]:
    """Faults whose body is `{"message": …}`, by lower-case name."""
    return {
        Fault[name.upper()]: (status, "application/json", b'{"message":"%s"}' % message.encode())
        for name, (status, message) in messages.items()
    }
