"""What a page in Chromium keeps: its JavaScript heap after a collection, and what its processes hold."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

_PAGE = os.sysconf("SC_PAGE_SIZE")


async def heap(session: CDPSession) -> int:
    """Bytes of the page's heap that are in use after all garbage was collected."""
    for _ in range(2):  # what has a finalizer goes with the second
        await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    return int(usage["usedSize"])


def resident() -> int:
    """Bytes that the renderers of this process's browsers hold."""
    return sum(_resident(pid) for pid in renderers())


def renderers() -> list[int]:
    """The processes that show pages, of browsers that this process has started."""
    found, parents = [], {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                found.append(pid)
    return [pid for pid in found if _descends(pid, parents)]


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parents.get(pid, 0)
    return pid == os.getpid()


def _resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0
