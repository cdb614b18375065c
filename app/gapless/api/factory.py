"""Builds the app: its routes, middleware and static files, and what it answers where it must not start."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gapless.api import description, problems
from gapless.api.app import GaplessApp
from gapless.api.direct_routes import DirectRoutes
from gapless.api.fairness import TurnByTurn
from gapless.api.middleware import AccessLog, LoopbackOnly
from gapless.api.routes import (
    admin,
    health,
    history,
    metrics,
    page,
    presence,
    publish,
    receipts,
    run,
    signals,
    stream,
    tickets,
)
from gapless.api.unread import Unread
from gapless.api.wiring import Wiring
from gapless.config.origins import EVERY, Origins
from gapless.config.settings import Settings
from gapless.config.startup import must_work, read_settings, refuse_unsafe, refuse_upstash, warn
from gapless.delivery.mode import Mode
from gapless.log.errors import StartupRefused
from gapless.log.store import Store
from gapless.platforms.policy import SERVER, Policy
from gapless.telemetry.start import find_tracing, report_errors

if TYPE_CHECKING:
    from gapless.telemetry.traces import Tracing

_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": [
        *("Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"),
        *("traceparent", "tracestate", "baggage", "sentry-trace"),  # a page that is traced sends them by itself
    ],
    "expose_headers": ["Retry-After", "Server-Timing", "X-Request-Id"],
    "max_age": 600,
}
_log = logging.getLogger("gapless")


def create_app(
    settings: Settings,
    policy: Policy = SERVER,
    open_store: Callable[[], Store] | None = None,
    clock: Callable[[], float] = time.time,
    tracing: Tracing | None = None,
) -> GaplessApp:
    """The service as an ASGI app. It opens its store at the start of the lifespan, else at the first request.

    `tracing` None: as the environment says.
    """
    tracing = tracing or find_tracing(os.environ)
    wiring = Wiring(settings, policy, open_store, clock, tracing)
    parts = (publish, stream, history, signals, receipts, presence, tickets, admin, health, metrics, page, run)
    routes = [route for part in parts for route in part.router.routes]
    origins = Origins(settings.origins)
    app = _app_class(tracing)(wiring, routes, origins)
    description.install(app, keyed=settings.keyed)
    page.mount(app, compress=policy.mode is Mode.STREAMING)  # bodies that are handed over whole should be text
    problems.install(app, routes)
    app.add_middleware(DirectRoutes, routes=routes)
    app.add_middleware(problems.LastResort)
    app.add_middleware(LoopbackOnly, settings=settings)
    if origins.listed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[EVERY] if origins.every else [],
            allow_origin_regex=origins.pattern,
            allow_credentials=not origins.every,
            **_CORS,
        )
    app.add_middleware(Unread)
    app.add_middleware(TurnByTurn, platform=policy.platform, proxies=settings.proxies)
    return app


def _app_class(tracing: Tracing | None) -> type[GaplessApp]:
    if tracing is None:
        return GaplessApp
    from gapless.api.traced import TracedApp  # noqa: PLC0415 - with OpenTelemetry

    return TracedApp


def serve_or_explain(policy: Policy) -> ASGIApp:
    """The service that the environment describes.

    Where it must not start: on a platform, an app that answers every request with the reason, because there nobody sees
    a process end; elsewhere StartupRefused or SystemExit with a sentence that says what to do.
    """
    report_errors(os.environ)
    try:
        settings = read_settings()
        warn(os.environ)
        refuse_unsafe(settings, policy)
        refuse_upstash(settings)
        must_work(settings, policy)
        return create_app(settings, policy)
    except StartupRefused as error:
        if policy is SERVER:
            raise SystemExit(f"gapless: {error}") from None
        _log.error("%s", error)
        reason = problems.explaining(str(error), random.SystemRandom().random)
        # To pages of every origin: those that are allowed may not be known, and what a browser may not read stops an
        # EventSource as a status does. There is nothing else to be read.
        shown = CORSMiddleware(reason, allow_origin_regex=".*", allow_credentials=True, **_CORS)
        return AccessLog(shown, Origins((EVERY,)), platform=policy.platform)
