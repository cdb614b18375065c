"""The description of the API: a stranger can follow it, its examples work, and every refusal is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jsonschema_rs import validator_for

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from tests.api.problem import TITLES, assert_problem
from tests.testkit.app_fixture import RunningApp, events, running_app
from tests.testkit.port import free_port
from tests.testkit.valkey import Valkey

Json = dict[str, Any]
MESSAGES, STREAM = "/channels/{channel}/messages", "/channels/{channel}/stream"
OPERATIONS = {
    ("post", MESSAGES),
    ("get", MESSAGES),
    ("get", STREAM),
    ("get", "/stream"),
    ("post", "/channels/{channel}/signals"),
    ("put", "/channels/{channel}/receipts"),
    ("get", "/channels/{channel}/presence"),
    ("delete", "/channels/{channel}/presence"),
    ("post", "/channels/{channel}/presence/leave"),
    ("get", "/channels/{channel}/receipts"),
    ("post", "/tickets"),
    ("get", "/channels"),
    ("delete", "/channels/{channel}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
}


@pytest.fixture(scope="module")
async def schema() -> Json:
    """Read only. It asks no store."""
    async with running_app("unix:///nowhere/at/all") as served:
        reply = await served.client.get("/openapi.json")
    assert reply.status_code == 200
    described: Json = reply.json()
    return described


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def replies(schema: Json, kind: str) -> Iterator[tuple[str, int, Json]]:
    """Where, which status and which example, for each reply of a media type."""
    for method, path, operation in operations(schema):
        for status, reply in operation["responses"].items():
            if kind in reply.get("content", {}):
                yield f"{method} {path} {status}", int(status), reply["content"][kind].get("example")


# A stranger can follow it


async def test_each_operation_is_described(schema: Json) -> None:
    assert {(method, path) for method, path, _ in operations(schema)} == OPERATIONS
    for _, _, operation in operations(schema):
        assert len(operation["summary"]) >= 8
        assert len(operation["description"]) >= 20
        assert operation["tags"]
        for reply in operation["responses"].values():
            assert reply["description"]
    assert schema["info"]["title"] == "Gapless"
    assert "EventSource" in schema["info"]["description"]


async def test_every_reference_leads_somewhere(schema: Json) -> None:
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(schema))
    assert references
    for reference in references:
        at: Any = schema
        for part in reference.split("/"):
            at = at[part]


async def test_the_page_shows_it(served: RunningApp) -> None:
    """With files of this service only. (`test_browser.py` looks at it.)"""
    reply = await served.client.get("/docs")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:src|href)="([^"]+)"', reply.text)
    assert "openapi.json" in named
    for one in named:
        assert not re.match(r"[a-z]+:|/", one), "relative, so that it works below any path"
        assert (await served.client.get(f"/{one}")).status_code == 200


@pytest.mark.parametrize("keyed", [True, False])
def test_it_says_which_tokens_each_operation_takes(keyed: bool) -> None:
    """All but those for everybody; none where the service asks for none."""
    schema = create_app(Settings(**(SECRET if keyed else {}))).openapi()
    writing, reading = ["token", "cookie"], ["token", "ticket", "access_token", "cookie"]
    leaving = [*writing, "ticket"]  # what a page's beacon can carry
    for method, path, operation in operations(schema):
        named = [name for one in operation.get("security", ()) for name in one]
        if path in ("/healthz", "/readyz") or not keyed:
            assert named == [], (method, path)
        else:
            assert named in (writing, reading, leaving), (method, path)
            assert (named == leaving) == ("presence" in path and method != "get"), (method, path)
            assert named != reading or method == "get", (method, path)
    described = schema["components"].get("securitySchemes", {})
    assert sorted(described) == (sorted(reading) if keyed else [])


# Its examples work


def body_examples(schema: Json) -> list[Any]:
    content = schema["paths"][MESSAGES]["post"]["requestBody"]["content"]["application/json"]
    return [example["value"] for example in content["examples"].values()]


async def test_what_is_to_be_sent_is_valid_by_its_own_schema(schema: Json) -> None:
    described = schema["paths"][MESSAGES]["post"]["requestBody"]["content"]["application/json"]["schema"]
    valid = validator_for({**described, "components": schema["components"]})
    for example in body_examples(schema):
        assert valid.is_valid(example), example
    for wrong in (1, [], {}, {"user": "ann"}, {"data": 1, "more": 1}, [{"data": 1}] * 101, {"data": 1, "user": 1}):
        assert not valid.is_valid(wrong), wrong


async def test_what_is_to_be_sent_is_taken_and_answered_as_shown(schema: Json, served: RunningApp) -> None:
    shown = {
        status: example for _, status, example in replies(schema, "application/json") if "localId" in (example or {})
    }
    for example in body_examples(schema):
        reply = await served.client.post("/channels/general/messages", json=example)
        assert reply.status_code == 201
        sent = reply.json()[0] if isinstance(example, list) else reply.json()
        assert list(sent) == list(shown[201])
    keyed = {"data": 1, "localId": "4f1c"}
    for status in (201, 200):
        reply = await served.client.post("/channels/general/messages", json=keyed)
        assert (reply.status_code, list(reply.json())) == (status, list(shown[status]))
        assert all(same_shape(a, b) for a, b in zip(reply.json().values(), shown[status].values(), strict=True))


async def test_a_page_of_history_is_as_shown(schema: Json, served: RunningApp) -> None:
    [shown] = [example for where, _, example in replies(schema, "application/json") if where == f"get {MESSAGES} 200"]
    await served.client.post("/channels/general/messages", json={"data": {"text": "hi"}, "user": "ann"})
    told = (await served.client.get("/channels/general/messages")).json()
    assert list(told) == list(shown)
    old = "00000000-1-abcd"
    gap = (await served.client.get("/channels/general/messages", params={"after": old})).json()["gap"]
    assert list(gap) == list(shown["gap"])
    assert list(told["messages"][0]) == list(shown["messages"][0])
    assert shown["oldest"] == shown["latest"] == shown["cursor"] == shown["messages"][0]["id"]
    assert same_shape(told["cursor"], shown["cursor"])


async def test_a_stream_is_as_shown(schema: Json, served: RunningApp) -> None:
    await served.client.post("/channels/general/messages", json={"data": "hi", "user": "ann"})
    reply = await served.client.get("/channels/general/stream?history=1")
    hello, message, _ = events(reply.content)
    shown = [example for _, _, example in replies(schema, "text/event-stream")]
    assert len(shown) == 2
    for example in shown:
        for told, wanted in zip(events(example.encode()), (hello, message), strict=True):
            assert (told.type, told.has_id) == (wanted.type, wanted.has_id)
            assert list(json.loads(told.data)) == list(json.loads(wanted.data))


def same_shape(one: Any, other: Any) -> bool:
    """Two texts of the same kind: an id is an id, a time a time."""
    forms = (r"[0-9a-z]{8}-\d+-[0-9a-z]{4}", r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z")
    return all(bool(re.fullmatch(form, str(one))) == bool(re.fullmatch(form, str(other))) for form in forms)


async def test_each_refusal_is_shown_as_it_is_said(schema: Json) -> None:
    shown = list(replies(schema, "application/problem+json"))
    assert len(shown) > 20
    for where, status, example in shown:
        assert list(example) == ["type", "title", "status", "detail", "requestId"], where
        assert (example["type"], example["status"]) == ("about:blank", status), where
        assert example["title"] == TITLES[status], where
        assert example["detail"].endswith("."), where


# Every refusal is in it


@dataclass(frozen=True)
class Refusal:
    """A request that is refused with this status, by a service with these settings."""

    operation: tuple[str, str]
    status: int
    path: str
    options: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)


SECRET: Json = {"jwt_secret": "a secret of thirty-two characters and more"}
NO_STORE: Json = {"redis_url": "unix:///nowhere/at/all"}
NO_KEYS: Json = {"jwks_url": f"http://127.0.0.1:{free_port()}/keys"}
# Signed by nobody we know; where the keys can't be fetched nobody can tell.
BEARER = {"headers": {"Authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA"}}
PROXIED = {"headers": {"X-Forwarded-For": "203.0.113.9"}}
POST, GET = ("post", MESSAGES), ("get", MESSAGES)
A = "/channels/a/messages"
JSON_TYPE = {"headers": {"Content-Type": "application/json"}}

PATHS = {
    POST: (A, {"json": {"data": 1}}),
    GET: (A, {}),
    ("get", STREAM): ("/channels/a/stream", {}),
    ("get", "/stream"): ("/stream?channel=a", {}),
    ("post", "/tickets"): ("/tickets", {"json": {"channels": ["a"]}}),
    ("get", "/channels"): ("/channels", {}),
    ("delete", "/channels/{channel}"): ("/channels/a", {}),
    ("get", "/healthz"): ("/healthz", {}),
    ("get", "/readyz"): ("/readyz", {}),
}
OPEN = {("get", "/healthz"), ("get", "/readyz")}
STREAMS = {("get", STREAM), ("get", "/stream")}
REFUSALS = [
    *(Refusal(operation, 403, path, options | PROXIED) for operation, (path, options) in PATHS.items()),
    *(Refusal(op, 401, path, options, SECRET) for op, (path, options) in PATHS.items() if op not in OPEN),
    *(
        Refusal(op, 503, path, options | BEARER, NO_KEYS)
        for op, (path, options) in PATHS.items()
        if op not in OPEN | STREAMS
    ),
    *(Refusal(op, 503, PATHS[op][0], PATHS[op][1], NO_STORE) for op in (POST, GET, ("get", "/readyz"))),
    Refusal(POST, 400, A, {"content": b"{", **JSON_TYPE}),
    Refusal(POST, 413, A, {"content": b'"' + b"x" * 2000, **JSON_TYPE}, {"max_body": 1024}),
    Refusal(POST, 415, A, {"content": b"{}"}),
    Refusal(POST, 422, A, {"json": {}}),
    Refusal(POST, 422, "/channels/-/messages", {"json": {"data": 1}}),
    Refusal(GET, 422, f"{A}?limit=0"),
    Refusal(("get", STREAM), 422, "/channels/-/stream"),
    Refusal(("get", "/stream"), 422, "/stream?channel=a,a"),
    Refusal(("post", "/tickets"), 415, "/tickets", {"content": b"{}"}),
    Refusal(("post", "/tickets"), 400, "/tickets", {"content": b"{", **JSON_TYPE}),
    Refusal(("post", "/tickets"), 413, "/tickets", {"content": b"x" * 2000, **JSON_TYPE}, {"max_body": 1024}),
    Refusal(("post", "/tickets"), 422, "/tickets", {"json": {}}),
    Refusal(("get", "/channels"), 422, "/channels?cursor=x"),
    Refusal(("delete", "/channels/{channel}"), 422, "/channels/-"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: f"{one.operation} {one.status}")
async def test_what_is_refused_is_listed(refusal: Refusal, schema: Json, valkey: Valkey) -> None:
    method, path = refusal.operation
    async with running_app(**{"redis_url": valkey.url, **refusal.settings}) as served:
        reply = await served.client.request(method.upper(), refusal.path, **refusal.options)
    assert_problem(reply, refusal.status)
    listed = schema["paths"][path][method]["responses"]
    assert "application/problem+json" in listed[str(refusal.status)]["content"]


async def test_it_is_made_once_for_all_who_ask(served: RunningApp) -> None:
    made, make = [], served.app.openapi
    served.app.openapi = lambda: made.append(1) or make()  # type: ignore[method-assign, func-returns-value]
    replies = [await served.client.get("/openapi.json") for _ in range(3)]
    assert len({reply.content for reply in replies}) == 1
    assert len(made) == 1
