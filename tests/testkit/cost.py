"""What a process costs, seen from outside: memory, descriptors."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testkit.need import need

if TYPE_CHECKING:
    from tests.testkit.service import Service

ENOUGH = 8192
"""Descriptors for two thousand streams and what stands behind them."""


def raise_limits() -> None:
    """As many descriptors as these tests open, here and in whatever is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need(hard == resource.RLIM_INFINITY or hard >= ENOUGH, f"a limit of {ENOUGH} descriptors (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < ENOUGH:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ENOUGH, hard))


def memory(service: Service) -> int:
    """Resident KiB."""
    pages = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def descriptors(service: Service) -> int:
    """Files, sockets and pipes that are open."""
    return len(os.listdir(f"/proc/{service.pid}/fd"))  # noqa: PTH208 - a listing, not paths
