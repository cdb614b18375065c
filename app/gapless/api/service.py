"""The parts of one running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gapless.auth.tickets import Tickets
from gapless.channels.feeds import Feeds
from gapless.config.origins import Origins
from gapless.config.settings import Settings
from gapless.log.namespaces import Namespaces
from gapless.log.store import Store
from gapless.platforms.policy import Policy
from gapless.platforms.shutdown import ShutdownWatch
from gapless.runtime.counters import Counters
from gapless.services.admission import Admission
from gapless.services.history import History
from gapless.services.presence import Presence
from gapless.services.publishing import Publishing
from gapless.services.readiness import Readiness
from gapless.services.receipts import Receipts
from gapless.services.signalling import Signalling
from gapless.services.typewriter import Typewriter

if TYPE_CHECKING:
    from gapless.api.metrics import Metrics  # with prometheus_client, which only services that show them pay for
    from gapless.auth.verifier import TokenVerifier  # a cold start without keys need not pay for an HTTP client


class Service(NamedTuple):
    """What routes ask, joined by `wiring.Wiring`. Time and chance are parts too.

    `clock`: Unix seconds. `random`: 0…1. `token`: so many random base-36 digits.
    """

    settings: Settings
    policy: Policy
    namespaces: Namespaces
    store: Store
    feeds: Feeds
    ready: Readiness
    admission: Admission
    publishing: Publishing
    signalling: Signalling
    receipts: Receipts
    presence: Presence
    history: History
    typewriter: Typewriter
    verifier: TokenVerifier | None
    tickets: Tickets | None
    counters: Counters
    metrics: Metrics | None
    origins: Origins
    shutdown: ShutdownWatch
    clock: Callable[[], float]
    random: Callable[[], float]
    token: Callable[[int], str]
