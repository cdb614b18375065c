"""Where keys come from: fetched once for all who wait, kept, rotated, and never asked for more often than is decent."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import pytest

from gapless.auth import verifier as keys_module
from gapless.auth.grant import Grant
from gapless.auth.tokens import Expected
from gapless.auth.verifier import AGAIN, EARLY, FROZEN, KEEP, MOST_BYTES, MOST_SAID, RETRY, TokenVerifier
from gapless.log.errors import KeysUnavailable, StoreUnavailable, Unauthorized
from tests.testkit.alarm import auntil
from tests.testkit.forge import OTHER_SECRET, SECRET, Published, Secret, Signer, claims_of, unsigned
from tests.testkit.key_server import KeyServer, reply

NOW = 1_767_225_600.0
ONE, TWO, THREE = (Published("EC", f"key {number}", number) for number in range(3))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer(ONE.jwk) as server:
        yield server


@pytest.fixture
async def keys(server: KeyServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TokenVerifier]:
    monkeypatch.setattr(keys_module, "TIMEOUT", 15.0)  # what hangs here is let go by hand
    keys = TokenVerifier((), server.url, Expected(), clock)
    yield keys
    await keys.close()


def fetches() -> set[asyncio.Task[None]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == "gapless keys"}


async def refreshed() -> None:
    """The fetch in the background has ended, and what is to be done at its end is done."""
    if under_way := fetches():
        await asyncio.wait(under_way)
    await asyncio.sleep(0)


def token(signer: Signer) -> str:
    return signer.sign(claims_of(NOW, exp=int(NOW) + 100_000))


async def test_keys_are_fetched_with_the_first_token_and_kept(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    assert server.requests == 0
    for _ in range(3):
        assert (await keys.verify(token(ONE))).user == "ann"
    clock.now += EARLY - 1
    await keys.verify(token(ONE))
    assert server.requests == 1
    clock.now += 1
    await keys.verify(token(ONE))
    await refreshed()
    assert server.requests == 2


async def test_all_who_wait_share_one_fetch(server: KeyServer, keys: TokenVerifier) -> None:
    server.gate.clear()
    waiting = [asyncio.create_task(keys.verify(token(ONE))) for _ in range(50)]
    strangers = [asyncio.create_task(keys.verify(token(TWO))) for _ in range(50)]
    await auntil(lambda: server.requests, "the fetch has begun")
    waiting[0].cancel()
    server.gate.set()
    outcomes = await asyncio.gather(*waiting, *strangers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError), "and one who leaves takes nothing from the others"
    assert all(isinstance(outcome, Grant) for outcome in outcomes[1:50])
    assert all(isinstance(outcome, Unauthorized) for outcome in outcomes[50:])
    assert server.requests == 1


# --- rotation


async def test_a_new_key_is_found_and_an_old_one_forgotten(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    await keys.verify(token(ONE))
    server.keys = [ONE.jwk, TWO.jwk]
    clock.now += AGAIN
    assert await keys.verify(token(TWO))
    assert await keys.verify(token(ONE))
    assert server.requests == 2
    server.keys = [TWO.jwk]
    clock.now += KEEP
    assert await keys.verify(token(TWO))
    with pytest.raises(Unauthorized, match="published"):
        await keys.verify(token(ONE))


async def test_a_stranger_can_not_make_us_ask_more_often(server: KeyServer, keys: TokenVerifier, clock: Clock) -> None:
    await keys.verify(token(ONE))
    for number in range(100):
        with pytest.raises(Unauthorized):
            await keys.verify(token(Published("EC", f"unknown {number}", 1)))
        clock.now += AGAIN / 100
    assert server.requests <= 2
    await keys.verify(token(ONE))


async def test_a_clock_that_is_set_back_does_not_stop_the_fetching(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    await keys.verify(token(ONE))
    server.keys = [TWO.jwk]
    clock.now -= 50_000
    assert await keys.verify(token(TWO))
    assert server.requests == 2


# --- in the background


async def test_known_keys_wait_for_no_fetch(server: KeyServer, keys: TokenVerifier, clock: Clock) -> None:
    """Whoever publishes hangs: every request with a known key took three seconds more at each refresh."""
    await keys.verify(token(ONE))
    server.gate.clear()
    clock.now += EARLY
    for _ in range(20):
        assert await keys.verify(token(ONE))
        assert fetches(), "it was not waited for"
    await auntil(lambda: server.requests == 2, "the fetch has begun")
    server.keys = [ONE.jwk, TWO.jwk]
    server.gate.set()
    await refreshed()
    assert await keys.verify(token(TWO))
    assert server.requests == 2


async def test_for_as_long_as_it_hangs(server: KeyServer, keys: TokenVerifier, clock: Clock) -> None:
    await keys.verify(token(ONE))
    for number in range(5):
        server.answer = FAILURES["no answer"]
        server.gate.clear()
        clock.now += EARLY
        assert await keys.verify(token(ONE))
        assert fetches(), "it was not waited for"
        await auntil(lambda: server.requests == number + 2, "it is asked again and again")  # noqa: B023
        server.gate.set()
        await refreshed()


async def test_a_key_that_was_withdrawn_while_nobody_came_is_asked_for_first(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    await keys.verify(token(ONE))
    server.keys = [TWO.jwk]
    clock.now += KEEP
    with pytest.raises(Unauthorized, match="published"):
        await keys.verify(token(ONE))


async def test_a_fetch_that_was_frozen_says_nothing(server: KeyServer, keys: TokenVerifier, clock: Clock) -> None:
    """As on Lambda, between two requests: whoever comes then asks again, and an old key does not go on for ever."""
    await keys.verify(token(ONE))
    server.gate.clear()
    clock.now += EARLY
    assert await keys.verify(token(ONE))
    await auntil(lambda: server.requests == 2, "the fetch has begun")
    clock.now += KEEP
    server.keys, server.answers = [TWO.jwk], [FAILURES["no answer"]]
    asking = asyncio.create_task(keys.verify(token(ONE)))
    await asyncio.sleep(0)
    server.gate.set()
    with pytest.raises(Unauthorized, match="published"):
        await asking


async def test_one_that_was_frozen_is_begun_again_for_an_unknown_key(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    server.gate.clear()
    asking = asyncio.create_task(keys.verify(token(ONE)))
    await auntil(lambda: server.requests == 1, "the fetch has begun")
    clock.now += FROZEN
    server.answers = [FAILURES["no answer"]]
    server.gate.set()
    assert (await asking).user == "ann"
    assert server.requests == 2


async def test_what_nobody_waits_for_is_ended_with_the_service(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    await keys.verify(token(ONE))
    server.silent = True
    clock.now += EARLY
    await keys.verify(token(ONE))
    await auntil(lambda: server.requests == 2, "the fetch has begun")
    await keys.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "gapless keys"]


# --- failure

FAILURES: dict[str, bytes] = {
    "an error": reply(b"{}", "500 Internal Server Error"),
    "not there": reply(b"{}", "404 Not Found"),
    "elsewhere": reply(b"", "302 Found", "Location: http://127.0.0.1:1/"),
    "HTML": reply(b"<!doctype html>"),
    "no list": reply(b'{"keys": 5}'),
    "no set": reply(b"[]"),
    "nothing": reply(b"{}"),
    "bottomless": reply(b'{"keys":' + b"[" * 100_000),
    "cut off": reply(b'{"keys":[]}')[:-3],
    "not HTTP": b"+PONG\r\n",
    "no answer": b"",
    "compressed": reply(gzip.compress(b'{"keys":[]}'), "200 OK", "Content-Encoding: gzip"),
    "endless": reply(b" " * (MOST_BYTES + 1) + b'{"keys":[]}'),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_without_keys_nobody_can_be_told_apart(
    server: KeyServer, keys: TokenVerifier, failure: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = failure
    with pytest.raises(KeysUnavailable) as raised:
        await keys.verify(token(ONE))
    assert isinstance(raised.value, StoreUnavailable), "streams and problems answer it as they answer any outage"
    assert not raised.value.outcome_unknown
    assert server.requests == 1
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("the keys at GAPLESS_JWKS_URL can't be fetched: ")
    assert "hunter2" not in line + str(raised.value)


async def test_a_set_is_asked_for_as_it_is(server: KeyServer, keys: TokenVerifier) -> None:
    await keys.verify(token(ONE))
    assert b"\r\naccept-encoding: identity\r\n" in server.heads[0].lower()


async def test_who_publishes_is_not_hammered_while_it_is_down(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    server.answer = FAILURES["an error"]
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            await keys.verify(token(ONE))
    assert server.requests == 1
    server.answer = None
    clock.now += RETRY
    assert await keys.verify(token(ONE))
    assert server.requests == 2


async def test_silence_is_a_failure_and_is_waited_for_once(
    server: KeyServer, keys: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "TIMEOUT", 3.0)
    server.silent = True
    outcomes = await asyncio.gather(*(keys.verify(token(ONE)) for _ in range(30)), return_exceptions=True)
    assert all(isinstance(outcome, KeysUnavailable) for outcome in outcomes)
    assert server.requests == 1


async def test_a_trickle_is_a_failure(server: KeyServer, keys: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and the whole never does."""
    monkeypatch.setattr(keys_module, "TIMEOUT", 3.0)
    server.trickle = 0.05
    with pytest.raises(KeysUnavailable):
        await keys.verify(token(ONE))
    assert server.requests == 1


