"""What Upstash's answers, and those that are none, mean: what is said, what is sent again, what is known of a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gapless.log.errors import CorruptLog, StartupRefused, StoreUnavailable
from gapless.stores.attempts import PermanentError
from gapless.stores.scripts import NoScript
from gapless.stores.upstash import rest as upstash_rest
from gapless.stores.upstash.rest import FlagRefused, KeysRefused, Rest, translate
from tests.stores.contract.publications import entries, message, publication
from tests.stores.upstash.use import emulated, until
from tests.testkit.listener import Listener
from tests.testkit.port import free_port
from tests.testkit.upstash import READ_ONLY_TOKEN
from tests.testkit.upstash.faults import Armed
from tests.testkit.valkey import Valkey

LOG = "gapless:{c}:log"


async def unavailable(call: Any) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as error:
        await call
    return error.value


# --- what is set up wrongly


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://name.upstash.io:6379", "not redis://"),
        ("name.upstash.io", "looks like https://"),
        ("https://", "looks like https://"),
        ("https://name.upstash.io:port", "can't be read"),
        ("https://[::1", "can't be read"),
        ("https://name.upstash.io token", "looks like https://"),
    ],
)
def test_a_url_that_can_never_work_is_refused_with_what_it_should_be(url: str, words: str) -> None:
    with pytest.raises(StartupRefused, match="UPSTASH_REDIS_REST_URL") as refused:
        Rest(url, "token")
    assert words in str(refused.value)


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "t\u00f6ken"])
def test_a_token_that_can_never_work_is_refused(token: str) -> None:
    with pytest.raises(StartupRefused, match="UPSTASH_REDIS_REST_TOKEN"):
        Rest("https://name.upstash.io", token)


async def test_blanks_around_url_and_token_are_none_of_theirs(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, _):
        rest = Rest(f" {emulator.url}/\n", f" {emulator.token}\n")
        assert await rest.attempt("PING") == "PONG"
        await rest.close()


async def test_a_wrong_token_is_named_once_and_not_tried_again(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        for call in (lambda s: s.ping(), lambda s: s.publish(publication("c")), lambda s: s.tail("c", 1)):
            error = await unavailable(call(open_store("another")))
            assert isinstance(error, PermanentError)
            assert not error.outcome_unknown
            assert "UPSTASH_REDIS_REST_TOKEN" in error.detail
        armed = emulator.faults.arm("unauthorized")
        await unavailable(open_store().publish(publication("c")))
        assert armed.hits == 1


async def test_a_read_only_token_is_found_by_the_first_check(valkey: Valkey) -> None:
    async with emulated(valkey) as (_, open_store):
        store = open_store(READ_ONLY_TOKEN)
        for call in (store.check, store.check, lambda: store.publish(publication("c"))):
            error = await unavailable(call())
            assert isinstance(error, PermanentError)
            assert "read-only token" in error.detail
        assert await store.tail("c", 1) == []


async def test_whether_a_token_may_write_is_asked_once(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        store = open_store()
        for _ in range(3):
            await store.check()
        assert emulator.counts == {"UNLINK": 1}
        writer = open_store()
        await writer.publish(publication("c"))
        emulator.reset_counts()
        await writer.check()
        assert emulator.counts == {}


async def test_a_url_at_which_nobody_is_says_so() -> None:
    rest = Rest(f"http://127.0.0.1:{free_port()}", "token")
    error = await unavailable(rest.attempt("PING"))
    assert not error.outcome_unknown
    assert "127.0.0.1 can't be reached" in error.detail
    await rest.close()


ODD = {
    "a page": b"<html>not here</html>",
    "another service": b'{"detail":"Not Found"}',
    "an error object": b'{"error":{"code":404,"message":"gone"}}',
    "a list": b"[1,2]",
    "a number": b"7",
    "not base64": b'{"result":"abc"}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
async def test_a_url_at_which_somebody_else_is_says_so(body: bytes) -> None:
    async def answer(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)

    async with Listener(answer) as listener:
        rest = Rest(f"http://127.0.0.1:{listener.port}", "token")
        error = await unavailable(rest.attempt("PING"))
        assert error.outcome_unknown
        await rest.close()
    assert "check the URL" in error.detail or "gone" in error.detail


# --- what is known of a write


class Impatience:
    """Patience with a request that is left without an answer is over when the test says so: by a clock that is hurried
    it might be before the request has come."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._last: asyncio.Timeout
        patch.setattr(upstash_rest, "asyncio", SimpleNamespace(**{**vars(asyncio), "timeout": self._timeout}))

    def _timeout(self, _: float) -> asyncio.Timeout:
        self._last = asyncio.timeout(60.0)
        return self._last

    async def over(self, fault: Armed, ran: Callable[[], bool]) -> None:
        """Once the fault has struck and what it runs before it has run: it is a hang that would wait for ever."""
        await until(lambda: fault.hits and ran(), "a request that meets the fault")
        if fault.kind == "hang":
            self._last.reschedule(asyncio.get_running_loop().time())


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> Impatience:
    return Impatience(monkeypatch)


