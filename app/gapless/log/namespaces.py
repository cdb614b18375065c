"""Kinds of channels: what is kept of them, how fast they may be written, and what they offer. Pure.

(docs/protocol.md, section 8)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Feature(StrEnum):
    """What a channel may offer beside its messages."""

    SIGNALS = "signals"
    RECEIPTS = "receipts"
    PRESENCE = "presence"


class Namespace(NamedTuple):
    """What holds for the channels of one namespace.

    `cap`: messages kept; `retention`: seconds; `rate`: messages a second, 0 is no limit; `burst`: messages at once.
    """

    cap: int
    retention: int
    rate: float
    burst: int
    features: tuple[Feature, ...] = ()


class Namespaces(NamedTuple):
    """The namespaces by name; `other` holds for those that are not listed."""

    other: Namespace
    named: Mapping[str, Namespace]

    def of(self, channel: str) -> Namespace:
        """What holds for a channel. Its namespace is what stands before its first `:`; without one it is ""."""
        name, colon, _ = channel.partition(":")
        return self.named.get(name if colon else "", self.other)

    def every(self) -> list[Namespace]:
        """Each of them, the one for those that are not listed first."""
        return [self.other, *self.named.values()]
