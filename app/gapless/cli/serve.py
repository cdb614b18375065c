"""`gapless serve`: check the settings, bind the port, start the store, serve, and leave no process behind."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from gapless.cli.address import Address, listen, resolve
from gapless.cli.dotenv import EnvFile
from gapless.cli.place import place_of, where_to_listen
from gapless.config.settings import EMBEDDED, Settings
from gapless.config.startup import must_work, read_settings
from gapless.log.errors import StartupRefused
from gapless.stores.redis.url import read_url

DESCRIPTORS = 65_536
"""Each stream takes one. Higher would cost programs that look at every one they might have."""


def serve(host: str | None, port: int | None, workers: int, env_file: EnvFile | None = None) -> int:
    """Run until told to stop; the exit code. `env_file`: what was read, to be told of.

    StartupRefused, with what to do, where it can't or must not start."""
    settings = read_settings()
    address = resolve(*where_to_listen(host, port))
    refuse_open_world(address, settings)
    must_work(settings)
    if importlib.util.find_spec("uvicorn") is None:
        raise StartupRefused("`gapless serve` needs uvicorn: pip install 'gapless[embedded]'.")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    _raise_descriptor_limit()
    listening, address = listen(address)
    with listening, opened_store(settings) as store, meeting_place(settings, workers):
        return run(listening, lambda: announce(address, store, settings, env_file), workers)


def refuse_open_world(address: Address, settings: Settings) -> None:
    """Beyond this machine a service needs keys, or the word that it is meant to be open."""
    if address.loopback or settings.public or settings.keyed:
        return
    raise StartupRefused(
        f"On {address.host} anyone who can reach this machine could read and write every channel. Set "
        "GAPLESS_JWT_SECRET or GAPLESS_JWKS_URL to ask for tokens, or GAPLESS_PUBLIC=true if it is meant to be open "
        "to everybody, or listen on 127.0.0.1."
    )


def run(listening: socket.socket, ready: Callable[[], None], workers: int) -> int:
    """Serve until told to stop; the exit code. `ready` is called once all processes serve."""
    from gapless.cli.server import run_here, run_workers  # noqa: PLC0415  # after the check that uvicorn is there

    try:
        return run_here(listening, ready) if workers == 1 else run_workers(listening, ready, workers)
    finally:
        _hear_no_more()


def leave(number: int, _: FrameType | None) -> None:
    """Before the server runs, a signal ends us where we stand, with everything put away."""
    _hear_no_more()
    sys.exit(128 + number)


def _hear_no_more() -> None:
    """What is left to do ends by itself, within seconds; broken off by a second signal, it would leave the Valkey.

    A second one is usual: what a process group is sent, `make` hands on once more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def meeting_place(settings: Settings, workers: int) -> Iterator[None]:
    """A folder in which workers find each other, so that each can tell the numbers of all at /metrics."""
    if not settings.metrics or workers == 1 or settings.metrics_dir is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="gapless-", ignore_cleanup_errors=True) as folder:
        os.environ["GAPLESS_METRICS_DIR"] = folder
        yield


@contextlib.contextmanager
def opened_store(settings: Settings) -> Iterator[str]:
    """The store for as long as we serve, described for people."""
    if settings.upstash_url is not None:
        unused = " (REDIS_URL is set too, and not used)" if settings.redis_url else ""
        yield f"Upstash at {place_of(settings.upstash_url)}{unused}"
    elif settings.redis_url is not None:
        yield read_url(settings.redis_url.get_secret_value()).name
    else:
        with _embedded(Path(settings.data_dir)) as described:
            yield described


@contextlib.contextmanager
def _embedded(folder: Path) -> Iterator[str]:
    from gapless.stores.embedded.keeper import Keeper  # noqa: PLC0415
    from gapless.stores.embedded.valkey import EmbeddedValkey  # noqa: PLC0415  # only where there is no other store

    use = EmbeddedValkey.start(folder)
    keeper = Keeper(use)
    try:
        os.environ["REDIS_URL"] = os.environ[EMBEDDED] = use.url  # the app and its workers find it as any other
        keeper.start()
        how = "joined" if use.joined else "started"
        yield f"embedded Valkey ({how}, pid {use.pid}); its data are in {use.folder}"
    finally:
        keeper.end()
        use.stop()


def announce(address: Address, store: str, settings: Settings, env_file: EnvFile | None = None) -> None:
    """Say on standard output where it listens, what it stores in, and to whom it is open."""
    where = f"listening on {address.host}, port {address.port}"
    told = "" if env_file is None else f"  {env_file}\n"
    sys.stdout.write(f"{address.url}\n  {where}\n  store: {store}\n  open to {_whom(address, settings)}\n{told}")
    sys.stdout.flush()


def _whom(address: Address, settings: Settings) -> str:
    if settings.keyed:
        return "clients that have a token"
    if settings.public:
        return "everybody who can reach it, without keys (GAPLESS_PUBLIC=true)"
    return "this machine only, without keys" if address.loopback else "nobody"


def _raise_descriptor_limit() -> None:
    try:
        import resource  # noqa: PLC0415  # there is none on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    with contextlib.suppress(ValueError, OSError):  # macOS may allow less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
