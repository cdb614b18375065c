"""Shell blocks: what is typed, and what the terminals then show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anyio import to_thread

if TYPE_CHECKING:
    from tests.docs.blocks import Block
    from tests.docs.stranger import Stranger
    from tests.testkit.process import Process

# The longest that is typed builds the zips for Lambda: 20 s of processor and a download.
_ALARM = 300.0


async def typed(stranger: Stranger, block: Block, argument: str) -> None:
    """It ends well."""
    terminal = await _ended(stranger, block)
    assert terminal.returncode == 0, terminal.log


async def shows(stranger: Stranger, block: Block, argument: str) -> None:
    """It ends well, and prints what matches."""
    terminal = await _ended(stranger, block)
    assert terminal.returncode == 0 and re.search(argument, terminal.log), terminal.log


async def fails(stranger: Stranger, block: Block, argument: str) -> None:
    """It gets as far as anybody can without credentials, and says so; a pattern of what it prints."""
    terminal = await _ended(stranger, block)
    assert terminal.returncode != 0 and re.search(argument, terminal.log), terminal.log


async def until(stranger: Stranger, block: Block, argument: str) -> None:
    """It does not end by itself: once it has printed what matches it is left running, beside those that follow."""
    terminal = await stranger.types(block)
    stranger.open.append(terminal)
    await to_thread.run_sync(lambda: terminal.wait_for_line(argument, alarm=_ALARM))


async def elsewhere(stranger: Stranger, block: Block, argument: str) -> None:
    """A terminal that was left open before shows what matches."""
    terminal = stranger.open[-1]
    await to_thread.run_sync(lambda: terminal.wait_for_line(argument))


async def _ended(stranger: Stranger, block: Block) -> Process:
    terminal = await stranger.types(block)
    await to_thread.run_sync(lambda: terminal.wait(alarm=_ALARM))
    return terminal
