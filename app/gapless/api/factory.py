"""Builds the app: the only place that joins store, feeds, policy, clock, routes and static files."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gapless.api import description, problems
from gapless.api.dependencies import Service
from gapless.api.middleware import UNKEYED, AccessLog, LoopbackOnly
from gapless.api.routes import admin, health, history, page, publish, stream, tickets
from gapless.api.unread import Unread
from gapless.auth.rates import CommandBudget, OpenRate
from gapless.auth.tickets import Tickets
from gapless.auth.tokens import Expected
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Capacity, Feeds
from gapless.config.origins import EVERY, Origins
from gapless.config.settings import Settings
from gapless.config.startup import must_work, read_settings, warn
from gapless.log.errors import StartupRefused
from gapless.log.store import Store
from gapless.platforms.policy import SERVER, Policy
from gapless.platforms.shutdown import ShutdownWatch
from gapless.runtime.tasks import end
from gapless.runtime.version import __version__
from gapless.services.readiness import Readiness
from gapless.stores.scripts import Layout
from gapless.stores.upstash.start import LARGEST_BODY, check

if TYPE_CHECKING:
    from gapless.auth.verifier import TokenVerifier

NO_STORE = "No message store is configured. Set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or REDIS_URL."
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": ["Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
    "expose_headers": ["Retry-After"],
    "max_age": 600,
}
_log = logging.getLogger("gapless")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_DESCRIPTION = """Messages that reach browsers live, in order and without loss, from functions that may stop anytime.

Publish with `POST /channels/{channel}/messages`; read with a browser's own `EventSource` from
`GET /channels/{channel}/stream`. A client that keeps reconnecting with the last id it saw receives every message of a
channel exactly once, in order, or is told of the `gap` before the next one."""


def create_app(
    settings: Settings,
    policy: Policy = SERVER,
    open_store: Callable[[], Store] | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The service as an ASGI app. It opens its store at the start of the lifespan, else at the first request."""
    wiring = _Wiring(settings, policy, open_store or (lambda: make_store(settings, policy)), clock)
    parts = (publish, stream, history, tickets, admin, health, page)
    routes = [route for part in parts for route in part.router.routes]
    app = FastAPI(
        title="Gapless",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=wiring.lifespan,
        routes=routes,  # `include_router` would work each out once more, at the first request
        openapi_url=None,  # ours is encoded once
        docs_url=None,  # ours has a policy against inline scripts
        redoc_url=None,
        redirect_slashes=False,  # it would name an absolute address, which behind TLS or a path is not the client's
    )
    app.state.wiring = wiring
    description.install(app, keyed=settings.keyed)
    page.mount(app)
    problems.install(app, routes)
    app.add_middleware(problems.LastResort)
    app.add_middleware(LoopbackOnly, settings=settings)
    origins = Origins(settings.origins)
    if origins.listed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[EVERY] if origins.every else [],
            allow_origin_regex=origins.pattern,
            allow_credentials=not origins.every,
            **_CORS,
        )
    app.add_middleware(Unread)
    app.add_middleware(AccessLog, origins=origins)
    return app


def serve_or_explain(policy: Policy) -> ASGIApp:
    """The service that the environment describes.

    Where it must not start: on a platform, an app that answers every request with the reason, because there nobody sees
    a process end; elsewhere StartupRefused or SystemExit with a sentence that says what to do.
    """
    try:
        settings = read_settings()
        warn(os.environ)
        refuse_unsafe(settings, policy)
        refuse_upstash(settings)
        must_work(settings)
        return create_app(settings, policy)
    except StartupRefused as error:
        if policy is SERVER:
            raise SystemExit(f"gapless: {error}") from None
        _log.error("%s", error)
        reason = problems.explaining(str(error), random.SystemRandom().random)
        # To pages of every origin: those that are allowed may not be known, and what a browser may not read stops an
        # EventSource as a status does. There is nothing else to be read.
        shown = CORSMiddleware(reason, allow_origin_regex=".*", allow_credentials=True, **_CORS)
        return AccessLog(shown, Origins((EVERY,)))


def refuse_unsafe(settings: Settings, policy: Policy) -> None:
    """Raises StartupRefused on a platform without keys or store: there everybody reaches it, and no disk stays."""
    if policy is SERVER:
        return
    if settings.upstash_url is None and settings.redis_url is None:
        raise StartupRefused(NO_STORE)
    if not settings.public and not settings.keyed:
        raise StartupRefused(
            "This service has no keys and everybody can reach it. Set GAPLESS_PUBLIC=true if that is what you want."
        )
    if policy.largest is not None and settings.max_body > policy.largest:
        raise StartupRefused(
            f"GAPLESS_MAX_BODY can be at most {policy.largest} here, where replies are handed over whole."
        )


def refuse_upstash(settings: Settings) -> None:
    """Raises StartupRefused for settings that can never work with Upstash."""
    if settings.upstash_url is None:
        return
    token = settings.upstash_token.get_secret_value() if settings.upstash_token else ""
    check(settings.upstash_url.strip(), token.strip())
    if settings.max_body > LARGEST_BODY:
        raise StartupRefused(f"GAPLESS_MAX_BODY can be at most {LARGEST_BODY} with Upstash, whose replies hold 10 MB.")


