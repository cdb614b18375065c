"""Tokens: asked once for all tabs, never another user's, and no loop where none helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Route

from tests.browser.room import Row, preflights, room
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=4)


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, origin: str) -> Iterator[Service]:
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_ORIGINS": origin, "GAPLESS_JWT_SECRET": SECRET}
    with Service({**env, "GAPLESS_RETRY_MS": "100", "GAPLESS_LIFETIME": "1"}) as service:
        yield service


def made(sub: str = "ann", seconds: float = 600, **rights: list[str]) -> str:
    now = time.time()
    claims = claims_of(now, sub=sub, exp=int(now + seconds))
    return Secret().sign({**claims, **({"gapless": rights} if rights else {})})


OTHER = "(name) => { window.other = client.channel(name); other.subscribe(() => {}); }"
"""Returns nothing: Playwright calls a function that an expression comes to, and `subscribe` returns the one that ends
it. The channel would be left some seconds later."""


class Signer:
    """The page's own server, which makes tokens. `make` may be changed."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.asked = 0

    async def into(self, context: BrowserContext) -> Signer:
        await context.expose_function("makeToken", self._made)
        return self

    def _made(self) -> Any:
        self.asked += 1
        return self.make()


def publish(service: Service, channel: str, data: Any) -> None:
    headers = {"Authorization": f"Bearer {made('root')}"}
    url = f"{service.url}/channels/{channel}/messages"
    httpx.post(url, json={"data": data}, headers=headers, trust_env=False).raise_for_status()


def head(service: Service, channel: str) -> str:
    """The position at the channel's end."""
    url = f"{service.url}/channels/{channel}/messages"
    reply = httpx.get(url, headers={"Authorization": f"Bearer {made()}"}, trust_env=False)
    return str(reply.json()["cursor"])


CLOCK = "() => { const now = Date.now; Date.now = () => now.call(Date) + Number(localStorage.getItem('later') ?? 0); }"
LATER = "localStorage.setItem('later', 601_000)"
"""For all tabs: one that is not yet later would hand its token to those that are. What is stored reaches them late."""