async def test_old_keys_go_on_while_new_ones_can_not_be_had(
    server: KeyServer, keys: TokenVerifier, clock: Clock
) -> None:
    await keys.verify(token(ONE))
    server.answer = FAILURES["an error"]
    clock.now += KEEP
    for _ in range(20):
        assert await keys.verify(token(ONE))
    await refreshed()
    assert server.requests == 2, "one attempt, and then not again for a while"
    with pytest.raises(KeysUnavailable):
        await keys.verify(token(TWO))
    clock.now += RETRY
    with pytest.raises(KeysUnavailable):
        await keys.verify(token(TWO))
    assert server.requests == 3
    server.answer, server.keys = None, [TWO.jwk]
    clock.now += AGAIN
    assert await keys.verify(token(TWO))


async def test_nobody_there(clock: Clock) -> None:
    for url in ("http://127.0.0.1:1/keys", "http://[/", "https://127.0.0.1:1/"):
        with pytest.raises(KeysUnavailable):
            await TokenVerifier((), url, Expected(), clock).verify(token(ONE))


# --- which key


async def test_keys_of_two_kinds_under_one_id_are_both_tried(server: KeyServer, keys: TokenVerifier) -> None:
    both = [Published("RSA", "same"), Published("EC", "same")]
    server.keys = [signer.jwk for signer in both]
    for signer in both:
        assert (await keys.verify(token(signer))).user == "ann"
        with pytest.raises(Unauthorized, match="signature"):
            await keys.verify(signer.sign_by_another(claims_of(NOW)))
        with pytest.raises(Unauthorized, match="signature"):
            await keys.verify(signer.confuse(claims_of(NOW)))
    with pytest.raises(Unauthorized, match="expired"):
        await keys.verify(both[0].sign(claims_of(NOW, exp=int(NOW) - 60)))


