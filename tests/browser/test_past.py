"""What was before: older messages, edits of what is loaded and of what is not, what was read, who types."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Route

from tests.browser.room import room
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=4)


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, origin: str) -> Iterator[Service]:
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_ORIGINS": origin, "GAPLESS_CAP": "5000", "GAPLESS_RATE": "0"}
    with Service(
        {**env, "GAPLESS_NAMESPACES": '{"": {"signals": true, "receipts": true, "presence": true}, "quiet": {}}'}
    ) as service:
        yield service


def publish(service: Service, channel: str, *bodies: dict[str, Any]) -> list[str]:
    """The ids."""
    ids: list[str] = []
    for start in range(0, len(bodies), 100):
        url = f"{service.url}/channels/{channel}/messages"
        reply = httpx.post(url, json=list(bodies[start : start + 100]), trust_env=False)
        ids += [one["id"] for one in reply.raise_for_status().json()]
    return ids


async def test_older_over_two_thousand_entries_of_which_most_are_edits(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """One 429 on the way, and live ones come meanwhile: nothing below the reader is dropped, the start is told."""
    first = publish(service, "older", *({"data": number, "user": "bob"} for number in range(800)))
    edits = [{"event": "edit", "ref": first[n % 800], "data": f"edit {n}", "user": "bob"} for n in range(1190)]
    publish(service, "older", *edits)
    publish(service, "older", *({"data": f"new {n}", "user": "bob"} for n in range(10)))
    page = await context.new_page()
    refused: list[str] = []

    async def once(route: Route) -> None:
        if "before=" not in route.request.url or refused:
            return await route.continue_()
        refused.append(route.request.url)
        headers = {"Access-Control-Allow-Origin": origin}
        problem = '{"detail": "slow", "retryAfterMs": 300}'
        kind = "application/problem+json"
        return await route.fulfill(status=429, content_type=kind, body=problem, headers=headers)

    await page.route("**/messages?*", once)
    ann = await room(page, origin, service.url, "older", user="ann")
    assert await ann.data() == [f"new {n}" for n in range(10)], "an edit is no row"
    more = asyncio.ensure_future(page.evaluate("room.older(300)"))
    publish(service, "older", *({"data": f"live {n}", "user": "bob"} for n in range(20)))
    assert await more is True
    assert refused
    news = [f"new {n}" for n in range(10)] + [f"live {n}" for n in range(20)]
    shown = [f"edit {n if n < 800 and n + 800 >= 1190 else n + 800}" for n in range(800)]
    await ann.until_shown([*shown[500:], *news])
    assert await page.evaluate("room.older(1000)") is False, "the start"
    await ann.until_shown([*shown, *news])


async def test_an_edit_stands_beside_its_message_until_it_is_there(
    context: BrowserContext, origin: str, service: Service
) -> None:
    ann = await room(context, origin, service.url, "edits", user="ann")
    bob = await room(context, origin, service.url, "edits", user="bob")
    await ann.send("frist")
    await bob.until_shown(["frist"])
    await ann.until(ann.rows, lambda rows: rows[0]["id"], "hers has an id, by which it can be changed")
    [before] = await ann.rows()
    changed = await ann.page.evaluate("room.edit(room.messages[0].id, 'first')")
    assert (changed["data"], changed["change"]["data"], changed["change"]["state"]) == ("frist", "first", "sending")
    for reader in (ann, bob):
        await reader.until_shown(["first"])
    [after] = await ann.rows()
    assert (after["key"], after["edited"], after.get("change")) == (before["key"], True, None)
    forged = await bob.page.evaluate("room.edit(room.messages[0].id, 'forged')")
    assert forged["change"]["state"] == "sending"
    await bob.until(bob.rows, lambda rows: "change" not in rows[0], "bob's edit is there")
    publish(service, "edits", {"data": "later", "user": "bob"})
    for reader in (ann, bob):
        await reader.until_shown(["first", "later"])  # so both have read the edit, and nobody has obeyed it
    await ann.page.evaluate("room.delete(room.messages[0].id)")
    for reader in (ann, bob):
        await reader.until(reader.rows, lambda rows: rows[0].get("deleted") is True, "deleted")
        assert await reader.data() == [None, "later"]


async def test_what_is_unread_in_one_tab_is_read_in_another(
    context: BrowserContext, origin: str, service: Service
) -> None:
    tabs = [await room(context, origin, service.url, "unread", user="ann") for _ in range(2)]
    bob = await room(context, origin, service.url, "unread", user="bob")
    await bob.send("one")
    await tabs[0].until_shown(["one"])
    await tabs[0].page.evaluate("room.seen()")
    await bob.send("two", "three")
    for tab in tabs:
        await tab.until(tab.unread, lambda count: count == 2, "two are unread")
    await bob.until(bob.shown, lambda rows: {row.state for row in rows} == {"delivered"}, "ann has them")
    assert await bob.unread() == 0, "one's own are read"
    await tabs[1].page.evaluate("room.seen()")
    for tab in tabs:
        await tab.until(tab.unread, lambda count: count == 0, "all are read")
    again = await room(context, origin, service.url, "unread", user="ann")
    assert await again.unread() == 0


async def test_delivered_once_another_user_has_received_it(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """A second device of one's own does not count; what was read elsewhere is read here."""
    ann = await room(context, origin, service.url, "marks", user="ann")
    phone = await (await _another(context)).new_page()
    also_ann = await room(phone, origin, service.url, "marks", user="ann")
    await ann.send("hi")
    await also_ann.until_shown(["hi"])
    await ann.until(ann.rows, lambda rows: rows[0]["state"] == "sent", "sent")
    bob = await room(context, origin, service.url, "marks", user="bob")
    await bob.send("ho")
    await ann.until_shown(["hi", "ho"])
    for device in (ann, also_ann):
        await device.until(device.rows, lambda rows: rows[0]["state"] == "delivered", "delivered to bob")
        await device.until(device.unread, lambda unread: unread == 1, "bob's is unread")
    await ann.page.evaluate("room.seen()")
    await also_ann.until(also_ann.unread, lambda unread: unread == 0, "read on the other device")
    await phone.context.close()


async def _another(context: BrowserContext) -> BrowserContext:
    """A browser of its own, as on another device."""
    assert context.browser
    return await context.browser.new_context()


async def test_who_types_is_shown_until_the_message_comes(
    context: BrowserContext, origin: str, service: Service
) -> None:
    ann = await room(context, origin, service.url, "types", user="ann")
    bob = await room(context, origin, service.url, "types", user="bob")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url) if "/signals" in request.url else None)
    await bob.page.evaluate("for (let n = 0; n < 5; n++) room.typing()")
    people = lambda: ann.page.evaluate("room.people")  # noqa: E731
    await ann.until(people, lambda people: people == [{"user": "bob", "here": True, "typing": True}], "bob types")
    assert len(asked) == 1
    later = await room(context, origin, service.url, "types", user="ann")
    seen = lambda: later.page.evaluate("room.people.map(({user, here}) => [user, here])")  # noqa: E731
    await later.until(seen, lambda people: people == [["bob", True]], "a tab that comes later knows who is here")
    await bob.send("done")
    await ann.until_shown(["done"])
    await ann.until(people, lambda people: people == [{"user": "bob", "here": True, "typing": False}], "bob has typed")
    quiet = await room(context, origin, service.url, "quiet:1", user="bob")
    await quiet.page.evaluate("room.typing()")
    await quiet.send("x")
    await quiet.until_shown(["x"])
    assert len(asked) == 1, "nothing is asked of a channel that does not offer it"