async def test_one_token_for_all_tabs_and_one_more_after_a_sleep(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """Every tab finds that its token has ended; one of them asks. Nobody sees anything of it."""
    signer = await Signer(made).into(context)
    tabs = [await room(context, origin, service.url, "shared", user="ann", token=True) for _ in range(3)]
    assert signer.asked == 1
    publish(service, "shared", "before")
    for tab in tabs:
        await tab.until_shown(["before"])
        await tab.page.evaluate(CLOCK)
    await tabs[0].page.evaluate(LATER)
    for tab in tabs:
        await tab.page.wait_for_function("localStorage.getItem('later')")
    for tab in tabs:
        await tab.page.evaluate("room.older()")
    assert signer.asked == 2
    publish(service, "shared", "after")
    for tab in tabs:
        await tab.until_shown(["before", "after"])
        assert await tab.states() == ["idle", "connecting", "live"]
    assert signer.asked == 2


async def test_one_preflight_for_each_address(context: BrowserContext, origin: str, service: Service) -> None:
    """With tokens: for the first page, the stream and the messages, however many streams and messages follow."""
    await Signer(made).into(context)
    began = len(service.process.lines())
    ann = await room(context, origin, service.url, "asks", user="ann", token=True)
    for number in range(3):
        await ann.send(number)
        await ann.until(ann.shown, lambda rows: rows[-1:] == [Row(number, "sent")], "sent")  # noqa: B023
        await ann.page.wait_for_event("request", lambda request: "/stream?" in request.url)
    assert preflights(service, began) == ["/channels/asks/messages", "/stream", "/channels/asks/messages"]


async def test_a_token_that_is_refused_twice(context: BrowserContext, origin: str, service: Service) -> None:
    """`refused`, in words, and nothing more is asked until the page says so."""
    now = time.time()
    signer = await Signer(lambda: Secret(b"x" * 32).sign(claims_of(now, sub="ann"))).into(context)
    ann = await room(context, origin, service.url, "bad", user="ann", token=True, wait="refused")
    assert signer.asked == 2
    assert (await ann.page.evaluate("client.problem"))["kind"] == "auth"
    await ann.send("kept")
    assert await ann.state() == "refused"
    signer.make = made
    await ann.page.evaluate("client.reconnect()")
    await ann.until_shown(["kept"])
    await ann.until_state("live")
    assert signer.asked == 3


async def test_nobody_is_signed_in(context: BrowserContext, origin: str, service: Service) -> None:
    signer = await Signer(lambda: None).into(context)
    ann = await room(context, origin, service.url, "nobody", user="ann", token=True, wait="refused")
    assert signer.asked == 1
    signer.make = made
    await ann.page.evaluate("client.reconnect()")
    await ann.until_state("live")


async def test_another_user_logs_in_elsewhere(context: BrowserContext, origin: str, service: Service) -> None:
    """Ann's page is asked for a token and is given bob's: nothing of ann's is sent under it."""
    signer = await Signer(lambda: made("bob")).into(context)
    posts: list[str] = []
    context.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    ann = await room(context, origin, service.url, "login", user="ann", token=True, wait="refused")
    bob = await room(context, origin, service.url, "login", user="bob", token=True)
    await ann.send("ann's")
    await bob.send("bob's")
    await bob.until(bob.shown, lambda rows: [row.state for row in rows] == ["sent"], "sent")
    assert (len(posts), await bob.data(), signer.asked) == (1, ["bob's"], 2)


async def test_the_right_to_one_of_two_channels_is_withdrawn(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """The other stays live, the problem stands at the channel, and it comes back without a reload."""
    both, one = {"subscribe": ["kept", "taken"]}, {"subscribe": ["kept"]}
    rights = [both, one]
    signer = await Signer(lambda: made(seconds=8, **rights[min(signer.asked - 1, len(rights) - 1)])).into(context)
    ann = await room(context, origin, service.url, "kept", user="ann", token=True)
    await ann.page.evaluate(OTHER, "taken")
    problem = lambda: ann.page.evaluate("other.problem")  # noqa: E731
    await ann.until(problem, lambda problem: problem and problem["kind"] == "refused", "it is refused")
    publish(service, "kept", "still here")
    await ann.until_shown(["still here"])
    rights[:] = [both]
    publish(service, "taken", "back")
    await ann.page.evaluate("client.reconnect()")
    read = lambda: ann.page.evaluate("other.messages.map(({data}) => data)")  # noqa: E731
    await ann.until(read, lambda data: data == ["back"], "it is back")
    await ann.until(problem, lambda problem: problem is None, "and no problem is left")
    assert await ann.states() == ["idle", "connecting", "live"], "the other one was live all the time"


async def test_a_tab_that_comes_later_hears_of_a_refused_channel(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """The first tab's stream was refused it. What the second one reads of the past is not, as between two rights."""
    signer = await Signer(lambda: made(subscribe=["mine"])).into(context)
    first = await room(context, origin, service.url, "mine", user="ann", token=True)
    page = {"messages": [], "oldest": None, "cursor": head(service, "mine"), "gap": None}

    async def admit(route: Route) -> None:
        await route.fulfill(json=page, headers={"Access-Control-Allow-Origin": "*"})

    await context.route("**/channels/theirs/messages?limit=50", admit)
    problem = "other.problem?.kind"
    second = await room(context, origin, service.url, "mine", user="ann", token=True)
    for tab in (first, second):
        await tab.page.evaluate(OTHER, "theirs")
        await tab.until(lambda: tab.page.evaluate(problem), lambda kind: kind == "refused", "it is refused")  # noqa: B023
        assert await tab.states() == ["idle", "connecting", "live"], "the other channel stays live"
    assert signer.asked == 1
