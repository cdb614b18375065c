"""What asyncio tells nobody but its logger."""

from __future__ import annotations

import logging


class AsyncioErrors(logging.Handler):
    """What asyncio only logs: tasks destroyed while pending, exceptions nobody fetched."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))