async def test_what_can_not_be_used_is_logged_once(
    server: KeyServer, keys: TokenVerifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    server.keys = [ONE.jwk, *({"kty": "oct", "kid": f"{number}", "k": "c2VjcmV0"} for number in range(MOST_SAID + 5))]
    await keys.verify(token(ONE))
    assert len(said()) == MOST_SAID
    assert said()[0].startswith("of the keys at GAPLESS_JWKS_URL, the entry '0' verifies no token: ")
    assert "c2VjcmV0" not in caplog.text
    clock.now += EARLY
    await keys.verify(token(ONE))
    await refreshed()
    assert len(said()) == MOST_SAID, "until it changes"


async def test_tokens_of_both_secrets_are_honoured_while_one_is_changed(clock: Clock) -> None:
    both = TokenVerifier([OTHER_SECRET, SECRET], None, Expected(), clock)
    for secret in (SECRET, OTHER_SECRET):
        assert (await both.verify(Secret(secret).sign(claims_of(NOW)))).user == "ann"
        with pytest.raises(Unauthorized, match="expired"):
            await both.verify(Secret(secret).sign(claims_of(NOW, exp=int(NOW) - 60)))
    with pytest.raises(Unauthorized, match="signature"):
        await both.verify(Secret("a third secret, and as long as both").sign(claims_of(NOW)))


async def test_a_token_that_names_no_key_has_the_only_one(server: KeyServer, keys: TokenVerifier) -> None:
    anonymous = Published("EC", None, 0)
    assert await keys.verify(token(anonymous))
    server.keys = [ONE.jwk, TWO.jwk]
    with pytest.raises(Unauthorized):
        await TokenVerifier((), server.url, Expected(), lambda: NOW).verify(token(anonymous))


async def test_keys_for_something_else_are_not_among_ours(server: KeyServer, keys: TokenVerifier) -> None:
    server.keys = [{**TWO.jwk, "use": "enc"}, {"kty": "oct", "kid": "key 2", "k": "c2VjcmV0"}, ONE.jwk]
    assert await keys.verify(token(Published("EC", None, 0))), "there is only one that verifies"
    with pytest.raises(Unauthorized):
        await keys.verify(token(TWO))


@pytest.mark.parametrize("kid", [None, "key 0"])
async def test_secret_and_published_keys_side_by_side(server: KeyServer, clock: Clock, kid: str | None) -> None:
    both = TokenVerifier([SECRET], server.url, Expected(), clock)
    assert (await both.verify(Secret().sign(claims_of(NOW, sub="server")))).user == "server"
    assert server.requests == 0, "the secret needs nobody"
    assert (await both.verify(token(Published("EC", kid, 0)))).user == "ann"
    for bad in (ONE.confuse(claims_of(NOW)), Secret().confuse(claims_of(NOW)), unsigned(claims_of(NOW))):
        with pytest.raises(Unauthorized):
            await both.verify(bad)


async def test_an_old_token_of_the_secret_is_not_looked_for_elsewhere(server: KeyServer, clock: Clock) -> None:
    both = TokenVerifier([SECRET], server.url, Expected(), clock)
    with pytest.raises(Unauthorized, match="expired"):
        await both.verify(Secret().sign(claims_of(NOW, exp=int(NOW) - 60)))
    assert server.requests == 0


async def test_without_published_keys_the_secret_decides(clock: Clock) -> None:
    alone = TokenVerifier([SECRET], None, Expected(), clock)
    assert await alone.verify(Secret().sign(claims_of(NOW)))
    with pytest.raises(Unauthorized, match="signature"):
        await alone.verify(token(ONE))
