"""A cold start on Vercel: from the process to its first answer, with and without bytecode, beside a toy of FastAPI."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

import httpx

from benchmarks.server import valkey
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.vercel import Bundle, VercelFunction, build

ROUNDS = 7
"""Cold starts of each; medians are printed."""

ROOT = Path(__file__).parents[1]
TOY = ROOT / "tests" / "support" / "vercel" / "toy"
COMPILED = {"VERCEL_PYTHON_COMPILEALL": "1"}
MESSAGE = {"data": {"text": "hello"}}


def main() -> None:
    """Start each in turn, so that whatever else this machine does meets all of them."""
    bundles = {(project, env is COMPILED): build(project, env=env) for project in (TOY, ROOT) for env in ({}, COMPILED)}
    cases = {
        ("toy, GET", False): (TOY, "/"),
        ("health check", False): (ROOT, "/healthz"),
        ("publish", False): (ROOT, "/channels/cold/messages"),
    }
    cases |= {(name, True): case for (name, _), case in cases.items()}
    found: dict[tuple[str, bool], list[tuple[float, float]]] = {case: [] for case in cases}
    with valkey() as url, EmulatorProcess(url) as upstash:
        env = {"KV_REST_API_URL": upstash.url, "KV_REST_API_TOKEN": upstash.token, "GAPLESS_PUBLIC": "true"}
        for _ in range(ROUNDS):
            for (name, compiled), (project, path) in cases.items():
                found[name, compiled].append(asyncio.run(cold(bundles[project, compiled], env, path)))
    show({case: tuple(map(statistics.median, zip(*runs, strict=True))) for case, runs in found.items()})


def show(found: dict[tuple[str, bool], tuple[float, ...]]) -> None:
    """Milliseconds, and each case as a multiple of the toy without bytecode."""
    wall, cpu = found["toy, GET", False]
    print(f"{ROUNDS} cold starts each, Python 3.12 in the function, {sys.version.split()[0]} here")
    print(f"{'':16}{'bytecode':>9}{'ms':>8}{'ratio':>7}{'ms CPU':>9}{'ratio':>7}")
    for (name, compiled), (ms, used) in found.items():
        kept = "yes" if compiled else "no"
        print(f"{name:16}{kept:>9}{ms:8.0f}{ms / wall:7.2f}{used:9.0f}{used / cpu:7.2f}")


async def cold(bundle: Bundle, env: dict[str, str], path: str) -> tuple[float, float]:
    """One start in a folder that can't be written to: milliseconds to the end of the first answer, and of processor."""
    began = time.perf_counter()
    async with VercelFunction(bundle, env=env | {"PYTHONDONTWRITEBYTECODE": "1"}, compiled=False) as fn:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            answer = await (http.post(fn.url + path, json=MESSAGE) if "messages" in path else http.get(fn.url + path))
        took = time.perf_counter() - began
        answer.raise_for_status()
        return took * 1000, processor(fn.instances[0].process.pid) * 1000


def processor(pid: int) -> float:
    """Seconds, user and system, that a running process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
