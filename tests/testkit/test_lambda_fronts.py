"""What passes through each kind of front to FastAPI behind Mangum, and back; and the events themselves."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.testkit.lambda_runtime import Front, LambdaFront, Setup
from tests.testkit.lambda_runtime.fronts import Stamp
from tests.testkit.lambda_runtime.fronts.exchange import Request
from tests.testkit.lambda_runtime.fronts.port import BadResultError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOY = Path(__file__).parent / "lambda_runtime" / "toy"
BYTES = bytes(range(256))
STAMP = Stamp("1-2-3", "Root=1-0-0", 1_583_348_638_390)
ANY_BINARY = Setup(binary_media_types=("*/*",))
GATEWAYS = [Front.HTTP_API_V2, Front.HTTP_API_V1, Front.REST_API]


@pytest.fixture(scope="module", params=list(Front), ids=lambda kind: kind.name)
async def front(request: pytest.FixtureRequest) -> AsyncIterator[LambdaFront]:
    async with LambdaFront("web.handler", request.param, cwd=TOY, setup=ANY_BINARY) as running:
        yield running


@pytest.fixture(scope="module")
async def client(front: LambdaFront) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=front.url, timeout=15) as http:
        yield http


def is_kind(front: LambdaFront, *kinds: Front) -> bool:
    return front.kind in [kind.value for kind in kinds]


# --- through the function and back


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"text": "\\u00e9"}', "application/json"),
        ('{"text": "Grüße 👋"}'.encode(), "application/json; charset=utf-8"),
        ("naïve".encode(), "text/plain; charset=utf-8"),
        (b"a=1&b=2", "application/x-www-form-urlencoded"),
        (BYTES, "application/octet-stream"),
        (BYTES, "text/plain"),
        (b"no type", None),
        (b"", "application/json"),
    ],
    ids=["json", "utf-8", "text", "form", "binary", "lying", "untyped", "empty"],
)
async def test_bodies_arrive(client: httpx.AsyncClient, body: bytes, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    seen = (await client.post("/echo", content=body, headers=headers)).json()
    assert seen["method"] == "POST" and base64.b64decode(seen["body"]) == body


async def test_repeated_query_parameters_arrive(front: LambdaFront, client: httpx.AsyncClient) -> None:
    seen = (await client.get("/echo?channel=a&channel=b&channel=a&empty=&bare")).json()
    channels = ["a"] if is_kind(front, Front.ALB) else ["a", "b", "a"]
    assert sorted(seen["query"]) == sorted([["bare", ""], ["empty", ""], *(["channel", name] for name in channels)])
    assert [value for name, value in seen["query"] if name == "channel"] == channels


@pytest.mark.parametrize(
    ("query", "decoded"),
    [
        ("q=a%20b%2Bc+d", ["q", "a b+c d"]),
        ("q=%F0%9F%91%8B%26%3D", ["q", "👋&="]),
        ("gr%C3%BC%C3%9Fe=%25", ["grüße", "%"]),
        ("after=t9x2k0ab-42-7qd1.t9x2k0ac-0-0", ["after", "t9x2k0ab-42-7qd1.t9x2k0ac-0-0"]),
        ("q=%2520", ["q", "%20"]),
    ],
)
async def test_queries_arrive_decoded_once(client: httpx.AsyncClient, query: str, decoded: list[str]) -> None:
    assert (await client.get(f"/echo?{query}")).json()["query"] == [decoded]


@pytest.mark.parametrize(
    ("sent", "decoded"),
    [
        ("/channels/room:1.a_b-c/messages", "/channels/room:1.a_b-c/messages"),
        ("/channels/room%3A1/messages", "/channels/room:1/messages"),
        ("/gr%C3%BC%C3%9Fe%20%F0%9F%91%8B", "/grüße 👋"),
        ("/a+b", "/a+b"),
        ("/", "/"),
    ],
)
async def test_paths_arrive(client: httpx.AsyncClient, sent: str, decoded: str) -> None:
    assert (await client.get(sent)).json()["path"] == decoded


async def test_cookies_arrive(client: httpx.AsyncClient) -> None:
    headers = [("cookie", "gapless_token=abc.def-g_h; theme=dark; quoted=a=b")]
    seen = (await client.get("/echo", headers=headers)).json()
    assert seen["cookies"] == {"gapless_token": "abc.def-g_h", "theme": "dark", "quoted": "a=b"}


async def test_headers_arrive(client: httpx.AsyncClient) -> None:
    sent = {"Last-Event-ID": "t9x2k0ab-42-7qd1", "Authorization": "Bearer a.b.c", "Idempotency-Key": "k"}
    seen = dict((await client.get("/echo", headers=sent)).json()["headers"])
    assert {name.lower(): value for name, value in sent.items()}.items() <= seen.items()


async def test_a_repeated_header_arrives(front: LambdaFront, client: httpx.AsyncClient) -> None:
    seen = (await client.get("/echo", headers=[("x-many", "1"), ("x-many", "2")])).json()
    values = [part.strip() for name, value in seen["headers"] if name == "x-many" for part in value.split(",")]
    assert values == (["2"] if is_kind(front, Front.ALB) else ["1", "2"])


async def test_the_application_learns_who_asks_and_how(front: LambdaFront, client: httpx.AsyncClient) -> None:
    seen = (await client.get("/echo", headers={"X-Forwarded-For": "198.51.100.1"})).json()
    headers = dict(seen["headers"])
    forwarded = "198.51.100.1, 203.0.113.7"
    # Mangum takes the whole header of a load balancer, and there a client may have written its part of it.
    balanced = is_kind(front, Front.ALB, Front.ALB_MULTI_VALUE)
    assert seen["client"] == (forwarded if balanced else "203.0.113.7")
    assert headers["x-forwarded-for"] == forwarded and seen["scheme"] == "https"
    assert headers["host"].endswith((".amazonaws.com", ".on.aws"))


async def test_the_deadline_and_the_request_id_arrive(front: LambdaFront, client: httpx.AsyncClient) -> None:
    seen = (await client.get("/echo")).json()
    assert 20_000 < seen["remaining_ms"] <= 29_000
    assert seen["request_id"] == front.stats.invocations[-1].request_id


async def test_binary_bodies_come_back(client: httpx.AsyncClient) -> None:
    reply = await client.get("/binary")
    assert (reply.headers["content-type"], reply.content) == ("application/octet-stream", BYTES)


async def test_cookies_and_headers_come_back(front: LambdaFront, client: httpx.AsyncClient) -> None:
    reply = await client.get("/cookies")
    renamed = is_kind(front, Front.REST_API, Front.FUNCTION_URL)
    name = "x-amzn-remapped-www-authenticate" if renamed else "www-authenticate"
    assert reply.status_code == 201 and reply.headers[name] == "Bearer"
    cookies = [cookie.partition(";")[0] for cookie in reply.headers.get_list("set-cookie")]
    assert cookies == ['first="1\\073 not two"', "second=c3a9"]


async def test_problems_and_streams_come_back_as_text(client: httpx.AsyncClient) -> None:
    problem = await client.get("/problem")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
    assert problem.json() == {"title": "Größe"}
    events = await client.get("/events", headers={"accept": "text/event-stream"})
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text == "id: 1\ndata: eins\n\nid: 2\ndata: zwei\n\n"


async def test_head_has_headers_and_no_body(client: httpx.AsyncClient) -> None:
    reply = await client.head("/echo")
    assert (reply.status_code, reply.content) == (200, b"")


async def test_one_process_served_all_of_it(front: LambdaFront, client: httpx.AsyncClient) -> None:
    await client.get("/echo")
    assert (front.stats.cold_starts, front.stats.failures, front.stats.faults) == (1, 0, [])


@pytest.mark.parametrize("kind", [*GATEWAYS, Front.FUNCTION_URL], ids=lambda kind: kind.name)
async def test_only_http_apis_show_a_named_stage_to_the_application(kind: Front) -> None:
    front = LambdaFront("web.handler", kind, cwd=TOY, setup=Setup(stage="beta"))
    async with front as running, httpx.AsyncClient(timeout=15) as http:
        seen = (await http.get(f"{running.url}/echo/x")).json()
    assert running.url.endswith("/beta") is (kind in GATEWAYS)
    staged = kind in {Front.HTTP_API_V2, Front.HTTP_API_V1}
    assert seen["path"] == ("/beta/echo/x" if staged else "/echo/x")


async def test_a_rest_api_without_binary_media_types_spoils_bytes() -> None:
    """Its default setting: bytes are taken for text on the way in, and base64 stays base64 on the way out."""
    front = LambdaFront("web.handler", Front.REST_API, cwd=TOY)
    async with front as running, httpx.AsyncClient(base_url=running.url, timeout=15) as http:
        seen = (await http.post("/echo", content=BYTES)).json()
        back = await http.get("/binary")
    assert base64.b64decode(seen["body"]) == BYTES.decode(errors="replace").encode()
    assert back.content == base64.b64encode(BYTES)


# --- the events


def request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "method": "POST",
        "path": "/a%20b/%C3%BC",
        "query": "c=1&c=%32&d=x+y",
        "headers": (
            ("host", "127.0.0.1:8000"),
            ("cookie", "one=1; two=2"),
            ("x-many", "1"),
            ("x-many", "2"),
            ("content-type", "application/json"),
            ("user-agent", "tests"),
        ),
        "body": b"{}",
    }
    return Request(**(fields | changes))


def event(kind: Front, setup: Setup | None = None, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = kind.value.event(request(**changes), setup or Setup(), STAMP)
    assert json.loads(json.dumps(made)) == made
    return made


def test_payload_2_0() -> None:
    made = event(Front.HTTP_API_V2)
    assert made["version"] == "2.0" and made["routeKey"] == "$default"
    assert (made["rawPath"], made["rawQueryString"]) == ("/a b/ü", "c=1&c=%32&d=x+y")
    assert made["cookies"] == ["one=1", "two=2"] and "cookie" not in made["headers"]
    assert made["queryStringParameters"] == {"c": "1,2", "d": "x y"}
    assert made["headers"]["x-many"] == "1,2" and "multiValueHeaders" not in made
    assert (made["body"], made["isBase64Encoded"]) == ("{}", False)
    context = made["requestContext"]
    assert context["http"] == {
        "method": "POST",
        "path": "/a b/ü",
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.7",
        "userAgent": "tests",
    }
    assert (context["stage"], context["time"]) == ("$default", "04/Mar/2020:19:03:58 +0000")
    assert context["timeEpoch"] == 1_583_348_638_390


def test_payload_2_0_leaves_out_what_is_not_there() -> None:
    made = event(Front.HTTP_API_V2, query="", headers=(), body=b"")
    assert not {"cookies", "queryStringParameters", "body"} & made.keys()
    assert (made["rawQueryString"], made["isBase64Encoded"]) == ("", False)


def test_payload_1_0() -> None:
    made = event(Front.HTTP_API_V1)
    assert (made["version"], made["path"], made["resource"]) == ("1.0", "/a b/ü", "$default")
    assert made["multiValueQueryStringParameters"] == {"c": ["1", "2"], "d": ["x y"]}
    assert made["queryStringParameters"] == {"c": "2", "d": "x y"}
    assert made["multiValueHeaders"]["X-Many"] == ["1", "2"] and made["headers"]["X-Many"] == "2"
    assert made["headers"]["Cookie"] == "one=1; two=2"
    empty = event(Front.HTTP_API_V1, query="", body=b"")
    assert (empty["body"], empty["queryStringParameters"]) == (None, None)
    assert empty["multiValueQueryStringParameters"] is None


def test_a_rest_api_keeps_its_stage_to_the_context() -> None:
    made = event(Front.REST_API, Setup(stage="beta"), path="/beta/a%20b")
    assert "version" not in made and made["resource"] == "/{proxy+}"
    assert (made["path"], made["requestContext"]["path"]) == ("/a%20b", "/beta/a%20b")
    assert made["pathParameters"] == {"proxy": "a b"}
    assert made["queryStringParameters"] == {"c": "2", "d": "x y"}
    assert (made["body"], made["isBase64Encoded"]) == ("{}", False)
    binary = event(Front.REST_API, ANY_BINARY, path="/prod/")
    assert (binary["body"], binary["isBase64Encoded"], binary["path"]) == ("e30=", True, "/")


def test_a_function_url_does_not_decode_the_path() -> None:
    made = event(Front.FUNCTION_URL, Setup(stage="ignored"))
    assert made["version"] == "2.0" and made["rawPath"] == "/a%20b/%C3%BC"
    assert made["requestContext"]["stage"] == "$default"
    assert made["requestContext"]["domainName"] == made["headers"]["host"]


def test_a_load_balancer_decodes_nothing() -> None:
    single = event(Front.ALB)
    assert single["requestContext"].keys() == {"elb"} and single["path"] == "/a%20b/%C3%BC"
    assert single["queryStringParameters"] == {"c": "%32", "d": "x+y"}
    assert single["headers"]["x-many"] == "2" and not {"multiValueHeaders"} & single.keys()
    multi = event(Front.ALB_MULTI_VALUE)
    assert multi["multiValueQueryStringParameters"] == {"c": ["1", "%32"], "d": ["x+y"]}
    assert multi["multiValueHeaders"]["x-many"] == ["1", "2"] and not {"headers"} & multi.keys()
    assert event(Front.ALB, body=b"", query="")["body"] == ""


@pytest.mark.parametrize("kind", [Front.HTTP_API_V2, Front.HTTP_API_V1, Front.FUNCTION_URL, Front.ALB])
@pytest.mark.parametrize(
    ("headers", "encoded"),
    [
        ((("content-type", "text/event-stream"),), False),
        ((("content-type", "Application/JSON"),), False),
        ((("content-type", "application/problem+json"),), True),
        ((("content-type", "application/x-www-form-urlencoded"),), True),
        ((("content-type", "application/json"), ("content-encoding", "gzip")), True),
        ((), True),
    ],
)
def test_bodies_that_are_not_known_as_text_travel_as_base64(kind: Front, headers: Any, encoded: bool) -> None:
    made = event(kind, headers=headers)
    assert (made["isBase64Encoded"], made["body"]) == (encoded, "e30=" if encoded else "{}")


# --- the results


def reply(kind: Front, result: Any, **changes: Any) -> Any:
    body = result if isinstance(result, bytes) else json.dumps(result).encode()
    return kind.value.reply(body, request(**changes), Setup(), STAMP)


@pytest.mark.parametrize("result", [{"hello": 1}, "text", b"no json", 7])
def test_payload_2_0_without_a_status_is_a_body(result: Any) -> None:
    answer = reply(Front.HTTP_API_V2, result)
    raw = result if isinstance(result, bytes) else json.dumps(result).encode()
    assert (answer.status, answer.body, answer.headers[0]) == (200, raw, ("content-type", "application/json"))


@pytest.mark.parametrize("kind", list(Front))
@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "x", "body": ""},
        {"statusCode": 99, "body": ""},
        {"statusCode": 200, "body": {}},
        {"statusCode": 200, "body": "*", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"a": None}, "multiValueHeaders": {"a": None}},
        {"statusCode": 200, "headers": [], "multiValueHeaders": []},
    ],
)
def test_misshapen_results_are_refused(kind: Front, result: dict[str, Any]) -> None:
    if kind is Front.REST_API and result.get("isBase64Encoded"):
        assert reply(kind, result).body == b"*"
        return
    with pytest.raises(BadResultError):
        reply(kind, result)


@pytest.mark.parametrize("kind", [Front.HTTP_API_V1, Front.REST_API, Front.ALB, Front.ALB_MULTI_VALUE])
@pytest.mark.parametrize("result", [b"no json", [], "text", {"body": "no status"}])
def test_only_payload_2_0_guesses(kind: Front, result: Any) -> None:
    with pytest.raises(BadResultError):
        reply(kind, result)


def test_a_rest_api_knows_no_other_fields() -> None:
    with pytest.raises(BadResultError):
        reply(Front.REST_API, {"statusCode": 200, "body": "", "cookies": []})


def test_a_load_balancer_wants_its_own_status_described() -> None:
    described = {"statusCode": 200, "statusDescription": "200 OK", "body": "x"}
    assert reply(Front.ALB, described).body == b"x"
    with pytest.raises(BadResultError):
        reply(Front.ALB, described | {"statusDescription": "404 Not Found"})


def test_a_load_balancer_reads_only_the_map_it_is_set_up_for() -> None:
    both = {"statusCode": 200, "headers": {"A": "1", "a": "2"}, "multiValueHeaders": {"B": ["1", "2"]}, "body": ""}
    assert reply(Front.ALB, both).headers == (("a", "1"), ("a", "2"))
    assert reply(Front.ALB_MULTI_VALUE, both).headers == (("b", "1"), ("b", "2"))


def test_api_gateway_merges_both_maps() -> None:
    maps = {"headers": {"a": "1", "b": "2"}, "multiValueHeaders": {"a": ["1", "3"]}}
    headers = reply(Front.HTTP_API_V1, {"statusCode": 200, "body": "", **maps}).headers
    assert [pair for pair in headers if len(pair[0]) == 1] == [("b", "2"), ("a", "1"), ("a", "3")]
