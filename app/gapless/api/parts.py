"""Makes each part of a service from the settings. The only place that names the stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from gapless.auth.tickets import Tickets
from gapless.auth.tokens import Expected
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Capacity, Feeds
from gapless.config.namespaces import NamespaceSettings
from gapless.config.settings import Settings
from gapless.log.namespaces import Feature, Namespace, Namespaces
from gapless.log.store import Store
from gapless.platforms.policy import Policy
from gapless.runtime.counters import Counters, StoreCounters
from gapless.services.publishing import PublishLimits
from gapless.stores.scripts import Layout

if TYPE_CHECKING:
    from gapless.api.metrics import Metrics
    from gapless.auth.verifier import TokenVerifier

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def make_store(settings: Settings, policy: Policy, counters: StoreCounters) -> Store:
    """The store that the settings name, for a process of this policy; where they name none, the embedded Valkey."""
    how: dict[str, Any] = {"page": settings.page, "counters": counters}
    if settings.upstash_url is not None:
        from gapless.stores.upstash.store import UpstashStore, fitting  # noqa: PLC0415 - imported only where it is used

        token = settings.upstash_token.get_secret_value() if settings.upstash_token else ""
        how["page"] = fitting(settings.page)
        return UpstashStore(settings.upstash_url, token, lambda db: layout(settings, db), **how)
    if settings.redis_url is not None:
        from gapless.stores.redis.store import RedisStore  # noqa: PLC0415 - an extra, and slow to import

        url = settings.redis_url.get_secret_value()
        return RedisStore(url, lambda db: layout(settings, db), alone=policy.alone, **how)
    from gapless.stores.embedded.store import LocalStore  # noqa: PLC0415 - local runs only

    return LocalStore(settings.data_dir, lambda db: layout(settings, db), **how)


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


def make_metrics(settings: Settings, counters: Counters, feeds: Feeds) -> Metrics:
    """What shows the counters to Prometheus."""
    from gapless.api.metrics import Metrics  # noqa: PLC0415 - an extra, and slow to import

    return Metrics(counters, lambda: len(feeds), settings.metrics_dir)


def _values(*found: SecretStr | None) -> list[str]:
    return [secret.get_secret_value() for secret in found if secret is not None]


def layout(settings: Settings, database: int) -> Layout:
    """How the store names its keys and what it keeps."""
    kinds = namespaces(settings)
    return Layout(settings.prefix, database, settings.cap, settings.retention, settings.cap_bytes, kinds)


def namespaces(settings: Settings) -> Namespaces:
    """The kinds of channels. Where none are set, the embedded local run offers everything on every channel."""
    other = Namespace(settings.cap, settings.retention, settings.rate, settings.burst)
    if settings.namespaces is None:
        return Namespaces(other._replace(features=tuple(Feature)) if settings.embedded else other, {})
    return Namespaces(other, {name: _namespace(found, other) for name, found in settings.namespaces.items()})


def _namespace(found: NamespaceSettings, other: Namespace) -> Namespace:
    given = found.model_dump(include={"cap", "retention", "rate", "burst"}, exclude_none=True)
    return other._replace(**given, features=tuple(one for one in Feature if getattr(found, one)))


def feed_settings(settings: Settings, policy: Policy, store: Store) -> FeedSettings:
    """How the feeds of this process read their store. On a platform that freezes a process, none stays open."""
    recheck = store.recheck if settings.recheck is None else settings.recheck
    linger = 0 if policy.alone else settings.linger
    kept, pause, lease = settings.retention, settings.batch_ms / 1000, settings.presence
    return FeedSettings(recheck, linger, kept, store.page, policy.freezes, store.lag, pause=pause, lease=lease)


def capacity(settings: Settings) -> Capacity:
    """What the process may have open at once."""
    return Capacity(settings.streams, settings.channels, settings.user_share, settings.address_share)


def publish_limits(settings: Settings, kinds: Namespaces) -> Callable[[str], PublishLimits]:
    """What a subject may publish on a channel."""
    size = settings.rate_bytes, settings.burst_bytes
    made = {namespace: PublishLimits(namespace.rate, namespace.burst, *size) for namespace in kinds.every()}
    return lambda channel: made[kinds.of(channel)]


def token(digits: int) -> str:
    """So many random base-36 digits, all of one draw."""
    number = int.from_bytes(os.urandom(digits + 8)) % 36**digits  # `secrets` would ask for it in three calls more
    return "".join([_DIGITS[number // 36**place % 36] for place in range(digits)])