def make_store(settings: Settings, policy: Policy = SERVER) -> Store:
    """The store that the settings name, for a process of this policy; where they name none, the embedded Valkey."""
    if settings.upstash_url is not None:
        from gapless.stores.upstash.store import UpstashStore, fitting  # noqa: PLC0415 - imported only where it is used

        token = settings.upstash_token.get_secret_value() if settings.upstash_token else ""
        page = fitting(settings.page)
        return UpstashStore(settings.upstash_url, token, lambda db: layout(settings, db), page=page)
    if settings.redis_url is not None:
        from gapless.stores.redis.store import RedisStore  # noqa: PLC0415 - an extra, and slow to import

        url = settings.redis_url.get_secret_value()
        return RedisStore(url, lambda db: layout(settings, db), page=settings.page, alone=policy.alone)
    from gapless.stores.embedded.store import LocalStore  # noqa: PLC0415 - local runs only

    return LocalStore(settings.data_dir, lambda db: layout(settings, db), page=settings.page)


def make_verifier(settings: Settings, clock: Callable[[], float]) -> TokenVerifier | None:
    """The verifier of tokens; None if the service asks for none."""
    if not settings.keyed:
        return None
    from gapless.auth.verifier import TokenVerifier  # noqa: PLC0415 - with an HTTP client, which only services with keys pay for

    expected = Expected(settings.jwt_audience, settings.jwt_issuer, settings.token_max)
    signed = _values(settings.jwt_secret, settings.jwt_secret_old)
    published = settings.jwks_url.get_secret_value() if settings.jwks_url else None
    return TokenVerifier(signed, published, expected, clock)


def make_tickets(settings: Settings) -> Tickets | None:
    """What makes tickets and verifies them; None for a service without a secret, or that asks for no tokens.

    A secret of their own signs before the tokens', which still verify: so each can be set and changed while it runs.
    """
    found = _values(settings.ticket_secret, settings.jwt_secret, settings.jwt_secret_old)
    if not found or not settings.keyed:
        return None
    return Tickets(found, (settings.jwt_audience, settings.jwt_issuer, settings.prefix))


def _values(*found: SecretStr | None) -> list[str]:
    return [secret.get_secret_value() for secret in found if secret is not None]


def layout(settings: Settings, database: int) -> Layout:
    """How the store names its keys and what it keeps."""
    return Layout(settings.prefix, database, settings.cap, settings.retention, settings.cap_bytes)


class _Wiring:
    """Makes the service when it is first needed, once, and closes it at the end."""

    def __init__(
        self, settings: Settings, policy: Policy, open_store: Callable[[], Store], clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._open_store = open_store
        self._clock = clock
        self._service: Service | None = None

    @property
    def service(self) -> Service:
        """The parts, joined."""
        if self._service is None:
            self._service = self._join(self._open_store())
        return self._service

    def _join(self, store: Store) -> Service:
        settings, policy = self._settings, self._policy
        recheck = store.recheck if settings.recheck is None else settings.recheck
        linger = 0 if policy.alone else settings.linger
        feeds = FeedSettings(recheck, linger, settings.retention, store.page, policy.freezes, store.lag)
        return Service(
            settings=settings,
            policy=policy,
            store=store,
            ready=Readiness(store),
            feeds=Feeds(store, feeds, self._clock, _capacity(settings)),
            verifier=make_verifier(settings, self._clock),
            tickets=make_tickets(settings),
            opened=OpenRate(settings.stream_rate),
            budget=CommandBudget(settings.read_rate),
            unwritten=CommandBudget(settings.read_rate),
            origins=Origins(settings.origins),
            shutdown=ShutdownWatch(),
            clock=self._clock,
            random=random.SystemRandom().random,
            token=_token,
        )

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Under a server: open at the start, close at the end."""
        service = self.service
        if not (self._settings.keyed or self._settings.public):
            _log.info("%s", UNKEYED)
        async with AsyncExitStack() as closing:  # each is closed, whatever the others raise; the last first
            closing.push_async_callback(service.store.close)
            closing.push_async_callback(service.feeds.close)
            if service.verifier is not None:
                closing.push_async_callback(service.verifier.close)
            closing.push_async_callback(service.ready.close)
            closing.push_async_callback(service.shutdown.finish)
            closing.push_async_callback(end, asyncio.create_task(_look(service)))
            try:
                yield
            finally:
                self._service = None


async def _look(service: Service) -> None:
    """Ask the store at the start, so that what is set up wrongly is in the log before anybody asks."""
    answer = await service.ready.ask()
    if answer.error is not None:
        _log.error("%s", answer.error.detail)
    elif missing := service.store.state().get("missing"):
        _log.warning("the store's user may not run %s, which only GET /channels needs", missing)


def _capacity(settings: Settings) -> Capacity:
    return Capacity(settings.streams, settings.channels, settings.user_share, settings.address_share)


def _token(digits: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(digits))
