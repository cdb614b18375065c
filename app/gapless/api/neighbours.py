"""The worker processes of one service: each tells the others its numbers over a socket in a folder that all know.

A scrape reaches any one of them, and has to be told of all: what goes up in one process would seem to go down when the
next scrape reaches another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PATIENCE = 2.0
"""Seconds in which a neighbour must have told all. One that stands still is left out."""
MOST_BYTES = 1_048_576
"""Of what one tells, a hundred times what there is: one that tells more is left out."""

_log = logging.getLogger("gapless.metrics")


class Neighbours:
    """Those that have a socket in `folder`, this process among them. `tell`: its own numbers."""

    def __init__(self, folder: Path, tell: Callable[[], bytes]) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}.sock"
        self._tell = tell

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """As long as the block runs, whoever asks is told. Where the folder can't be used, the log says so once."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _remove(self._own)
            server = await asyncio.start_unix_server(self._answer, self._own)
        except (OSError, AttributeError) as error:  # there are no such sockets on Windows
            _log.warning("worker processes cannot find each other in GAPLESS_METRICS_DIR: %s", error)
            yield
            return
        try:
            yield
        finally:
            server.close()
            _remove(self._own)

    async def ask(self) -> dict[str, str]:
        """What each of them tells, by its process id; this process's own in any case."""
        names = sorted(path for path in self._folder.glob("*.sock") if path != self._own)
        found = await asyncio.gather(*map(self._ask, names))
        told = {path.stem: text for path, text in zip(names, found, strict=True) if text}
        return {self._own.stem: self._tell().decode(), **told}

    async def _ask(self, path: Path) -> str:
        """'' where nobody answers: a worker that was killed leaves its socket behind."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return await _all(reader)
                finally:
                    writer.close()
        except ConnectionRefusedError:
            _remove(path)
        except (OSError, TimeoutError, ValueError):
            _log.warning("the worker process %s does not tell its numbers", path.stem)
        return ""

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(self._tell())
            await writer.drain()
        writer.close()


async def _all(reader: asyncio.StreamReader) -> str:
    """Raises ValueError for what is too long, or no text."""
    told = b""
    while piece := await reader.read(65_536):
        told += piece
        if len(told) > MOST_BYTES:
            raise ValueError("too long")
    return told.decode()


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)
