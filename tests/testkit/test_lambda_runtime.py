"""The runtime behind the fronts: one request a process, cold starts, freezes, timeouts, limits, what is counted."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.lambda_runtime import Fault, Front, LambdaFront, Setup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TOY = Path(__file__).parent / "lambda_runtime" / "toy"
MEGABYTE = 1024 * 1024
ALARM = 60


def plain(kind: Front = Front.HTTP_API_V2, **options: Any) -> LambdaFront:
    """The bare handler: it starts in a fifth of the time that FastAPI takes."""
    return LambdaFront("plain.handler", kind, **{"cwd": TOY, **options})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=ALARM) as http:
        yield http


async def until(condition: Callable[[], object]) -> None:
    """Waits for what another process does."""
    async with asyncio.timeout(ALARM):
        while not condition():  # noqa: ASYNC110 - no event reaches us from there
            await asyncio.sleep(0.005)


def named(value: object) -> str:
    """Parameters by the name of their front."""
    return value.name if isinstance(value, Front) else str(value)


def state(pid: int) -> str:
    """The kernel's letter for a process: `T` is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_one_environment_serves_requests_in_turn(client: httpx.AsyncClient) -> None:
    async with plain() as front:
        pids = {(await client.get(f"{front.url}/pid")).text for _ in range(3)}
    assert len(pids) == 1
    first, *rest = front.stats.invocations
    assert (front.stats.cold_starts, front.stats.peak) == (1, 1)
    assert first.cold and first.init_ms > 20 and not any(later.cold for later in rest)
    assert first.billed_ms > first.init_ms and rest[0].billed_ms >= rest[0].duration_ms
    assert len({invocation.request_id for invocation in front.stats.invocations}) == 3


async def test_scales_out_to_its_bound_and_throttles_beyond(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async with plain(concurrency=3) as front:
        url = f"{front.url}/wait?folder={tmp_path}"
        waiting = [asyncio.create_task(client.get(url)) for _ in range(3)]
        await until(lambda: len(list(tmp_path.glob("begun-*"))) == 3)
        refused = await client.get(f"{front.url}/pid")
        (tmp_path / "go").touch()
        served = await asyncio.gather(*waiting)
        after = await client.get(f"{front.url}/pid")
    assert [reply.status_code for reply in served] == [200] * 3
    assert (refused.status_code, refused.json()) == (503, {"message": "Service Unavailable"})
    assert after.status_code == 200
    assert (front.stats.cold_starts, front.stats.peak, front.stats.throttles) == (3, 3, 1)


@pytest.mark.parametrize("freeze", [True, False])
async def test_stops_between_requests_and_goes_on_at_the_next(
    client: httpx.AsyncClient, tmp_path: Path, freeze: bool
) -> None:
    """A second environment that never freezes is the clock: it ticks on while the frozen one must not."""
    ticks, control = tmp_path / "ticks", tmp_path / "control"
    async with plain(freeze=freeze) as front, plain(freeze=False) as clock:
        await client.get(f"{clock.url}/tick?file={control}")
        await client.get(f"{front.url}/tick?file={ticks}")
        (record,) = front.stats.environments
        if freeze:
            await until(lambda: state(record.pid) == "T")
        before, begun = ticks.stat().st_size if ticks.exists() else 0, control.stat().st_size
        await until(lambda: control.stat().st_size > begun + 40)

        def during() -> int:
            return (ticks.stat().st_size if ticks.exists() else 0) - before

        if freeze:
            assert during() == 0
        else:
            await until(during)
        assert record.stopped == (1 if freeze else 0)
        assert (await client.get(f"{front.url}/pid")).text == str(record.pid)
    assert front.stats.cold_starts == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Front.HTTP_API_V2, 500),
        (Front.HTTP_API_V1, 500),
        (Front.REST_API, 502),
        (Front.FUNCTION_URL, 502),
        (Front.ALB, 502),
        (Front.ALB_MULTI_VALUE, 502),
    ],
    ids=named,
)
async def test_kills_at_the_timeout_and_starts_anew(client: httpx.AsyncClient, kind: Front, status: int) -> None:
    async with plain(kind, timeout=2.0) as front:
        reply = await client.get(f"{front.url}/hang")
        killed = front.stats.environments[0]
        while (await client.get(f"{front.url}/pid")).status_code != 200:
            pass  # it has as long: where the machine stands still meanwhile, one more is killed
    assert reply.status_code == status
    times = front.stats.timeouts
    assert times >= 1 and (front.stats.failures, front.stats.cold_starts) == (times, times + 1)
    assert front.stats.faults == [Fault.FUNCTION_TIMEOUT] * times and killed.ended == "timed out"
    assert front.stats.invocations[0].duration_ms >= 1_900
    with pytest.raises(ProcessLookupError):
        os.kill(killed.pid, 0)


