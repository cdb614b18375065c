"""A bare handler that does as the last part of the path says: waits, hangs, dies, leaves things behind."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_tasks: list[asyncio.Task[None]] = []


def _wait(query: dict[str, str]) -> str:
    """Marks that it has begun, then waits for the file `go`."""
    folder = Path(query["folder"])
    (folder / f"begun-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)
    return "gone"


def _hang(query: dict[str, str]) -> str:
    threading.Event().wait()
    return "never"


def _crash(query: dict[str, str]) -> str:
    print("last words", flush=True)
    os._exit(3)


def _raise(query: dict[str, str]) -> str:
    raise ValueError("as told")


def _size(query: dict[str, str]) -> str:
    return "x" * int(query["bytes"])


def _tick(query: dict[str, str]) -> str:
    """A thread that writes a byte every few milliseconds, for as long as it may run."""
    ticks = Path(query["file"])

    def run() -> None:
        while True:
            with ticks.open("ab") as file:
                file.write(b".")
            time.sleep(0.005)

    threading.Thread(target=run, daemon=True).start()
    return "ticking"


def _leave(query: dict[str, str]) -> str:
    """A task and a timer that outlive the reply; one timer that is cancelled does not."""

    async def never() -> None:
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    _tasks.append(loop.create_task(never(), name="left-behind"))
    loop.call_later(60, _wait, {})
    loop.call_later(60, _hang, {}).cancel()
    return "left"


def _importable(query: dict[str, str]) -> str:
    try:
        __import__(query["module"])
    except ImportError:
        return "no"
    return "yes"


ACTIONS: dict[str, Callable[[dict[str, str]], Any]] = {
    "wait": _wait,
    "hang": _hang,
    "crash": _crash,
    "raise": _raise,
    "size": _size,
    "tick": _tick,
    "leave": _leave,
    "importable": _importable,
    "pid": lambda query: str(os.getpid()),
    "env": lambda query: os.environ.get(query["name"], "unset"),
    "path": lambda query: ";".join(sys.path),
    "odd": lambda query: {"statusCode": "no number"},
}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Shaped so that every kind of front takes it."""
    path = event.get("rawPath") or event["path"]
    done: Any = ACTIONS[path.rpartition("/")[2]](event.get("queryStringParameters") or {})
    if isinstance(done, dict):
        return done
    name = "multiValueHeaders" if "multiValueHeaders" in event else "headers"
    value: Any = "text/plain" if name == "headers" else ["text/plain"]
    return {"statusCode": 200, name: {"content-type": value}, "body": done, "isBase64Encoded": False}
