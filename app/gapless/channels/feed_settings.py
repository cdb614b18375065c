"""The settings that all feeds of a process share."""

from __future__ import annotations

from typing import NamedTuple

from gapless.log.namespaces import Feature


class FeedSettings(NamedTuple):
    """`recheck`, `linger`, `retention` in seconds; `page`: entries a read; `freezes`: the process may sleep.

    `lag`: seconds after which what a read was too early for is there, 0 where none is; see `Store.lag`. `features`:
    what the channel offers beside messages. `pause`: seconds between two batches of messages that are handed to
    readers. `lease`: seconds for which a user is there whose process died. Retention and features are each feed's own
    (`Feeds`).
    """

    recheck: float
    linger: float
    retention: float
    page: int
    freezes: bool = False
    lag: float = 0.0
    features: tuple[Feature, ...] = ()
    pause: float = 0.0
    lease: float = 200.0
