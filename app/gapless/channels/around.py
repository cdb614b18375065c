"""What goes on around the messages of one channel: signals, receipts, presence. Nothing here makes the log be read."""

from __future__ import annotations

import asyncio

from gapless.channels.audience import Audience
from gapless.channels.bounded import BoundedStore
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.presence_board import PresenceBoard
from gapless.channels.receipt_board import ReceiptBoard
from gapless.channels.signals import Signals
from gapless.log.namespaces import Feature


class Around:
    """One channel's. What the channel does not offer is not there."""

    def __init__(self, channel: str, store: BoundedStore, settings: FeedSettings, audience: Audience) -> None:
        self._loop = asyncio.get_running_loop()
        self._audience = audience
        self._signals = Signals(channel, on=Feature.SIGNALS in settings.features)
        self.receipts: ReceiptBoard | None = None
        if Feature.RECEIPTS in settings.features:
            self.receipts = ReceiptBoard(channel, store, settings)
        self.presence: PresenceBoard | None = None
        if Feature.PRESENCE in settings.features:
            self.presence = PresenceBoard(channel, store, settings)

    def take(self, notice: bytes) -> None:
        """A notice that begins with `!`. One of a kind that is not known here is ignored."""
        if (block := self._signals.take(notice)) is not None:
            self._audience.aside(block, self._loop.time())
        for board in self._boards():
            board.take(notice)

    def look(self) -> None:
        """Notices may have been missed, or the channel was deleted."""
        for board in self._boards():
            board.look()

    async def close(self) -> None:
        """End every task."""
        for board in self._boards():
            await board.close()

    @property
    def lingers(self) -> float:
        """Seconds for which something has yet to be written here."""
        return 0.0 if self.presence is None else self.presence.lingers

    def _boards(self) -> list[ReceiptBoard | PresenceBoard]:
        return [board for board in (self.receipts, self.presence) if board is not None]