@pytest.mark.parametrize(
    ("kind", "status"),
    [(Front.HTTP_API_V2, 503), (Front.REST_API, 504)],
    ids=named,
)
async def test_a_front_that_gives_up_leaves_the_function_running(
    client: httpx.AsyncClient, tmp_path: Path, kind: Front, status: int
) -> None:
    async with plain(kind, front_timeout=0.5) as front:
        reply = await client.get(f"{front.url}/wait?folder={tmp_path}")
        assert reply.status_code == status and front.stats.faults == [Fault.FRONT_TIMEOUT]
        assert front.stats.invocations == [] and front.stats.busy == 1
        (tmp_path / "go").touch()
        await until(lambda: front.stats.invocations)
    assert front.stats.invocations[0].fault is None and front.stats.invocations[0].billed_ms > 400


async def test_a_client_that_leaves_does_not_stop_the_function(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async with plain() as front:
        leaving = asyncio.create_task(client.get(f"{front.url}/wait?folder={tmp_path}"))
        await until(lambda: list(tmp_path.glob("begun-*")))
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
        (tmp_path / "go").touch()
        await until(lambda: front.stats.invocations)
    assert front.stats.invocations[0].fault is None


@pytest.mark.parametrize(("path", "ended"), [("raise", "closed"), ("crash", "exit status 3")])
async def test_errors_of_the_handler_are_the_fronts_own_reply(client: httpx.AsyncClient, path: str, ended: str) -> None:
    async with plain(concurrency=1) as front:
        reply = await client.get(f"{front.url}/{path}")
        assert (await client.get(f"{front.url}/pid")).status_code == 200
    assert (reply.status_code, reply.json()) == (500, {"message": "Internal Server Error"})
    assert front.stats.faults == [Fault.FUNCTION_ERROR] and front.stats.failures == 1
    assert front.stats.environments[0].ended == ended
    assert ("as told" if path == "raise" else "last words") in front.stats.environments[0].log


async def test_a_function_that_cannot_start_says_so_in_its_log(client: httpx.AsyncClient) -> None:
    async with LambdaFront("absent.handler", Front.REST_API, cwd=TOY) as front:
        reply = await client.get(f"{front.url}/pid")
    assert (reply.status_code, reply.json()) == (502, {"message": "Internal server error"})
    assert "Unable to import module 'absent'" in front.stats.log
    assert front.stats.environments[0].ended == "exit status 1"


async def test_a_start_that_takes_too_long_is_cut(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("import signal\nsignal.pause()\n")
    async with plain(cwd=tmp_path, init_timeout=0.1) as front:
        reply = await client.get(f"{front.url}/pid")
    assert reply.status_code == 500 and front.stats.failures == 1 and front.stats.timeouts == 0
    assert front.stats.environments[0].ended == "never ready"


async def test_a_result_of_the_wrong_shape_is_refused(client: httpx.AsyncClient) -> None:
    async with plain(Front.FUNCTION_URL) as front:
        reply = await client.get(f"{front.url}/odd")
    assert (reply.status_code, reply.text) == (502, "Internal Server Error")
    assert front.stats.faults == [Fault.BAD_RESULT] and front.stats.failures == 0


@pytest.mark.parametrize(
    ("kind", "largest", "status"),
    [(Front.HTTP_API_V2, 6 * MEGABYTE, 500), (Front.FUNCTION_URL, 6 * MEGABYTE, 502), (Front.ALB, MEGABYTE, 502)],
    ids=named,
)
async def test_limits_what_a_function_may_return(
    client: httpx.AsyncClient, kind: Front, largest: int, status: int
) -> None:
    async with plain(kind) as front:
        fits = await client.get(f"{front.url}/size?bytes={largest - 200}")
        breaks = await client.get(f"{front.url}/size?bytes={largest + 1}")
        again = await client.get(f"{front.url}/pid")
    assert (fits.status_code, len(fits.content)) == (200, largest - 200)
    assert breaks.status_code == status and front.stats.faults == [Fault.RESULT_TOO_LARGE]
    # Lambda itself refuses 6 MB, and the runtime dies of it; a load balancer refuses what the function has well done.
    by_lambda = kind is not Front.ALB
    assert front.stats.failures == front.stats.cold_starts - 1 == int(by_lambda)
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("kind", "largest"),
    [(Front.HTTP_API_V2, 6 * MEGABYTE), (Front.REST_API, 6 * MEGABYTE), (Front.ALB, MEGABYTE)],
    ids=named,
)
async def test_limits_what_a_client_may_send(client: httpx.AsyncClient, kind: Front, largest: int) -> None:
    async with plain(kind) as front:
        headers = {"content-type": "text/plain"}
        # The limit of 6 MB is on the event, so the rest of the event must find room too.
        fits = await client.post(f"{front.url}/pid", content=b"x" * (largest - 4096), headers=headers)
        breaks = await client.post(f"{front.url}/pid", content=b"x" * (largest + 1), headers=headers)
        huge = await client.post(f"{front.url}/pid", content=b"x" * (10 * MEGABYTE + 1), headers=headers)
    assert [reply.status_code for reply in (fits, breaks, huge)] == [200, 413, 413]
    assert front.stats.faults == [Fault.REQUEST_TOO_LARGE] * 2 and len(front.stats.invocations) == 1


async def test_limits_the_headers_of_an_api_gateway(client: httpx.AsyncClient) -> None:
    async with plain() as front:
        reply = await client.get(f"{front.url}/pid", headers={"x-long": "x" * 10_240})
    assert reply.status_code == 431 and front.stats.faults == [Fault.HEADERS_TOO_LARGE]


async def test_outside_the_stage_there_is_nothing(client: httpx.AsyncClient) -> None:
    async with plain(setup=Setup(stage="beta")) as front:
        assert front.url.endswith("/beta")
        inside = await client.get(f"{front.url}/pid")
        outside = await client.get(front.url.removesuffix("/beta") + "/betamax/pid")
    assert (inside.status_code, outside.status_code) == (200, 404)
    assert front.stats.faults == [Fault.NO_ROUTE]


async def test_names_the_tasks_and_timers_that_outlive_a_reply(client: httpx.AsyncClient) -> None:
    async with plain(watch_leftovers=True) as front:
        await client.get(f"{front.url}/pid")
        await client.get(f"{front.url}/leave")
        clean, left = (front.stats.leftovers[run.request_id] for run in front.stats.invocations)
    assert clean == [] and len(left) == 2 and "left-behind" in left[0] and "_wait" in left[1]


@pytest.mark.parametrize("isolated", [True, False])
async def test_an_unzipped_package_finds_only_itself_and_the_runtime(
    client: httpx.AsyncClient, tmp_path: Path, isolated: bool
) -> None:
    (tmp_path / "plain.py").write_bytes((TOY / "plain.py").read_bytes())
    async with plain(cwd=tmp_path, isolated=isolated) as front:
        modules = ["awslambdaric", "fastapi", "httpx", "pytest"]
        found = [(await client.get(f"{front.url}/importable?module={name}")).text for name in modules]
        path = (await client.get(f"{front.url}/path")).text
    assert found == ["yes"] + (["no", "no", "no"] if isolated else ["yes", "yes", "yes"])
    assert not isolated or str(Path.cwd()) not in path.split(";")
    assert (tmp_path / "__pycache__").exists() is not isolated


async def test_the_process_has_lambdas_variables_and_the_given_ones_and_no_other(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_TESTS", "must stay here")
    async with plain(env={"GIVEN": "ä", "AWS_REGION": "eu-north-1"}, memory=256) as front:

        async def seen(name: str) -> str:
            return (await client.get(f"{front.url}/env?name={name}")).text

        assert await seen("OF_THE_TESTS") == "unset"
        assert (await seen("GIVEN"), await seen("AWS_REGION")) == ("ä", "eu-north-1")
        assert await seen("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") == "256"
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        assert await seen("AWS_EXECUTION_ENV") == f"AWS_Lambda_python{minor}"
        assert await seen("LAMBDA_TASK_ROOT") == str(TOY)


async def test_ends_its_processes_even_stopped_and_busy_ones(client: httpx.AsyncClient) -> None:
    async with plain() as front:
        hanging = asyncio.create_task(client.get(f"{front.url}/hang"))
        await until(lambda: front.stats.busy == 1)
        await client.get(f"{front.url}/pid")
        pids = [record.pid for record in front.stats.environments]
        await until(lambda: "T" in {state(pid) for pid in pids if Path(f"/proc/{pid}").exists()})
    with suppress(httpx.HTTPError):
        await hanging
    assert len(pids) == 2 and 0 not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
