"""One tree of errors. Pure.

    GaplessError
    ├── StartupRefused         the service must not start; the message says what to do
    ├── Refused                the request can't be served as it stands; becomes one problem reply
    │   ├── BadRequest 400 · Unauthorized 401 · Forbidden 403 · NotFound 404 · TimedOut 408 · Conflict 409
    │   └── TooLarge 413 · UnsupportedMedia 415 · Unprocessable 422 · TooMany 429 (Busy) ·
    │       CannotSignal 501
    └── StoreUnavailable 503   Redis did not answer, or answered that it can't now
        ├── StoreMisconfigured the store refuses us as we are set up; replies say what to change
        ├── CorruptLog         what lies under our keys is none of ours
        └── KeysUnavailable    the keys that verify tokens can't be fetched

`api/problems.py` is the one place that turns them into replies before headers are out; after that,
`delivery/streaming.py` turns them into an `end` event.
"""

from __future__ import annotations


class GaplessError(Exception):
    """The base of all errors that the service raises on purpose."""


class StartupRefused(GaplessError):
    """The service must not start as it is configured. The message is shown as it stands and says what to do."""


class Refused(GaplessError):
    """The request can't be served as it stands. `detail` says what to change; `extra` adds members to the problem."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class BadRequest(Refused):
    """The bytes can't be read: not JSON, not UTF-8."""


class Unauthorized(Refused):
    """No token, or one that can't be honoured."""

    status = 401
    title = "Unauthorized"


class Forbidden(Refused):
    """The caller may not do this."""

    status = 403
    title = "Forbidden"


class NotFound(Refused):
    """There is no such thing."""

    status = 404
    title = "Not found"


class TimedOut(Refused):
    """The body did not arrive in time."""

    status = 408
    title = "Request timeout"


class Conflict(Refused):
    """The same idempotency key was used for something else."""

    status = 409
    title = "Conflict"


class TooLarge(Refused):
    """The body is over GAPLESS_MAX_BODY."""

    status = 413
    title = "Content too large"


class UnsupportedMedia(Refused):
    """The body is not declared as JSON."""

    status = 415
    title = "Unsupported media type"


class Unprocessable(Refused):
    """The request can be read, but says something that can't be done."""

    status = 422
    title = "Unprocessable content"


class CannotSignal(Refused):
    """The store refuses subscriptions now: what is polled from the log tells of nothing that is not stored."""

    status = 501
    title = "Not implemented"


class TooMany(Refused):
    """Over the rate; `retry_after` in seconds."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after: float, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after


class Busy(TooMany):
    """This process has no room for another reader. A stream says so in an `end` event, not by a status."""

    title = "Busy"


class StoreUnavailable(GaplessError):
    """The store did not answer or can't serve now. `outcome_unknown`: a write may or may not have happened."""

    def __init__(self, detail: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.outcome_unknown = outcome_unknown


class StoreMisconfigured(StoreUnavailable):
    """The store refuses us as we are set up. `detail` says what to change, holds no secret, and is shown in replies."""


class CorruptLog(StoreUnavailable):
    """Something else wrote under our keys."""


class KeysUnavailable(StoreUnavailable):
    """The published keys can't be fetched, so no token can be verified. Nothing was written."""
