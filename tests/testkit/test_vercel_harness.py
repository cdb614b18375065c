"""The Vercel harness, tried on a toy: if it lies about the platform, every test on it does."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.vercel import GRACE, Bundle, VercelFunction, build, kept_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOY = Path(__file__).parent / "vercel" / "toy"

pytestmark = pytest.mark.real(seconds=5)


@pytest.fixture(scope="module")
def toy() -> Bundle:
    return build(TOY)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


async def first_event(events: AsyncIterator[str]) -> str:
    return await anext(line async for line in events if line.startswith("data: "))


def test_the_bundle_is_what_the_project_says(toy: Bundle) -> None:
    assert toy.config["supportsResponseStreaming"] is True
    assert toy.config["runtime"] == "python3.12"
    assert toy.max_duration == 7
    built = {"vc__handler__python.py"}
    assert toy.own - built == {"app/__init__.py", "app/main.py", "app/lua/one.lua", "app/static/page.js"}
    assert {"fastapi", "vercel-runtime"} <= toy.distributions
    assert (toy.root / "app/lua/one.lua").read_text() == "return 1\n"


def test_the_same_sources_are_built_once(toy: Bundle) -> None:
    assert build(TOY) == toy
    assert toy.root.parent == kept_in(TOY)
    assert kept_in(TOY, env={"UNUSED": "1"}) != kept_in(TOY)  # and so another would be built


async def test_a_function_sees_what_vercel_shows(
    toy: Bundle, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "yes")
    sent = {"x-vercel-internal-deadline": "2000-01-01T00:00:00Z", "x-forwarded-for": "10.0.0.1", "x-mine": "1"}
    async with VercelFunction(toy, env={"SETTING": "yes"}, max_duration=5) as fn:
        before = time.time()
        answer = await http.get(fn.url, headers=sent)
        seen = answer.json()
        after = time.time()
    assert before + 4.99 < seen["deadline"] < after + 5
    assert seen["client"] == seen["headers"]["x-forwarded-for"] == "203.0.113.7"
    assert (seen["scheme"], seen["headers"]["x-mine"]) == ("https", "1")
    assert not [name for name in seen["headers"] if name.startswith("x-vercel-internal-")]
    assert not [name for name in answer.headers if name.startswith("x-vercel-internal-")]
    assert seen["environment"]["SETTING"] == "yes"
    assert seen["environment"]["VERCEL"] == "1"
    assert "ONLY_HERE" not in seen["environment"]
    assert seen["folder"] == str(toy.root)
    assert toy.present() == toy.files
    assert (fn.tally["requests"], fn.tally["cut"], fn.tally["failed"]) == (1, 0, 0)


async def test_a_deadline_can_be_kept_from_the_function(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, deadline_told=False) as fn:
        assert (await http.get(fn.url)).json()["deadline"] is None


async def test_an_answer_is_passed_on_as_it_comes(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy) as fn, http.stream("GET", f"{fn.url}/ticks") as stream:
        lines = stream.aiter_lines()
        assert await first_event(lines) == "data: 0"
        assert (await http.post(f"{fn.url}/tick")).status_code == 200  # beside the stream, same process
        assert await first_event(lines) == "data: 1"
        await auntil(lambda: fn.running == 1, "the stream alone runs on")


async def test_an_answer_is_cut_at_the_deadline_without_a_last_chunk(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, max_duration=4) as fn:
        async with http.stream("GET", f"{fn.url}/ticks") as stream:
            lines = stream.aiter_lines()
            assert await first_event(lines) == "data: 0"
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                await first_event(lines)
        await auntil(lambda: "the stream ends" in fn.log, "the function is cut off, too")
        fn.allow(60)
        assert (await http.get(fn.url)).status_code == 200
        assert (fn.tally["cut"], fn.tally["abandoned"], fn.tally["failed"]) == (1, 0, 0)
        assert len(fn.gone) == 0


async def test_a_deadline_can_fall_between_any_two_bytes(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy) as fn, http.stream("GET", f"{fn.url}/ticks") as stream:
        raw = stream.aiter_raw()
        assert await anext(raw) == b"data: 0\n\n"
        assert fn.cut(after=9) == 1  # the size of the chunk takes three bytes
        await http.post(f"{fn.url}/tick")
        assert await anext(raw) == b"data: "
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await anext(raw)
        assert (fn.tally["cut"], fn.tally["failed"]) == (1, 0)


async def test_the_instance_can_die_with_a_request_that_was_too_long(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, max_duration=2, at_deadline="kill") as fn:
        late = await http.get(f"{fn.url}/silent")
        assert (late.status_code, late.headers["x-vercel-error"]) == (504, "FUNCTION_INVOCATION_TIMEOUT")
        fn.allow(60)
        assert (await http.get(fn.url)).status_code == 200
        assert [instance.process.returncode for instance in fn.gone] == [-signal.SIGKILL]


async def test_the_function_does_not_hear_that_a_client_has_left(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, max_duration=60) as fn:
        async with http.stream("GET", f"{fn.url}/ticks") as stream:
            await first_event(stream.aiter_lines())
        await auntil(lambda: fn.tally["abandoned"], "the edge has noticed")
        for _ in range(3):
            await http.post(f"{fn.url}/tick")  # the stream writes to nobody
        await auntil(lambda: fn.instances[0].handled == 3, "only the three have ended")
        assert (fn.running, fn.tally["cut"], fn.tally["failed"]) == (1, 0, 0)
        assert "the stream ends" not in fn.log


async def test_it_hears_it_with_cancellation(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, cancellation=True) as fn:
        async with http.stream("GET", f"{fn.url}/ticks") as stream:
            await first_event(stream.aiter_lines())
            await auntil(lambda: fn.running == 1, "the handler runs")
        await auntil(lambda: fn.running == 0, "the handler ends", alarm=30)
        assert (fn.tally["abandoned"], fn.tally["cut"]) == (1, 0)
        await auntil(lambda: "the stream ends" in fn.log, "the log says so")


async def test_sigterm_ends_an_idle_instance_through_its_lifespan(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy) as fn:
        await http.get(fn.url)
        farewell = await fn.terminate(grace=60 * GRACE)
        assert (farewell.code, farewell.instance.log) == (-signal.SIGTERM, "lifespan begins\nlifespan ends")
        assert (await http.get(fn.url)).status_code == 200
        assert len(fn.instances) == len(fn.gone) == 1


async def test_sigterm_waits_for_open_streams_until_they_are_cut(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy) as fn, http.stream("GET", f"{fn.url}/ticks") as stream:
        lines = stream.aiter_lines()
        await first_event(lines)
        farewell = await fn.terminate()
        assert (farewell.code, farewell.instance.log) == (-signal.SIGKILL, "lifespan begins")
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await first_event(lines)


async def test_requests_go_to_instances_at_random_but_repeatably(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, instances=2, seed=1) as fn:
        order = [(await http.get(fn.url)).json()["pid"] for _ in range(12)]
        pids = [instance.process.pid for instance in fn.instances]
        killed = await fn.kill()
        later = {(await http.get(fn.url)).json()["pid"] for _ in range(12)}
    async with VercelFunction(toy, instances=2, seed=1) as again:
        repeated = [(await http.get(again.url)).json()["pid"] for _ in range(12)]
        new = [instance.process.pid for instance in again.instances]
    assert {pids.index(pid) for pid in order} == {0, 1}
    assert [pids.index(pid) for pid in order] == [new.index(pid) for pid in repeated]
    assert killed.instance.process.pid not in later
    assert len(later) == 2


async def test_an_idle_instance_is_frozen_and_wakes_for_a_request(toy: Bundle, http: httpx.AsyncClient) -> None:
    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

    async with VercelFunction(toy, freeze=True) as fn:
        (instance,) = fn.instances
        await auntil(lambda: state(instance.process.pid) == "T", "it is frozen")
        assert (await http.get(fn.url)).json()["pid"] == instance.process.pid
        await auntil(lambda: state(instance.process.pid) == "T", "it is frozen again")
        async with http.stream("GET", f"{fn.url}/ticks") as stream:
            lines = stream.aiter_lines()
            await first_event(lines)
            await http.post(f"{fn.url}/tick")
            assert await first_event(lines) == "data: 1"
            assert (state(instance.process.pid) == "T", instance.freezes) == (False, 2)


async def test_sigterm_reaches_a_frozen_instance(toy: Bundle) -> None:
    async with VercelFunction(toy, freeze=True) as fn:
        await auntil(lambda: fn.instances[0].freezes, "it is frozen")
        farewell = await fn.terminate(grace=60 * GRACE)
        assert farewell.code == -signal.SIGTERM


async def test_a_function_that_breaks_at_import_tells_only_the_log(toy: Bundle, http: httpx.AsyncClient) -> None:
    env = {"TOY_BREAKS": "import"}
    with pytest.raises(RuntimeError, match="the toy breaks at import"):
        async with VercelFunction(toy, env=env):
            pass
    async with VercelFunction(toy, env=env, check=False) as fn:
        answer = await http.get(fn.url)
        assert (answer.status_code, "the toy" in answer.text) == (500, False)
        assert answer.headers["x-vercel-error"] == "FUNCTION_INVOCATION_FAILED"
        assert "the toy breaks at import" in fn.log
        assert "the toy breaks at import" in str(fn.gone[0].failure)


async def test_a_function_that_breaks_in_its_lifespan_tells_only_the_log(toy: Bundle, http: httpx.AsyncClient) -> None:
    async with VercelFunction(toy, env={"TOY_BREAKS": "lifespan"}, check=False) as fn:
        answer = await http.get(fn.url)
        assert answer.headers["x-vercel-error"] == "FUNCTION_INVOCATION_FAILED"
        await auntil(lambda: "the toy breaks in its lifespan" in fn.log, "the log says so")
        assert fn.tally["failed"] == 1


async def test_bodies_arrive_whole_up_to_vercels_limit(toy: Bundle, http: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000

    async with VercelFunction(toy) as fn:
        assert (await http.post(f"{fn.url}/size", content=b"x" * 1_000_000)).json() == 1_000_000
        assert (await http.post(f"{fn.url}/size", content=chunks())).json() == 300_000
        large = await http.post(f"{fn.url}/size", content=b"x" * 4_500_001)
        assert (large.status_code, large.headers["x-vercel-error"]) == (413, "FUNCTION_PAYLOAD_TOO_LARGE")
        assert fn.tally["refused"] == 1
