"""Joins the parts of a service when it is first needed, and takes them apart at the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gapless.api import parts
from gapless.api.middleware import UNKEYED
from gapless.api.service import Service
from gapless.auth.rates import CommandBudget, OpenRate
from gapless.channels.feeds import Feeds
from gapless.config.origins import Origins
from gapless.config.settings import Settings
from gapless.delivery.buffered import MOST_BYTES as MOST_WHOLE
from gapless.delivery.mode import Mode
from gapless.log.store import MOST_BYTES, Store
from gapless.platforms.policy import SERVER, Policy
from gapless.platforms.shutdown import ShutdownWatch
from gapless.runtime.counters import Counters
from gapless.runtime.tasks import end
from gapless.services.admission import Admission
from gapless.services.history import History
from gapless.services.presence import Presence
from gapless.services.publishing import Publishing
from gapless.services.readiness import Readiness
from gapless.services.receipts import Receipts
from gapless.services.signalling import Signalling
from gapless.services.typewriter import Typewriter

if TYPE_CHECKING:
    from gapless.telemetry.traces import Tracing

_log = logging.getLogger("gapless")


class Wiring:
    """Makes the service when it is first needed, once, and closes it at the end."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        open_store: Callable[[], Store] | None,
        clock: Callable[[], float],
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing
        self._shows = settings.metrics and policy.platform == SERVER.platform
        self.counters = Counters(measures=self._shows)
        self._settings = settings
        self._policy = policy
        self._open_store = open_store or (lambda: parts.make_store(settings, policy, self.counters.store))
        self._clock = clock
        self._service: Service | None = None

    @property
    def settings(self) -> Settings:
        """What the service is made of."""
        return self._settings

    @property
    def platform(self) -> str:
        """Where it runs, as `Policy` names it."""
        return self._policy.platform

    @property
    def service(self) -> Service:
        """The parts, joined."""
        if self._service is None:
            self._service = self._join(self._open_store())
        return self._service

    def _join(self, store: Store) -> Service:
        settings, policy, clock = self._settings, self._policy, self._clock
        kinds = parts.namespaces(settings)
        traced = self.tracing
        audience = None if traced is None else traced.audience
        reading = parts.feed_settings(settings, policy, store)
        feeds = Feeds(store, reading, clock, parts.capacity(settings), kinds, self.counters, audience)
        limits = parts.publish_limits(settings, kinds)
        reads, unwritten = CommandBudget(settings.read_rate), CommandBudget(settings.read_rate)
        page = MOST_BYTES if policy.mode is Mode.STREAMING else MOST_WHOLE
        return Service(
            settings=settings,
            policy=policy,
            namespaces=kinds,
            store=store,
            feeds=feeds,
            ready=Readiness(store),
            admission=Admission(OpenRate(settings.stream_rate), reads, unwritten, clock),
            publishing=(traced.publishing if traced else Publishing)(
                store, feeds, limits, clock, parts.token, self.counters.publishes
            ),
            signalling=Signalling(store, limits),
            receipts=Receipts(store, feeds, clock),
            presence=Presence(store, feeds, settings.presence),
            history=History(store, feeds, clock, page),
            typewriter=Typewriter(),
            verifier=parts.make_verifier(settings, clock),
            tickets=parts.make_tickets(settings),
            counters=self.counters,
            metrics=parts.make_metrics(settings, self.counters, feeds) if self._shows else None,
            origins=Origins(settings.origins),
            shutdown=ShutdownWatch(),
            clock=clock,
            random=random.SystemRandom().random,
            token=parts.token,
        )

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
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
            if service.metrics is not None:
                await closing.enter_async_context(service.metrics.kept())
            try:
                yield
            finally:
                self._service = None


async def _look(service: Service) -> None:
    """Ask the store at the start, so that a wrong setup is in the log before the first request."""
    answer = await service.ready.ask()
    if answer.error is not None:
        _log.error("%s", answer.error.detail)
    elif missing := service.store.state().get("missing"):
        _log.warning("the store's user may not run %s; docs/security.md lists the rights", missing)
