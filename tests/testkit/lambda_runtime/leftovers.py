"""Runs inside the function's process, around its handler: writes to the log which tasks and timers outlived each reply,
and how much of its time was left.

What is left over freezes with the environment and wakes in another request's time. The file stands alone: it
is put on the path of a process that may have nothing else of this project.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from typing import Any

_module, _, _name = os.environ["LEFTOVERS_HANDLER"].rpartition(".")
_handler = getattr(importlib.import_module(_module), _name)


def _pending() -> list[str]:
    try:
        loop = asyncio.get_event_loop()
    except RuntimeError:
        return []
    timers: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]  # nothing public names them
    return [
        *(repr(task) for task in asyncio.all_tasks(loop)),
        *(repr(timer) for timer in timers if not timer.cancelled()),
    ]


def handler(event: Any, context: Any) -> Any:
    """What the wrapped handler returns."""
    try:
        return _handler(event, context)
    finally:
        left_ms = context.get_remaining_time_in_millis()
        report = {"request_id": context.aws_request_id, "tasks": _pending(), "left_ms": left_ms}
        print(f"leftovers {json.dumps(report)}", flush=True)
