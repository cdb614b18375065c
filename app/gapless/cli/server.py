"""How `gapless serve` runs uvicorn: in this process, or as several worker processes."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from gapless.log.errors import StartupRefused
from gapless.runtime.request import LINE, WithRequestId
from gapless.runtime.watchdog import Watchdog

# As in `gapless/aws.py`: FastAPI loads Pydantic's old version 1, a tenth of a start, only to refuse its models. It is
# said here, since every worker imports this module, too, before it loads the app.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]

APP = "gapless.asgi:app"

GRACE = 10
"""Seconds for which requests may end after SIGTERM; streams say goodbye at once."""

KEEP_ALIVE = 65
"""Seconds for which an idle connection is kept: longer than usual proxies (60 s), so that they close it and not we."""

COLLECTED = (5_000, 5, 50)
"""Objects that are made before the collector looks through the youngest; so many such looks before it looks through
what survived one; so many of those before it looks through everything. At Python's (700, 10, 10) it walks through all
that is open again and again while thousands of streams open: a quarter of what that costs. At 50,000 one look held the
loop for 75 ms where requests come fast: so long it takes to free what they leave behind."""

_log = logging.getLogger("gapless.serve")


class Sentences(logging.Filter):
    """What the app refuses while it starts reaches the log as a traceback; its last line says all there is to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten, and let through."""
        text = record.getMessage()
        if _REFUSED in text:
            record.msg, record.args = text.rpartition(_REFUSED)[2].strip(), ()
        return True


_REFUSED = f"{StartupRefused.__module__}.{StartupRefused.__qualname__}: "


class Lines(logging.Formatter):
    """Writes the time as `logging` does, but works out its seconds once: each request has a line."""

    _second, _written = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Local time, to the millisecond."""
        second = int(record.created)
        if second != self._second:
            self._second, self._written = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._written},{int(record.msecs):03d}"


# uvicorn tells of trouble only; a request has one line, and that is the app's.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"sentences": {"()": Sentences}, "request": {"()": WithRequestId}},
    "formatters": {"line": {"()": Lines, "fmt": LINE}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]}},
    "loggers": {
        "gapless": {"level": "INFO"},
        "uvicorn": {"level": "WARNING"},
        "uvicorn.error": {"filters": ["sentences"]},
    },
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}


def configure(workers: int = 1) -> uvicorn.Config:
    """The configuration of one server. Forwarding headers are not believed: any client can send one."""
    return uvicorn.Config(
        APP,
        workers=workers,
        http=_http(),
        ws="none",
        lifespan="on",
        log_config=LOGGING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=65_536,
        callback_notify=look_about,  # about once a second
        timeout_notify=0,
    )


def _http() -> Any:
    try:
        from gapless.cli.protocol import BoundedHttp  # noqa: PLC0415  # httptools is not there on every platform
    except ImportError:
        return "h11"
    return BoundedHttp


def run_here(listening: socket.socket, ready: Callable[[], None]) -> int:
    """Serve in this process until SIGTERM or Ctrl-C; a second Ctrl-C waits for nobody. The exit code."""
    config = configure()
    config.load()
    server = _Server(config, ready)
    # uvicorn repeats the signals that ended it to the handler before it; and one may come before it listens.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    server.run([listening])
    return 0 if server.started else STARTUP_FAILURE


def run_workers(listening: socket.socket, ready: Callable[[], None], workers: int) -> int:
    """Serve in `workers` processes, and replace those that die, until SIGTERM or Ctrl-C. The exit code."""
    supervisor = _Workers(configure(workers), [listening], ready)
    supervisor.run()
    return supervisor.exit_code


async def look_about() -> None:
    """In every process that serves: have its loop watched, spend little, and end a worker whose parent is gone."""
    watch()
    collect_rarely()
    log_lightly()
    end_with_parent()


@cache
def watch() -> Watchdog:
    """One for the process, whose loop is the one that runs now."""
    return Watchdog()


@cache
def collect_rarely() -> None:
    """What the start has made stays, so the collector never looks at it again. For a process that lives on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED)


@cache
def log_lightly() -> None:
    """No line names its thread, process or line of code, so nobody looks for them (Python's logging HOWTO)."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


def end_with_parent() -> None:
    """Worker side: when the parent was killed, end as at SIGTERM, or we would keep its port for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        signal.raise_signal(signal.SIGTERM)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready()


class _Workers(Multiprocess):
    """uvicorn's, which would take a worker that is slow to start for hung, and one that can't start for crashed."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self.exit_code = 0
        self._ready: Callable[[], None] | None = ready

    def keep_subprocess_alive(self) -> None:
        """Twice a second: replace the dead, or give up where one dies before all were up; say when all are."""
        for index, process in enumerate(self.processes):
            if not process.process.is_alive():
                self._bury(index, process)
        if self._ready is not None and not self.should_exit.is_set() and all(map(is_up, self.processes)):
            self._ready()
            self._ready = None

    def _bury(self, index: int, process: Process) -> None:
        process.join()
        if self._ready is not None:
            self.exit_code = STARTUP_FAILURE
            self.should_exit.set()
            return
        _log.warning("a worker has ended (code %s) and is replaced", process.exitcode)
        self.processes[index] = replacement = Process(self.config, self.sockets)
        replacement.start()


def is_up(process: Process) -> bool:
    """Whether a worker serves. Questions pile up while it imports, so only its newest answer counts."""
    up = process.is_ready(timeout=0.05)
    while process.parent_conn.poll():
        up = process.parent_conn.recv()
    return up
