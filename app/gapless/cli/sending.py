"""Sends messages to a channel in order, each exactly once, over whatever fails meanwhile.

Each has a `localId`, which the service remembers for ten minutes (docs/protocol.md, 2.3): what is sent again after a
lost reply is not appended again. A part is sent when the one before it was answered, so the order is that of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx

from gapless.cli.backoff import PASSING, asked_for, pause
from gapless.cli.failure import Failed
from gapless.cli.remote import explain, member, refusal, unreachable

PATIENCE = 300.0
"""Seconds for which a part is tried again, unless it is said otherwise."""
MOST_PATIENCE = 540.0
"""At most: a reply that comes within a minute after it must still find the `localId` remembered."""

_APART = frozenset({409, 413, 422})
"""What a batch may be refused for as a whole (it is too large here, or a part of it is known), and not one by one."""


class Sending:
    """`tell` is given a sentence when an outage begins; `clock`, `sleep` and `random` are time and chance."""

    def __init__(
        self,
        http: httpx.Client,
        channel: str,
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        patience: float = PATIENCE,
    ) -> None:
        self._http = http
        self._path = f"/channels/{channel}/messages"
        self._tell = tell
        self._clock, self._sleep, self._random = clock, sleep, random
        self._patience = patience

    def send(self, messages: Sequence[bytes]) -> list[str]:
        """Publish these; their ids. Raises Failed where the service refuses them, or cannot be reached for too long."""
        reply = self._answered(b"[" + b",".join(messages) + b"]")
        if reply.status_code in (200, 201):
            return _ids(reply, len(messages))
        if reply.status_code in _APART and len(messages) > 1:
            half = len(messages) // 2
            return self.send(messages[:half]) + self.send(messages[half:])
        raise refusal(reply)

    def _answered(self, body: bytes) -> httpx.Response:
        """The first reply that is not due to a passing trouble."""
        failures, since = 0, None
        while True:
            wait, why, counts = 0.0, "", True
            try:
                reply = self._http.post(self._path, content=body, headers={"Content-Type": "application/json"})
            except httpx.TransportError as error:
                why = unreachable(error)
            else:
                if reply.status_code not in PASSING:
                    return reply
                wait = asked_for(member(reply, "retryAfterMs"), reply.headers.get("retry-after"))
                why, counts = explain(reply), reply.status_code != 429 or since is not None
            failures += 1
            if counts:  # being told to slow down is no outage, unless one is under way
                since = self._gone_on(since, why)
            self._sleep(max(wait, pause(failures, self._random())))

    def _gone_on(self, since: float | None, why: str) -> float:
        """When the outage began. Says so at its beginning; raises Failed when it has lasted for too long."""
        now = self._clock()
        if since is None:
            self._tell(f"{why} Trying again for {self._patience:g} s.")
            return now
        if now - since > self._patience:
            raise Failed(f"not answered for {now - since:.0f} s: {why}")
        return since


def _ids(reply: httpx.Response, count: int) -> list[str]:
    try:
        ids = [str(one["id"]) for one in reply.json()]
    except (ValueError, TypeError, LookupError):
        ids = []
    if len(ids) != count:
        raise Failed(f"{reply.request.url} does not answer as a Gapless service does: {explain(reply)}")
    return ids
