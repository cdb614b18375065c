"""`python -m tests.testkit.upstash --redis URL --port 0`: the emulator as a process of its own.

Prints its URL as the first line of its output; ends on SIGTERM or SIGINT. Controls: see `control.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import get_args

from tests.testkit.upstash.emulator import READ_ONLY_TOKEN, TOKEN, UpstashEmulator
from tests.testkit.upstash.scripts import KeyLocking, PublishInScripts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.testkit.upstash")
    parser.add_argument("--redis", required=True, help="URL or socket path of the Valkey behind")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replica", action="store_true")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--read-only-token", default=READ_ONLY_TOKEN)
    parser.add_argument("--key-locking", choices=get_args(KeyLocking), default="accept")
    parser.add_argument("--publish-in-scripts", choices=get_args(PublishInScripts), default="accept")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    emulator = UpstashEmulator(
        options.redis,
        port=options.port,
        seed=options.seed,
        replica=options.replica,
        token=options.token,
        read_only_token=options.read_only_token,
        key_locking=options.key_locking,
        publish_in_scripts=options.publish_in_scripts,
        strict=False,  # The test that arms faults here asks for those missed before it ends this process.
    )
    async with emulator:
        print(emulator.url, flush=True)
        await stop.wait()


def main() -> None:
    """Serve until told to stop."""
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
