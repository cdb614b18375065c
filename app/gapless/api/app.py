"""The service as an app that can be served, mounted, and published to from the process's own code."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import FastAPI
from pydantic_core import PydanticSerializationError, to_json
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from gapless.api.dependencies import must_be_channels
from gapless.api.middleware import AccessLog
from gapless.api.schemas import drafts_of, read_messages
from gapless.api.wiring import Wiring
from gapless.config.origins import Origins
from gapless.log.errors import TooLarge, Unprocessable
from gapless.runtime.version import __version__

_DESCRIPTION = """Messages that reach browsers live, in order and without loss, from functions that may stop anytime.

Publish with `POST /channels/{channel}/messages`; read with a browser's own `EventSource` from
`GET /channels/{channel}/stream`. A client that keeps reconnecting with the last id it saw receives every message of a
channel exactly once, in order, or is told of the `gap` before the next one."""


UNTRACED: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)
"""FastAPI's own spans would hold whole queries, with the tokens in them."""


class Sent(NamedTuple):
    """A message in the log. `id`: its position. `time`: milliseconds since 1970.

    `duplicate`: it was published before under the same `local_id`; nothing was appended.
    """

    id: str
    time: int
    duplicate: bool


class GaplessApp(FastAPI):
    """What `create_app` returns. Opens nothing before it starts or, without lifespan, is first asked."""

    def __init__(self, wiring: Wiring, routes: list[BaseRoute], origins: Origins) -> None:
        super().__init__(
            title="Gapless",
            version=__version__,
            description=_DESCRIPTION,
            lifespan=wiring.lifespan,
            routes=routes,  # `include_router` would work each out once more, at the first request
            openapi_url=None,  # ours is encoded once
            docs_url=None,  # ours has a policy against inline scripts
            redoc_url=None,
            telemetry=UNTRACED if wiring.tracing is None else wiring.tracing.requests,
            redirect_slashes=False,  # it would name an absolute address, which behind TLS or a path is not the client's
        )
        self.wiring = wiring
        self._origins = origins

    def build_middleware_stack(self) -> ASGIApp:
        """The log around all, so that a stream, which it writes, keeps nothing of what is below."""
        platform, timing = self.wiring.platform, self.wiring.settings.server_timing
        return AccessLog(super().build_middleware_stack(), self._origins, platform=platform, timing=timing)

    async def publish(
        self,
        channel: str,
        data: Any,
        *,
        event: str = "message",
        user: str | None = None,
        local_id: str | None = None,
        ref: str | None = None,
    ) -> Sent:
        """Publish a message from Python code of this process, on the event loop that serves it. No token, no rate.

        `data`: what JSON can say, or what pydantic makes JSON of. The rest is as in docs/protocol.md, section 2: with a
        `local_id` the same again appends nothing. Returns once the message is in the log. Raises GaplessError: Refused
        where a request would be, StoreUnavailable where the store does not answer.
        """
        must_be_channels([channel])
        service = self.wiring.service
        raw = _as_json({"data": data, "event": event, "user": user, "localId": local_id, "ref": ref})
        if len(raw) > service.settings.max_body:
            raise TooLarge(f"The message is larger than {service.settings.max_body} bytes (GAPLESS_MAX_BODY).")
        messages, _ = read_messages(raw, service.namespaces.of(channel).cap)
        published = await service.publishing.publish(channel, drafts_of(messages, service.settings.max_body))
        return Sent(str(published.ids[0]), published.time, published.duplicate)


def _as_json(message: dict[str, Any]) -> bytes:
    try:
        return to_json(message)
    except (PydanticSerializationError, ValueError) as error:
        raise Unprocessable(f"This is not JSON: {error}.") from None