@pytest.mark.parametrize("fault", ["server_error", "html", "drop_reply", "hang"])
@pytest.mark.parametrize("ran", [True, False])
async def test_a_write_that_may_have_happened_is_not_sent_again(
    valkey: Valkey, impatience: Impatience, fault: Any, ran: bool
) -> None:
    async with emulated(valkey) as (emulator, open_store):
        store = open_store()
        await store.publish(publication("c"))
        armed = emulator.faults.arm(fault, match="EVALSHA", run="first" if ran else "never", times=1)
        publishing = asyncio.create_task(store.publish(publication("c")))
        await impatience.over(armed, lambda: valkey.cli("LLEN", LOG) == 1 + ran)
        error = await unavailable(publishing)
        assert error.outcome_unknown
        assert armed.hits == 1
        assert valkey.cli("LLEN", LOG) == 1 + ran


@pytest.mark.parametrize("fault", ["server_error", "html", "drop_reply", "hang"])
@pytest.mark.parametrize("run", ["first", "never", "held"])
async def test_a_write_with_a_key_is_sent_again_and_stored_once(
    valkey: Valkey, impatience: Impatience, fault: Any, run: str
) -> None:
    """The first one runs before the second, never, or after it."""
    async with emulated(valkey) as (emulator, open_store):
        store = open_store()
        await store.publish(publication("c"))
        armed = emulator.faults.arm(fault, match="EVALSHA", run=run, times=1)
        publishing = asyncio.create_task(store.publish(publication("c", message(1, "id"))))
        await impatience.over(armed, lambda: run != "first" or valkey.cli("LLEN", LOG) == 2)
        outcome = await publishing
        again = await store.publish(publication("c", message(1, "id")))
        released = await emulator.release()
        assert released == (run == "held")
        assert valkey.cli("LLEN", LOG) == 2
        ids = getattr(outcome, "ids", None) or tuple(entry.position for entry in entries(outcome))
        assert again.ids == ids  # type: ignore[union-attr]


async def test_an_unknown_outcome_stays_unknown_though_the_repetition_is_refused(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        store = open_store()
        await store.publish(publication("c"))
        emulator.faults.arm("drop_reply", match="EVALSHA", times=1)
        emulator.faults.arm("unauthorized", match=lambda seen: emulator.faults.hits["drop_reply"] == 1, times=1)
        error = await unavailable(store.publish(publication("c", message(1, "id"))))
        assert error.outcome_unknown
        assert valkey.cli("LLEN", LOG) == 2


async def test_what_a_plan_refuses_is_said_and_not_tried_again(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        armed = emulator.faults.arm("rate_limited")
        error = await unavailable(open_store().publish(publication("c")))
        assert isinstance(error, PermanentError)
        assert "max requests limit exceeded" in error.detail
        assert armed.hits == 1


async def test_a_script_that_is_not_known_costs_one_command_and_no_pause(valkey: Valkey) -> None:
    async with emulated(valkey) as (emulator, open_store):
        await open_store().publish(publication("c"))
        assert (emulator.counts["EVALSHA"], emulator.counts["EVAL"]) == (1, 1)


async def test_bytes_that_are_no_text_are_a_corrupt_log(valkey: Valkey) -> None:
    async with emulated(valkey) as (_, open_store):
        valkey.cli("RPUSH", LOG, b"t9x2k0ab 1 7qd1 0 5 \xff\xfe")
        with pytest.raises(CorruptLog):
            await open_store().tail("c", 1)


REFUSALS = {
    "NOSCRIPT No matching script. Please use EVAL.": NoScript,
    "ERR Unexpected flag in script shebang: allow-key-locking": FlagRefused,
    "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'": FlagRefused,
    "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set": KeysRefused,
    "WRONGTYPE Operation against a key holding the wrong kind of value": CorruptLog,
    "WRONGPASS invalid or missing auth token": PermanentError,
    "NOPERM this user has no permissions to run the 'evalsha' command": PermanentError,
    "ERR max requests limit exceeded. Limit: 500000, Usage: 500000": PermanentError,
    "ERR max request size exceeded. Limit: 10485760 bytes": PermanentError,
    "OOM command not allowed when used memory > 'maxmemory'": StoreUnavailable,
    "ERR internal error": StoreUnavailable,
    "ERR Error running script: execution time limit": StoreUnavailable,
}


@pytest.mark.parametrize("text", REFUSALS)
def test_only_what_is_known_to_have_stopped_before_the_first_write_wrote_nothing(text: str) -> None:
    error = translate(text)
    assert type(error) is REFUSALS[text]
    if isinstance(error, StoreUnavailable):
        assert error.outcome_unknown == text.startswith(("ERR internal", "ERR Error running", "ERR Dynamic"))
