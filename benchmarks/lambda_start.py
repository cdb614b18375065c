"""AWS Lambda, cold: the size of the zips, and from spawn to first answer beside a bare FastAPI hello in the same run.

Both run under AWS's own runtime client, from the packages of the same zip, all of it compiled. They take turns, so
that whatever else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import compileall
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from py_compile import PycInvalidationMode
from statistics import median
from typing import NamedTuple

import httpx

from tests.testkit.lambda_runtime import LambdaFront
from tests.testkit.lambda_runtime.package import Package, package
from tests.testkit.valkey import start_valkey

ROUNDS = 10
HANDLER = "app.lambda_handler.handler"
PUBLISH = "/channels/bench/messages"


class Start(NamedTuple):
    """A function, and the request that is its first: a POST where it is to need the store."""

    handler: str
    folder: Path
    path: str
    env: Mapping[str, str]


def main() -> None:
    """Measure, and print each beside the hello."""
    made = package()
    for name in ("api", "stream"):
        print(f"{name}.zip {made.zip(name).stat().st_size / 2**20:.1f} MB")
    with tempfile.TemporaryDirectory() as folder, start_valkey(Path(folder), port=None, unixsocket=False) as server:
        found = asyncio.run(measure(starts(made, Path(folder), server.url)))
    base = found["FastAPI hello"]
    print(f"spawn to first answer, median of {ROUNDS}, Python {sys.version.split()[0]}")
    print(f"{'':24}{'ms':>8}{'ratio':>8}")
    for name, each in found.items():
        print(f"{name:24}{each:8.0f}{each / base:8.2f}")


def starts(made: Package, folder: Path, redis_url: str) -> dict[str, Start]:
    """What is measured, by name."""
    ours, public = made.unpacked("api"), {"GAPLESS_PUBLIC": "true"}
    rest = {"UPSTASH_REDIS_REST_URL": "https://store.example", "UPSTASH_REDIS_REST_TOKEN": "token"}
    return {
        "FastAPI hello": Start("lambda_hello.handler", hello(made, folder), "/healthz", {}),
        "gapless, healthz": Start(HANDLER, ours, "/healthz", public | rest),
        "gapless, first message": Start(HANDLER, ours, PUBLISH, public | {"REDIS_URL": redis_url}),
    }


def hello(made: Package, folder: Path) -> Path:
    """The hello in a folder with the same packages, compiled as they are."""
    for entry in made.unpacked("api").iterdir():
        if entry.name != "app":
            (folder / entry.name).symlink_to(entry)
    target = folder / "lambda_hello.py"
    shutil.copy(Path(__file__).with_name(target.name), target)
    compileall.compile_file(target, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return folder


async def measure(functions: dict[str, Start]) -> dict[str, float]:
    """Median milliseconds of each; the first round, which reads every file from the disk, does not count."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS + 1):
        for name, function in functions.items():
            taken[name].append(await once(function))
    return {name: median(each[1:]) for name, each in taken.items()}


async def once(start: Start) -> float:
    """Milliseconds from spawn to the first answer of a new process."""
    front = LambdaFront(start.handler, cwd=start.folder, isolated=True, env=start.env)
    async with front, httpx.AsyncClient(base_url=front.url, timeout=30) as http:
        if start.path == PUBLISH:
            reply = await http.post(start.path, json={"data": "cold"})
        else:
            reply = await http.get(start.path)
        assert reply.is_success, f"{reply.text}\n{front.stats.log}"
        (run,) = front.stats.invocations
    return run.init_ms + run.duration_ms
